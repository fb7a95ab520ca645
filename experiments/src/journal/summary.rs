use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::error::JournalError;
use super::event::{DatasetInput, Event, MetricValue, RegisteredVersion, RunEnd, StageDone};
use super::lock::FileLock;
use super::reader::Reader;
use super::run_dir::RunDir;

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// Its process lives.
    Running,
    /// Its process died without a word; it can be resumed.
    Interrupted,
    /// It came to its end.
    Finished,
    /// It ended with an error.
    Failed,
    /// The user stopped it.
    Killed,
    /// Its journal cannot be read.
    Damaged,
}

/// A run at a glance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunSummary {
    /// Id of the run.
    pub run_id: String,
    /// Name for people.
    pub name: String,
    /// Named set it belongs to.
    pub experiment: String,
    /// Where it stands.
    pub status: RunStatus,
    /// Start, milliseconds since 1970 in UTC.
    pub start_ms: u64,
    /// End, if it has one; of an interrupted run, its last sign of life.
    pub end_ms: Option<u64>,
    /// Settings.
    pub params: IndexMap<String, String>,
    /// Last value of each metric.
    pub metrics: IndexMap<String, MetricValue>,
    /// Labels.
    pub tags: IndexMap<String, String>,
    /// Stages that ended, in order.
    pub stages: Vec<StageDone>,
    /// Data it read.
    pub datasets: Vec<DatasetInput>,
    /// Files and folders kept with it, such as the report.
    pub artifacts: Vec<PathBuf>,
    /// Version of a model it made.
    pub model: Option<RegisteredVersion>,
    /// Device it computed on.
    pub device: Option<String>,
    /// What went wrong.
    pub error: Option<String>,
}

/// Setting that says what kind of model a run trained.
pub const MODEL_KIND: &str = "model.kind";

/// All runs of a home, newest first. One whose journal cannot be read is there as damaged.
///
/// # Errors
/// The folder of runs cannot be read.
pub fn list(home: &Path) -> Result<Vec<RunSummary>, JournalError> {
    let mut runs: Vec<RunSummary> = RunDir::all(home)?
        .iter()
        .map(|run| {
            read(run).unwrap_or_else(|error| {
                let mut summary = blank(run.run_id());
                summary.status = RunStatus::Damaged;
                summary.error = Some(error.to_string());
                summary
            })
        })
        .collect();
    runs.sort_by(|a, b| b.start_ms.cmp(&a.start_ms).then_with(|| b.run_id.cmp(&a.run_id)));
    Ok(runs)
}

fn read(run: &RunDir) -> Result<RunSummary, JournalError> {
    // Asked before reading: a run that ends in between must not look interrupted.
    let alive = FileLock::is_held(&run.lock());
    let mut summary = blank(run.run_id());
    let mut reader = Reader::open(&run.journal(), 0)?;
    let mut last_ms = 0;
    while let Some(entry) = reader.next(u64::MAX)? {
        last_ms = entry.time_ms;
        summary.add(entry.event);
    }
    for artifact in &mut summary.artifacts {
        *artifact = run.from_stored(artifact);
    }
    if summary.status == RunStatus::Running && !alive {
        summary.status = RunStatus::Interrupted;
        summary.end_ms = (last_ms > 0).then_some(last_ms);
    }
    Ok(summary)
}

fn blank(run_id: &str) -> RunSummary {
    RunSummary {
        run_id: run_id.into(),
        name: run_id.into(),
        experiment: String::new(),
        status: RunStatus::Running,
        start_ms: 0,
        end_ms: None,
        params: IndexMap::new(),
        metrics: IndexMap::new(),
        tags: IndexMap::new(),
        stages: Vec::new(),
        datasets: Vec::new(),
        artifacts: Vec::new(),
        model: None,
        device: None,
        error: None,
    }
}

impl RunSummary {
    /// Kind of the model it trained, as the pipeline file has it.
    pub fn model_kind(&self) -> Option<&str> {
        self.params.get(MODEL_KIND).map(String::as_str)
    }

    fn add(&mut self, event: Event) {
        match event {
            Event::RunStarted(started) => {
                self.name = started.name;
                self.experiment = started.experiment;
                self.start_ms = started.start_ms;
                self.params = started.params;
                self.tags = started.tags;
                self.device = started.device;
            }
            Event::RunResumed { device } => {
                self.status = RunStatus::Running;
                self.end_ms = None;
                self.error = None;
                self.device = device.or(self.device.take());
            }
            Event::Params { params } => self.params.extend(params),
            Event::Metrics(at) => self.metrics.extend(at.metrics),
            Event::Tags { tags } => self.tags.extend(tags),
            Event::Dataset(dataset) => self.datasets.push(*dataset),
            Event::Registered(version) => self.model = Some(version),
            Event::RunFinished(finished) => {
                self.status = match finished.status {
                    RunEnd::Finished => RunStatus::Finished,
                    RunEnd::Failed => RunStatus::Failed,
                    RunEnd::Killed => RunStatus::Killed,
                };
                self.end_ms = Some(finished.end_ms);
                self.error = finished.error;
            }
            Event::Stage(stage) => self.stages.push(stage),
            Event::Artifact(artifact) => self.artifacts.push(artifact.local),
            Event::Model(_) => {}
        }
    }
}

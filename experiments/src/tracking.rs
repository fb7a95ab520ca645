//! Where a run is recorded: the run journal always, MLflow beside it when it is configured.

use std::sync::Arc;
use std::time::Duration;

use cupola_models::registry::{LocalRegistry, Registry, RegistryError};
use cupola_training::tracker::Tracker;
use indexmap::IndexMap;

use crate::home::Home;
use crate::journal::{
    Journal, JournalError, JournalOptions, RegisteredVersion, RunEnd, RunSpec, StageDone, system_clock,
};
use crate::mlflow::{Client, MlflowConfig, MlflowError, MlflowRegistry, Shipper};
use crate::pipeline::{LoadedPipeline, Pipeline};
use crate::stages::{Observer, RunError, RunOutcome, Stage, StageSummary};
use crate::system::{Sampler, SamplerOptions};

/// Longest time a finished run waits for MLflow; `cupola runs sync` delivers the rest.
const SHIP_WAIT: Duration = Duration::from_secs(30);

/// Why a run cannot be recorded.
#[derive(Debug, thiserror::Error)]
pub enum TrackingError {
    /// The run journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// MLflow's settings.
    #[error(transparent)]
    Mlflow(#[from] MlflowError),
    /// The registry.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The settings cannot be written down.
    #[error("the effective settings cannot be recorded: {0}")]
    Settings(#[from] serde_json::Error),
}

/// A run that is being recorded.
pub struct TrackedRun {
    journal: Arc<Journal>,
    shipper: Option<Shipper>,
    sampler: Option<Sampler>,
}

/// Starts to record a run.
pub fn start(home: &Home, loaded: &LoadedPipeline, name: Option<&str>) -> Result<TrackedRun, TrackingError> {
    let pipeline = &loaded.pipeline;
    let spec = RunSpec {
        experiment: pipeline.mlflow.experiment.clone().unwrap_or_else(|| pipeline.name.clone()),
        name: name.map(str::to_owned),
        params: params(pipeline)?,
        source: Some(loaded.path.clone()),
        device: Some(pipeline.device.to_string()),
        ..RunSpec::default()
    };
    let journal = Arc::new(Journal::create(home.root(), spec, &JournalOptions::default())?);
    let shipper = mlflow_config(pipeline)?.map(|config| Shipper::start(config, &journal)).transpose()?;
    let options = SamplerOptions::of(&journal);
    // Without it only the system metrics are missing.
    let sampler = Sampler::start(journal.clone(), options).ok();
    Ok(TrackedRun { journal, shipper, sampler })
}

impl TrackedRun {
    /// Id of the run.
    pub fn id(&self) -> &str {
        self.journal.run_id()
    }

    /// Receives the run's metrics.
    pub fn tracker(&self) -> &dyn Tracker {
        self.journal.as_ref()
    }

    /// Records the stages as they end, and passes all on to another observer.
    pub fn observer<'a>(&'a self, next: &'a dyn Observer) -> StageRecorder<'a> {
        StageRecorder { journal: &self.journal, next }
    }

    /// Records how the run ended, and gives MLflow a moment to take what is left.
    pub fn finish(mut self, result: &Result<RunOutcome, RunError>) -> Result<(), TrackingError> {
        drop(self.sampler.take());
        match result {
            Ok(outcome) => {
                self.record(outcome);
                self.journal.finish(RunEnd::Finished, None)?;
            }
            Err(error) => self.journal.finish(RunEnd::Failed, Some(&error.to_string()))?,
        }
        if let Some(error) = self.shipper.and_then(|shipper| shipper.finish(SHIP_WAIT).error) {
            tracing::warn!("MLflow has not got all of the run: {error}");
        }
        Ok(())
    }

    fn metrics(&self, step: u64, values: &[(String, f64)]) {
        let values: Vec<(&str, f64)> = values.iter().map(|(key, value)| (key.as_str(), *value)).collect();
        self.journal.metrics(step, &values);
    }

    fn record(&self, outcome: &RunOutcome) {
        let seconds: Vec<(String, f64)> =
            outcome.stages.iter().map(|stage| (format!("seconds/{}", stage.stage), stage.seconds)).collect();
        self.metrics(0, &seconds);
        if let Some(dataset) = &outcome.dataset {
            self.journal.dataset(dataset.clone());
        }
        if let Some(profile) = &outcome.profile {
            self.journal.artifact(profile, "");
        }
        let Some(evaluated) = &outcome.evaluated else { return };
        // A result that was kept belongs to this run as much as one made anew.
        if outcome.stages.iter().any(|stage| stage.stage == Stage::Train && stage.reused) {
            for epoch in &evaluated.history {
                self.journal.metrics(epoch.epoch as u64, &epoch.metrics());
            }
        }
        self.metrics(evaluated.history.len() as u64, &evaluated.metrics());
        if let Some(report) = &evaluated.report {
            self.journal.artifact(report, "");
        }
        self.journal.model(&outcome.pipeline, &evaluated.bundle, evaluated.history.len() as u64);
        if let Some(registered) = &outcome.registered {
            self.journal.registered(RegisteredVersion {
                name: registered.name.clone(),
                version: registered.version,
                alias: registered.alias.clone(),
                model: outcome.pipeline.clone(),
                in_mlflow: false,
            });
        }
    }
}

/// Records the stages of a run.
pub struct StageRecorder<'a> {
    journal: &'a Journal,
    next: &'a dyn Observer,
}

impl Observer for StageRecorder<'_> {
    fn started(&self, stage: Stage) {
        self.next.started(stage);
    }

    fn progress(&self, stage: Stage, done: u64, total: Option<u64>, unit: &'static str, note: &str) {
        self.next.progress(stage, done, total, unit, note);
    }

    fn finished(&self, summary: &StageSummary) {
        let StageSummary { stage, reused, seconds, text } = summary.clone();
        self.journal.stage(StageDone { stage: stage.to_string(), reused, seconds, text });
        self.next.finished(summary);
    }
}

/// The registry of a pipeline: MLflow's where `MLFLOW_REGISTRY_URI` is set, else the local folder.
pub fn registry(home: &Home) -> Result<Arc<dyn Registry>, TrackingError> {
    if MlflowConfig::env("MLFLOW_REGISTRY_URI").is_some()
        && let Some(config) = MlflowConfig::registry(MlflowConfig::env)?
    {
        return Ok(Arc::new(MlflowRegistry::new(config, home.root(), system_clock())?));
    }
    Ok(Arc::new(LocalRegistry::open(&home.models())?))
}

/// MLflow's settings: the environment's, else the pipeline's; `None` without either.
pub fn mlflow_config(pipeline: &Pipeline) -> Result<Option<MlflowConfig>, MlflowError> {
    let from_file = |name: &str| match name {
        "MLFLOW_TRACKING_URI" => MlflowConfig::env(name).or_else(|| pipeline.mlflow.tracking_uri.clone()),
        _ => MlflowConfig::env(name),
    };
    MlflowConfig::tracking(from_file)
}

/// Whether MLflow answers; `None` where it is not configured.
pub fn mlflow_status(config: Option<MlflowConfig>) -> Option<Result<String, MlflowError>> {
    let config = config?;
    let server = config.server.to_string();
    Some(
        Client::new(config)
            .and_then(|client| client.server_info())
            .map(|info| format!("{server} answers, MLflow {}", info.version)),
    )
}

/// Settings as flat keys, one per knob.
fn params(pipeline: &Pipeline) -> Result<IndexMap<String, String>, serde_json::Error> {
    let mut flat = IndexMap::new();
    flatten("", &serde_json::to_value(pipeline)?, &mut flat);
    // A token is not for a record that others read.
    flat.retain(|key, _| key != "serve.token");
    Ok(flat)
}

fn flatten(path: &str, value: &serde_json::Value, flat: &mut IndexMap<String, String>) {
    match value {
        serde_json::Value::Object(inner) => {
            for (key, value) in inner {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                flatten(&path, value, flat);
            }
        }
        serde_json::Value::Null => {}
        serde_json::Value::String(text) => drop(flat.insert(path.to_owned(), text.clone())),
        value => drop(flat.insert(path.to_owned(), value.to_string())),
    }
}

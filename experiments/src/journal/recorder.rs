use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use cupola_training::tracker::Tracker;
use indexmap::IndexMap;

use super::clock::{Clock, system_clock};
use super::error::JournalError;
use super::event::{
    Artifact, DatasetInput, DatasetRef, Event, LoggedModel, MetricValue, Metrics, PrimaryMetric,
    RegisteredVersion, RunEnd, RunFinished, RunStarted, StageDone,
};
use super::lock::FileLock;
use super::provenance;
use super::reader::Reader;
use super::run_dir::RunDir;
use super::writer::{Message, Progress, Writer};

/// What a new run is.
#[derive(Clone, Debug, Default)]
pub struct RunSpec {
    /// Id, also the folder's name. Default: a new one, ordered by time.
    pub run_id: Option<String>,
    /// The pipeline's name.
    pub experiment: String,
    /// Name for people. Default: the start of the run id.
    pub name: Option<String>,
    /// Settings, one per knob.
    pub params: IndexMap<String, String>,
    /// Labels.
    pub tags: IndexMap<String, String>,
    /// The pipeline file; the repository it is in is recorded with it.
    pub source: Option<PathBuf>,
    /// Where it computes.
    pub device: Option<String>,
    /// Run it is a part of.
    pub parent: Option<String>,
    /// What runs are compared by.
    pub primary_metric: Option<PrimaryMetric>,
}

/// How a journal is written.
#[derive(Clone)]
pub struct JournalOptions {
    /// Gives the time of each event.
    pub clock: Clock,
    /// Longest time an event waits for its fsync.
    pub sync_interval_ms: u64,
    /// Events that may wait for the disk; past that the caller waits too, so that none is lost.
    pub queue_events_max: usize,
}

impl Default for JournalOptions {
    fn default() -> Self {
        Self { clock: system_clock(), sync_interval_ms: 100, queue_events_max: 8192 }
    }
}

/// The journal of one run, held by the one process that writes it.
pub struct Journal {
    run: RunDir,
    clock: Clock,
    // Taken when the journal closes, which lets the writer thread end.
    queue: Mutex<Option<SyncSender<Message>>>,
    writer: Mutex<Option<JoinHandle<()>>>,
    progress: Arc<Progress>,
    known: Mutex<HashMap<String, String>>,
    recorded_steps: HashMap<String, u64>,
    _lock: FileLock,
}

impl Journal {
    /// Starts a run.
    ///
    /// # Errors
    /// The id is taken or not a plain name, or the folder cannot be written.
    pub fn create(home: &Path, spec: RunSpec, options: &JournalOptions) -> Result<Self, JournalError> {
        let run_id = spec.run_id.clone().unwrap_or_else(|| uuid::Uuid::now_v7().simple().to_string());
        let run = RunDir::new(home, &run_id)?;
        fs::create_dir_all(run.path()).map_err(|source| JournalError::io("create", &run.path(), source))?;
        let lock = take_lock(&run)?;
        if run.journal().exists() {
            return Err(JournalError::Exists { run_id });
        }
        let started = started(run_id, spec, (options.clock)());
        let journal = Self::start(run, lock, Recorded::default(), options)?;
        journal.remember(&started.params);
        journal.append(Event::RunStarted(Box::new(started)), true);
        journal.flush()?;
        sync_folder(&journal.run.path())?;
        sync_folder(&home.join("runs"))?;
        Ok(journal)
    }

    /// Opens the journal of an existing run to add to it, such as a tag after its end.
    ///
    /// # Errors
    /// No such run, another process is writing it, or its file is damaged before the last line.
    pub fn open(home: &Path, run_id: &str, options: &JournalOptions) -> Result<Self, JournalError> {
        let run = RunDir::new(home, run_id)?;
        if !run.journal().is_file() {
            return Err(JournalError::Unknown { run_id: run_id.into(), home: home.into() });
        }
        let lock = take_lock(&run)?;
        let recorded = Recorded::read(&run.journal())?;
        Self::start(run, lock, recorded, options)
    }

    /// Goes on with an interrupted run. What it recorded before is not recorded again: a metric
    /// at a step that its key has passed, and a parameter that is known, are left out.
    ///
    /// # Errors
    /// As [`Journal::open`].
    pub fn resume(
        home: &Path,
        run_id: &str,
        device: Option<String>,
        options: &JournalOptions,
    ) -> Result<Self, JournalError> {
        let journal = Self::open(home, run_id, options)?;
        journal.append(Event::RunResumed { device }, true);
        journal.flush()?;
        Ok(journal)
    }

    fn start(
        run: RunDir,
        lock: FileLock,
        recorded: Recorded,
        options: &JournalOptions,
    ) -> Result<Self, JournalError> {
        let path = run.journal();
        let opened = OpenOptions::new().create(true).append(true).open(&path);
        let file = opened.map_err(|source| JournalError::io("open", &path, source))?;
        // A line without its end was being written when the process died.
        file.set_len(recorded.len).map_err(|source| JournalError::io("truncate", &path, source))?;
        let progress = Arc::new(Progress::default());
        progress.synced_len.store(recorded.len, Ordering::Release);
        let writer = Writer {
            file,
            path: path.clone(),
            next_seq: recorded.last_seq + 1,
            len: recorded.len,
            sync_interval: Duration::from_millis(options.sync_interval_ms),
            progress: progress.clone(),
        };
        let (queue, messages) = sync_channel(options.queue_events_max.max(1));
        let writer = std::thread::Builder::new()
            .name("cupola-journal".into())
            .spawn(move || writer.run(&messages))
            .map_err(|source| JournalError::io("start the writer of", &path, source))?;
        Ok(Self {
            run,
            clock: options.clock.clone(),
            queue: Mutex::new(Some(queue)),
            writer: Mutex::new(Some(writer)),
            progress,
            known: Mutex::new(recorded.params),
            recorded_steps: recorded.steps,
            _lock: lock,
        })
    }

    /// Id of the run.
    pub fn run_id(&self) -> &str {
        self.run.run_id()
    }

    /// Folder of the run.
    pub fn run_dir(&self) -> &RunDir {
        &self.run
    }

    /// Follows how much of the file is on the disk; what is beyond may be lost with the power.
    pub fn synced(&self) -> SyncedLen {
        SyncedLen(self.progress.clone())
    }

    /// The first step of a metric that is not recorded yet.
    pub fn next_step(&self, key: &str) -> u64 {
        self.recorded_steps.get(key).map_or(0, |step| step + 1)
    }

    /// Values at one step that belong to a logged model or were measured on a dataset of the run.
    pub fn metrics_of(
        &self,
        model: Option<&str>,
        dataset: Option<&DatasetRef>,
        step: u64,
        metrics: &[(&str, f64)],
    ) {
        let fresh = |key: &str| self.recorded_steps.get(key).is_none_or(|&recorded| step > recorded);
        let metrics: IndexMap<String, MetricValue> = metrics
            .iter()
            .filter(|(key, _)| fresh(key))
            .map(|&(key, value)| (key.into(), MetricValue(value)))
            .collect();
        if !metrics.is_empty() {
            let event = Metrics { step, metrics, model: model.map(Into::into), dataset: dataset.cloned() };
            self.append(Event::Metrics(event), false);
        }
    }

    /// Labels; a later value replaces an earlier one.
    pub fn tags(&self, tags: &[(&str, &str)]) {
        let tags = tags.iter().map(|&(key, value)| (key.into(), value.into())).collect();
        self.append(Event::Tags { tags }, true);
    }

    /// Data the run reads.
    pub fn dataset(&self, dataset: DatasetInput) {
        self.append(Event::Dataset(Box::new(dataset)), true);
    }

    /// A stage of the pipeline ended.
    pub fn stage(&self, stage: StageDone) {
        self.append(Event::Stage(stage), true);
    }

    /// A file or folder to keep with the run, and the folder among its artefacts it goes into. It
    /// must stay where it is until it is shipped.
    pub fn artifact(&self, local: &Path, folder: &str) {
        let artifact = Artifact { local: self.run.to_stored(local), folder: folder.trim_matches('/').into() };
        self.append(Event::Artifact(artifact), true);
    }

    /// A bundle the run made. It must stay where it is until it is shipped.
    pub fn model(&self, name: &str, bundle: &Path, step: u64) {
        let model = LoggedModel { name: name.into(), bundle: self.run.to_stored(bundle), step };
        self.append(Event::Model(model), true);
    }

    /// A bundle of the run became a version of a model.
    pub fn registered(&self, version: RegisteredVersion) {
        self.append(Event::Registered(version), true);
    }

    /// Waits until everything so far is on the disk.
    ///
    /// # Errors
    /// An event had to be given up.
    pub fn flush(&self) -> Result<(), JournalError> {
        let (reply, done) = sync_channel(1);
        self.send(Message::Flush(reply));
        let answered = done.recv().is_ok();
        match self.progress.failure() {
            Some(reason) => Err(JournalError::Incomplete { path: self.run.journal(), reason }),
            None if !answered => Err(JournalError::Incomplete {
                path: self.run.journal(),
                reason: "its writer is closed".into(),
            }),
            None => Ok(()),
        }
    }

    /// Ends the run and waits until that is on the disk.
    ///
    /// # Errors
    /// An event had to be given up.
    pub fn finish(&self, status: RunEnd, error: Option<&str>) -> Result<(), JournalError> {
        let event = RunFinished { status, end_ms: (self.clock)(), error: error.map(Into::into) };
        self.append(Event::RunFinished(event), true);
        self.flush()
    }

    fn append(&self, event: Event, durable: bool) {
        self.send(Message::Append { time_ms: (self.clock)(), event, durable });
    }

    fn send(&self, message: Message) {
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(queue) = queue {
            // The writer only ends after this handle is closed.
            let _ = queue.send(message);
        }
    }

    /// Keeps the parameters that are new, and says which those are.
    fn remember(&self, params: &IndexMap<String, String>) -> IndexMap<String, String> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let mut new = IndexMap::new();
        for (key, value) in params {
            match known.get(key) {
                None => {
                    known.insert(key.clone(), value.clone());
                    new.insert(key.clone(), value.clone());
                }
                Some(kept) if kept != value => {
                    tracing::warn!(key, kept, refused = value, "a parameter of a run keeps its first value");
                }
                Some(_) => {}
            }
        }
        new
    }
}

impl Tracker for Journal {
    fn params(&self, params: &[(String, String)]) {
        let params = self.remember(&params.iter().cloned().collect());
        if !params.is_empty() {
            self.append(Event::Params { params }, true);
        }
    }

    fn metrics(&self, step: u64, metrics: &[(&str, f64)]) {
        self.metrics_of(None, None, step, metrics);
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writer) = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let _ = writer.join();
        }
    }
}

/// Bytes of a journal that are on the disk for certain.
#[derive(Clone)]
pub struct SyncedLen(Arc<Progress>);

impl SyncedLen {
    /// Bytes right now.
    pub fn get(&self) -> u64 {
        self.0.synced_len.load(Ordering::Acquire)
    }
}

fn started(run_id: String, spec: RunSpec, start_ms: u64) -> RunStarted {
    // The end of a time-ordered id is its random part.
    let name = spec
        .name
        .unwrap_or_else(|| format!("{}-{}", spec.experiment, &run_id[run_id.len().saturating_sub(8)..]));
    let folder = spec
        .source
        .as_deref()
        .map(|source| source.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new(".")));
    RunStarted {
        run_id,
        experiment: spec.experiment,
        name,
        start_ms,
        params: spec.params,
        tags: spec.tags,
        user: provenance::user(),
        git: folder.and_then(provenance::git),
        source_name: spec.source.map(|source| source.display().to_string()),
        device: spec.device,
        parent: spec.parent,
        primary_metric: spec.primary_metric,
    }
}

fn take_lock(run: &RunDir) -> Result<FileLock, JournalError> {
    FileLock::take(&run.lock())
        .map_err(|source| JournalError::io("lock", &run.lock(), source))?
        .ok_or_else(|| JournalError::Busy { run_id: run.run_id().into() })
}

fn sync_folder(path: &Path) -> Result<(), JournalError> {
    File::open(path)
        .and_then(|folder| folder.sync_all())
        .map_err(|source| JournalError::io("sync", path, source))
}

/// What a journal holds already.
#[derive(Default)]
struct Recorded {
    len: u64,
    last_seq: u64,
    params: HashMap<String, String>,
    steps: HashMap<String, u64>,
}

impl Recorded {
    fn read(path: &Path) -> Result<Self, JournalError> {
        let mut recorded = Self::default();
        let mut reader = Reader::open(path, 0)?;
        while let Some(entry) = reader.next(u64::MAX)? {
            recorded.last_seq = entry.seq;
            match entry.event {
                Event::RunStarted(started) => recorded.params.extend(started.params),
                Event::Params { params } => recorded.params.extend(params),
                Event::Metrics(at) => {
                    for (key, _) in at.metrics {
                        let last = recorded.steps.entry(key).or_insert(at.step);
                        *last = at.step.max(*last);
                    }
                }
                _ => {}
            }
        }
        recorded.len = reader.offset();
        Ok(recorded)
    }
}

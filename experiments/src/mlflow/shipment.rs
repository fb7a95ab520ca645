use super::batch::{self, Item, MetricItem};
use super::client::Client;
use super::error::MlflowError;
use super::logged_models::{self, LocalBundle};
use super::model_versions::{self, NewVersion};
use super::state::{ShippedState, shipped};
use super::storage::Storage;
use super::{datasets, experiments, limits, runs};
use crate::journal::{
    Artifact, Entry, Event, FileLock, LoggedModel, Metrics, Reader, RegisteredVersion, RunDir, RunFinished,
    RunStarted,
};

/// One run on its way to one server. Each event is sent once: what has arrived is noted after
/// every request, and whatever was sent without an answer is looked for before it is sent again.
pub(super) struct Shipment<'a> {
    client: &'a Client,
    run: RunDir,
    state: ShippedState,
    reader: Reader,
    /// Up to this byte of the journal, what is sent may have arrived before.
    doubtful_until: u64,
    _lock: FileLock,
}

impl<'a> Shipment<'a> {
    /// Takes up a run where the last process left it; `None` while another one sends it.
    pub(super) fn open(client: &'a Client, run: RunDir) -> Result<Option<Self>, MlflowError> {
        let path = run.mlflow_lock();
        let Some(lock) = FileLock::take(&path).map_err(|source| MlflowError::file("lock", &path, source))?
        else {
            return Ok(None);
        };
        let state = shipped(&run, client.server());
        let len = std::fs::metadata(run.journal()).map_or(0, |data| data.len());
        let reader = Reader::open(&run.journal(), state.offset)?;
        // The last process may have died between an arrival and the note of it.
        let doubtful_until = if state.run_id.is_some() { len } else { 0 };
        Ok(Some(Self { client, run, state, reader, doubtful_until, _lock: lock }))
    }

    /// What has arrived.
    pub(super) fn state(&self) -> &ShippedState {
        &self.state
    }

    /// Sends the next few events before byte `until` of the journal. Whether there were any.
    ///
    /// # Errors
    /// Nothing is noted of what failed; call again to go on from there.
    pub(super) fn advance(&mut self, until: u64) -> Result<bool, MlflowError> {
        self.reader.rewind(self.state.offset)?;
        let batch = self.read_batch(until)?;
        if batch.entries.is_empty() {
            return Ok(false);
        }
        let end = batch.end;
        let sent = self.send(batch);
        if sent.is_err() {
            self.doubtful_until = self.doubtful_until.max(end);
        }
        sent?;
        self.state.offset = end;
        self.state.save(&self.run, self.client.server())?;
        Ok(true)
    }

    /// Tells the server that the process of a run died without an end.
    pub(super) fn close_interrupted(&mut self) -> Result<(), MlflowError> {
        if let (Some(run_id), false) = (&self.state.run_id, self.state.is_over) {
            runs::update(self.client, run_id, "KILLED", Some(self.state.last_ms))?;
            self.state.is_over = true;
            self.state.save(&self.run, self.client.server())?;
        }
        Ok(())
    }

    /// Either entries that go out in one batch, or one that is sent alone.
    fn read_batch(&mut self, until: u64) -> Result<Batch, MlflowError> {
        let mut batch = Batch { entries: Vec::new(), end: self.state.offset };
        let mut n_items = 0;
        while let Some(entry) = self.reader.next(until)? {
            let size = n_batch_items(&entry.event);
            let is_first = batch.entries.is_empty();
            if !is_first && (size == 0 || n_items + size > limits::BATCH_ITEMS_MAX) {
                break;
            }
            n_items += size;
            batch.end = self.reader.offset();
            batch.entries.push(entry);
            if size == 0 {
                break;
            }
        }
        Ok(batch)
    }

    fn send(&mut self, batch: Batch) -> Result<(), MlflowError> {
        let (seq, last_ms) = batch.entries.last().map_or((0, 0), |entry| (entry.seq, entry.time_ms));
        if n_batch_items(&batch.entries[0].event) > 0 {
            let items = batch.entries.iter().flat_map(|entry| self.items(entry)).collect();
            self.send_items(items, batch.end, seq)?;
        } else {
            for entry in batch.entries {
                match self.send_alone(&entry, batch.end) {
                    Err(error)
                        if error.is_about_one_event() && !matches!(entry.event, Event::RunStarted(_)) =>
                    {
                        self.check_run_is_there()?;
                        self.state.refuse(entry.seq, &error);
                    }
                    result => result?,
                }
            }
        }
        self.state.seq = seq;
        self.state.last_ms = last_ms;
        Ok(())
    }

    fn send_items(&mut self, items: Vec<Item>, end: u64, seq: u64) -> Result<(), MlflowError> {
        let run_id = self.run_id()?.to_string();
        let is_doubtful = self.state.offset < self.doubtful_until;
        let items = if is_doubtful { batch::missing(self.client, &run_id, items)? } else { items };
        match batch::send(self.client, &run_id, &items) {
            Ok(refused) => {
                if !refused.is_empty() {
                    self.check_run_is_there()?;
                }
                for error in &refused {
                    self.state.refuse(seq, error);
                }
                Ok(())
            }
            Err(error) => {
                self.doubtful_until = self.doubtful_until.max(end);
                if error.is_not_there() {
                    self.check_run_is_there()?;
                }
                Err(error)
            }
        }
    }

    fn send_alone(&mut self, entry: &Entry, end: u64) -> Result<(), MlflowError> {
        match &entry.event {
            Event::RunStarted(started) => self.start(started, end, entry.seq),
            Event::RunResumed { .. } => {
                self.state.is_over = false;
                runs::update(self.client, self.run_id()?, "RUNNING", None)
            }
            Event::Dataset(input) => datasets::log_input(self.client, &self.run, self.run_id()?, input),
            Event::Artifact(artifact) => self.artifact(artifact),
            Event::Model(model) => self.model(model, entry.time_ms),
            Event::Registered(version) => self.register(version, entry),
            Event::RunFinished(finished) => self.finish(finished),
            // MLflow has the seconds of stages among the metrics.
            Event::Stage(_) | Event::Params { .. } | Event::Metrics(_) | Event::Tags { .. } => Ok(()),
        }
    }

    fn start(&mut self, started: &RunStarted, end: u64, seq: u64) -> Result<(), MlflowError> {
        let name = self.client.config().experiment.as_deref().unwrap_or(&started.experiment);
        let experiment_id = experiments::ensure(self.client, name)?;
        if let Some(metric) = &started.primary_metric {
            experiments::set_primary_metric(self.client, &experiment_id, metric)?;
        }
        let found = runs::find(self.client, &[&experiment_id], &started.run_id)?;
        let run = match found {
            Some(run) => {
                // It was made by a process whose notes are lost; it may have sent anything.
                self.doubtful_until = std::fs::metadata(self.run.journal()).map_or(end, |data| data.len());
                run
            }
            None => {
                let parent = match &started.parent {
                    Some(parent) => {
                        runs::find(self.client, &[&experiment_id], parent)?.map(|run| run.info.run_id)
                    }
                    None => None,
                };
                runs::create(self.client, &experiment_id, started, parent.as_deref())?
            }
        };
        self.state.run_id = Some(run.info.run_id);
        self.state.experiment_id = experiment_id;
        self.state.artifact_uri = run.info.artifact_uri;
        self.state.save(&self.run, self.client.server())?;
        let mut items: Vec<Item> =
            started.params.iter().map(|(key, value)| Item::param(key, value)).collect();
        items.extend(runs::source_tags(started).iter().map(|(key, value)| Item::tag(key, value)));
        items.extend(started.tags.iter().map(|(key, value)| Item::tag(key, value)));
        self.send_items(items, end, seq)
    }

    fn artifact(&self, artifact: &Artifact) -> Result<(), MlflowError> {
        Storage::new(self.client, &self.state.artifact_uri)?
            .upload(&self.run.from_stored(&artifact.local), &artifact.folder)
    }

    fn model(&mut self, model: &LoggedModel, time_ms: u64) -> Result<(), MlflowError> {
        let dir = self.run.from_stored(&model.bundle);
        let bundle = LocalBundle::open(&dir)?;
        let run_id = self.run_id()?;
        let home = logged_models::Home {
            experiment_id: &self.state.experiment_id,
            run_id: Some(run_id),
            created_ms: time_ms,
        };
        let info = logged_models::ensure(self.client, &home, &model.name, &bundle)?;
        runs::ensure_output(self.client, run_id, &info.model_id, model.step)?;
        self.state.models.insert(model.name.clone(), info.model_id);
        Ok(())
    }

    fn register(&mut self, registered: &RegisteredVersion, entry: &Entry) -> Result<(), MlflowError> {
        if registered.in_mlflow {
            return Ok(());
        }
        let Some(model_id) = self.state.models.get(&registered.model) else {
            let reason = format!(
                "logged model {:?} of this run is not on the server, so version {} is not either",
                registered.model, registered.version
            );
            return Err(MlflowError::Bundle { dir: self.run.path(), reason });
        };
        let digest =
            logged_models::get(self.client, model_id)?.bundle_digest().unwrap_or_default().to_string();
        let version = model_versions::ensure(
            self.client,
            &NewVersion {
                name: &registered.name,
                registration: &format!("{}:{}", self.run.run_id(), entry.seq),
                model_id,
                mlflow_run_id: self.state.run_id.as_deref(),
                run_id: self.run.run_id(),
                bundle_digest: &digest,
                registered_ms: entry.time_ms,
            },
        )?;
        if let Some(alias) = &registered.alias {
            model_versions::set_alias_in_order(self.client, &registered.name, alias, &version)?;
        }
        self.state.versions.insert(registered.name.clone(), version.version);
        Ok(())
    }

    fn finish(&mut self, finished: &RunFinished) -> Result<(), MlflowError> {
        let run_id = self.run_id()?;
        if let Some(error) = &finished.error {
            batch::send(self.client, run_id, &[Item::tag("cupola.error", error)])?;
        }
        runs::update(self.client, run_id, runs::status(finished.status), Some(finished.end_ms))?;
        self.state.is_over = true;
        Ok(())
    }

    fn items(&self, entry: &Entry) -> Vec<Item> {
        match &entry.event {
            Event::Params { params } => params.iter().map(|(key, value)| Item::param(key, value)).collect(),
            Event::Tags { tags } => tags.iter().map(|(key, value)| Item::tag(key, value)).collect(),
            Event::Metrics(at) => self.metrics(at, entry.time_ms),
            _ => Vec::new(),
        }
    }

    fn metrics(&self, at: &Metrics, time_ms: u64) -> Vec<Item> {
        let model_id = at.model.as_ref().and_then(|model| self.state.models.get(model));
        let items = at.metrics.iter().map(|(key, value)| {
            Item::Metric(MetricItem {
                key: limits::key(key),
                value: *value,
                timestamp: time_ms as i64,
                step: i64::try_from(at.step).unwrap_or(i64::MAX),
                model_id: model_id.cloned(),
                dataset_name: at.dataset.as_ref().map(|dataset| limits::dataset_name(&dataset.name)),
                dataset_digest: at.dataset.as_ref().map(|dataset| limits::digest(&dataset.digest)),
            })
        });
        items.collect()
    }

    fn run_id(&self) -> Result<&str, MlflowError> {
        self.state.run_id.as_deref().ok_or_else(|| MlflowError::Reply {
            server: self.client.server().into(),
            call: "runs/create".into(),
            reason: "the journal does not begin with the start of a run".into(),
        })
    }

    /// After a refusal: whether everything would be refused, because the run is gone.
    fn check_run_is_there(&self) -> Result<(), MlflowError> {
        let gone = || MlflowError::RunDeleted {
            run_id: self.run.run_id().into(),
            server: self.client.server().into(),
        };
        match runs::get(self.client, self.run_id()?) {
            Ok(run) if run.info.lifecycle_stage == "deleted" => Err(gone()),
            Err(error) if error.is_not_there() => Err(gone()),
            result => result.map(|_| ()),
        }
    }
}

struct Batch {
    entries: Vec<Entry>,
    /// Byte of the journal after the last entry.
    end: u64,
}

/// Places an event takes in a batch; 0 for one that is sent alone.
fn n_batch_items(event: &Event) -> usize {
    match event {
        Event::Params { params } => params.len().max(1),
        Event::Tags { tags } => tags.len().max(1),
        Event::Metrics(at) => at.metrics.len().max(1),
        _ => 0,
    }
}

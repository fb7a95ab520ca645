use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Instant;

use cupola_datasets::Lake;
use cupola_datasets::engines::LocalEngine;
use cupola_models::registry::Registry;
use cupola_models::{Device, device};
use cupola_training::tracker::Tracker;
use serde::{Deserialize, Serialize};

use super::error::RunError;
use super::evaluate::Evaluated;
use super::observer::{Observer, Stage, StageSummary};
use super::register::Registered;
use super::store::StageStore;
use super::{evaluate, features, ingest, prepare, register, report, train};
use crate::home::Home;
use crate::journal::{DatasetInput, DatasetSource};
use crate::pipeline::{LoadedPipeline, Pipeline};

/// What a run is asked to do.
pub struct RunOptions<'a> {
    /// Where everything is kept.
    pub home: &'a Home,
    /// First stage that may run; the ones before it must have a result.
    pub from: Stage,
    /// Last stage that runs.
    pub to: Stage,
    /// Where the version goes.
    pub registry: &'a dyn Registry,
    /// Receives parameters and metrics.
    pub tracker: &'a dyn Tracker,
    /// Watches the stages.
    pub observer: &'a dyn Observer,
    /// Id of the run.
    pub run_id: &'a str,
    /// Time of the run, microseconds since 1970 in UTC.
    pub now_micros: i64,
}

/// What a run did.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunOutcome {
    /// Id of the run.
    pub run_id: String,
    /// Pipeline that ran.
    pub pipeline: String,
    /// Stages in order.
    pub stages: Vec<StageSummary>,
    /// The clean table, if the run came that far.
    pub dataset: Option<DatasetInput>,
    /// The data profile as a page, if the run came that far.
    pub profile: Option<PathBuf>,
    /// Metrics and report, if the run came that far.
    pub evaluated: Option<Evaluated>,
    /// Registered version, if the run came that far.
    pub registered: Option<Registered>,
}

/// What every stage sees.
pub struct Context<'a> {
    pub pipeline: &'a Pipeline,
    pub base_dir: &'a Path,
    pub lake: Lake,
    pub engine: LocalEngine,
    pub store: StageStore,
    pub device: Device,
    pub from: Stage,
    pub tracker: &'a dyn Tracker,
    pub observer: &'a dyn Observer,
    pub registry: &'a dyn Registry,
    pub run_id: &'a str,
    pub now_micros: i64,
}

impl Context<'_> {
    /// Whether a stage without a kept result may run.
    pub fn allow(&self, stage: Stage) -> Result<(), RunError> {
        if stage < self.from { Err(RunError::NoInput { stage: self.from }) } else { Ok(()) }
    }
}

/// Runs a pipeline. Stages whose inputs and settings did not change are not run again.
pub fn run(loaded: &LoadedPipeline, options: &RunOptions<'_>) -> Result<RunOutcome, RunError> {
    let pipeline = &loaded.pipeline;
    let device = device::choose(pipeline.device)?;
    let store = StageStore::open(options.home.stages(&pipeline.name))?;
    let _lock = lock(options.home, &pipeline.name)?;
    let context = Context {
        pipeline,
        base_dir: &loaded.base_dir,
        lake: Lake::open(&options.home.lake())?,
        engine: LocalEngine::start(Default::default(), &options.home.root().join("spill"))
            .map_err(|error| RunError::Data(error.to_string()))?,
        store,
        device,
        from: options.from,
        tracker: options.tracker,
        observer: options.observer,
        registry: options.registry,
        run_id: options.run_id,
        now_micros: options.now_micros,
    };
    let mut outcome = RunOutcome {
        run_id: options.run_id.to_owned(),
        pipeline: pipeline.name.clone(),
        stages: Vec::new(),
        dataset: None,
        profile: None,
        evaluated: None,
        registered: None,
    };
    stages(&context, options.to, &mut outcome)?;
    // Where all results are kept ones, so is the report.
    let is_new = outcome.stages.iter().any(|stage| stage.stage >= Stage::Evaluate && !stage.reused);
    if let Some(evaluated) = outcome.evaluated.as_ref().filter(|_| is_new) {
        report::write(evaluated, &outcome)?;
    }
    Ok(outcome)
}

fn stages(context: &Context<'_>, to: Stage, outcome: &mut RunOutcome) -> Result<(), RunError> {
    let mut steps = Steps { context, to, done: &mut outcome.stages };
    let Some(ingested) = steps.step(Stage::Ingest, || ingest::run(context), ingest_text)? else {
        return Ok(());
    };
    let Some(prepared) = steps.step(
        Stage::Prepare,
        || prepare::run(context, &ingested),
        |p| format!("{} rows clean, profile in {}", p.clean.n_rows, p.page.display()),
    )?
    else {
        return Ok(());
    };
    outcome.dataset = Some(dataset(context, &ingested, &prepared));
    outcome.profile = Some(prepared.page.clone());
    let Some(featured) = steps.step(Stage::Features, || features::run(context, &ingested, &prepared), |f| {
        let (numeric, categorical) = (f.plan.numeric.len(), f.plan.categorical.len());
        format!("{numeric} numeric and {categorical} categorical features; {} rows train, {} validate, {} test", f.n_train, f.n_validation, f.n_test)
    })?
    else {
        return Ok(());
    };
    let Some(trained) = steps.step(Stage::Train, || train::run(context, &featured), |t| t.summary.clone())?
    else {
        return Ok(());
    };
    let Some(evaluated) = steps.step(
        Stage::Evaluate,
        || evaluate::run(context, &prepared, &featured, &trained),
        Evaluated::text,
    )?
    else {
        return Ok(());
    };
    outcome.evaluated = Some(evaluated.clone());
    let registered = steps.step(Stage::Register, || register::run(context, &evaluated), Registered::text)?;
    outcome.registered = registered;
    Ok(())
}

/// The clean table as the input of the run's training.
fn dataset(context: &Context<'_>, ingested: &ingest::Ingested, prepared: &prepare::Prepared) -> DatasetInput {
    DatasetInput {
        name: prepared.clean.table.clone(),
        digest: prepared.digest.clone(),
        context: "training".into(),
        source: DatasetSource::Table {
            path: context.lake.root.join(&prepared.clean.table),
            table: prepared.clean.clone(),
        },
        schema: ingested.schema.clone(),
        n_rows: prepared.clean.n_rows,
    }
}

fn ingest_text(ingested: &ingest::Ingested) -> String {
    format!(
        "{} rows from {}, {} records quarantined",
        ingested.raw.n_rows, ingested.source, ingested.n_quarantined
    )
}

/// Runs one stage after the other, timed and announced.
struct Steps<'a> {
    context: &'a Context<'a>,
    to: Stage,
    done: &'a mut Vec<StageSummary>,
}

impl Steps<'_> {
    /// `None` where the run ends before this stage.
    fn step<T>(
        &mut self,
        stage: Stage,
        work: impl FnOnce() -> Result<(T, bool), RunError>,
        text: impl FnOnce(&T) -> String,
    ) -> Result<Option<T>, RunError> {
        if stage > self.to {
            return Ok(None);
        }
        self.context.observer.started(stage);
        let start = Instant::now();
        let (result, reused) = work()?;
        let summary =
            StageSummary { stage, reused, seconds: start.elapsed().as_secs_f64(), text: text(&result) };
        self.context.observer.finished(&summary);
        self.done.push(summary);
        Ok(Some(result))
    }
}

/// Held until the run ends; released by the system when the process dies.
pub(super) fn lock(home: &Home, pipeline: &str) -> Result<File, RunError> {
    let path = home.lock(pipeline);
    let failed = |source| RunError::Io { path: path.clone(), source };
    let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(RunError::Busy { pipeline: pipeline.to_owned() }),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

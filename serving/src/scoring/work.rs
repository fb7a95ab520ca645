use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use arrow::record_batch::RecordBatch;
use cupola_datasets::records::{FieldError, RowsBuilder};
use cupola_datasets::{CompiledPlan, Schema};
use cupola_models::{Bundle, Predictor, Scores};

use super::drift::DriftWatch;
use super::job::{Answer, JobError, PredictJob, RecordError, ScoreError};
use super::pad::predict;
use super::warm::blank_rows;
use crate::batching::{BatchWork, Queued};
use crate::records::check;
use crate::telemetry::VersionMetrics;

/// Broken fields told per request.
const FIELD_ERRORS_MAX: usize = 100;

/// Batch sizes that are run before the first request where the predictor names none.
const WARM_SIZES: [usize; 2] = [1, 64];

/// Reads, prepares and scores batches with one version.
pub struct ScoreWork {
    input: Arc<Schema>,
    plan: Arc<CompiledPlan>,
    predictor: Arc<dyn Predictor>,
    metrics: Arc<VersionMetrics>,
    drift: Option<DriftWatch>,
    /// Idle builders, at most one per thread that ever ran a batch at the same time.
    builders: Mutex<Vec<RowsBuilder>>,
}

/// A job's rows in the batch, or why it has none.
type Read = Result<std::ops::Range<usize>, JobError>;

impl ScoreWork {
    /// Work of a loaded bundle; without `drift`, none is measured.
    pub fn new(bundle: &Bundle, metrics: Arc<VersionMetrics>, drift: Option<DriftWatch>) -> Self {
        Self {
            input: Arc::new(bundle.plan.fitted().input.clone()),
            plan: bundle.plan.clone(),
            predictor: bundle.predictor.clone(),
            metrics,
            drift,
            builders: Mutex::default(),
        }
    }

    /// Columns a record brings.
    pub fn input(&self) -> &Schema {
        &self.input
    }

    /// What is measured about drift, if anything is.
    pub fn drift(&self) -> Option<&DriftWatch> {
        self.drift.as_ref()
    }

    /// Runs everything once, so that the first request does not pay for it.
    pub fn warm(&self) -> Result<(), ScoreError> {
        let sizes = self.predictor.batch_sizes();
        for &n_rows in if sizes.is_empty() { &WARM_SIZES } else { sizes } {
            if let Some(rows) = blank_rows(&self.input.arrow(), n_rows) {
                self.score(&rows)?;
            }
        }
        Ok(())
    }

    fn score(&self, rows: &RecordBatch) -> Result<Scores, ScoreError> {
        Ok(predict(&*self.predictor, self.plan.apply(rows)?)?)
    }

    /// Rows of all jobs one after the other, and where each job's are. The rows of a job that turns
    /// out broken half-way stay in the batch; nobody reads their scores.
    fn read(&self, jobs: &[Queued<PredictJob>]) -> (RecordBatch, Vec<Read>) {
        let mut builder = self.lock().pop().unwrap_or_else(|| RowsBuilder::new(self.input.clone()));
        let read = jobs.iter().map(|queued| read_job(&mut builder, &queued.job)).collect();
        let rows = builder.finish();
        self.lock().push(builder);
        (rows, read)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<RowsBuilder>> {
        self.builders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers `jobs`. When valid rows fail, each job is tried alone: no request fails because of
    /// those it was batched with.
    fn answer(&self, jobs: &mut Vec<Queued<PredictJob>>) {
        let (rows, read) = self.read(jobs);
        let scored = if rows.num_rows() == 0 { Ok(Scores::default()) } else { self.score(&rows) };
        match scored.map(Arc::new).map_err(Arc::new) {
            Err(_) if jobs.len() > 1 => {
                for job in jobs.drain(..) {
                    self.answer(&mut vec![job]);
                }
            }
            scored => {
                for (queued, read) in jobs.drain(..).zip(read) {
                    // An error means that the client has gone.
                    let _ = queued.job.reply.send(share(&scored, read));
                }
                // Nobody waits for this any more.
                if let (Some(drift), Ok(scores)) = (&self.drift, &scored) {
                    drift.observe(&rows, scores, Instant::now());
                }
            }
        }
    }
}

impl BatchWork for ScoreWork {
    type Job = PredictJob;

    fn run(&self, batch: &mut Vec<Queued<PredictJob>>) {
        let start = Instant::now();
        batch.retain(|queued| !queued.job.reply.is_closed());
        batch.iter().for_each(|queued| self.metrics.waited(start.duration_since(queued.since)));
        let n_rows = batch.iter().map(|queued| queued.weight.rows).sum();
        if n_rows > 0 {
            self.answer(batch);
            self.metrics.computed(n_rows, start.elapsed());
        }
    }
}

fn share(scored: &Result<Arc<Scores>, Arc<ScoreError>>, read: Read) -> Result<Answer, JobError> {
    let rows = read?;
    match scored {
        Ok(scores) => Ok(Answer { scores: scores.clone(), first: rows.start, n_rows: rows.len() }),
        Err(error) => Err(JobError::Failed(error.clone())),
    }
}

fn read_job(builder: &mut RowsBuilder, job: &PredictJob) -> Read {
    let start = builder.len();
    let mut broken = Vec::new();
    for i in 0..job.records.len() {
        if let Err(errors) = builder.push_json(job.records.get(&job.body, i)) {
            broken.push((i, errors));
        }
    }
    if broken.is_empty() { Ok(start..builder.len()) } else { Err(explain(job, broken)) }
}

/// Tells text that is not JSON from values that break the schema.
#[cold]
fn explain(job: &PredictJob, broken: Vec<(usize, Vec<FieldError>)>) -> JobError {
    let n_records = broken.len();
    for (i, _) in &broken {
        if let Err(error) = check(job.records.get(&job.body, *i)) {
            return JobError::Body(error);
        }
    }
    let fields = broken
        .into_iter()
        .flat_map(|(record, errors)| errors.into_iter().map(move |error| RecordError { record, error }));
    JobError::Invalid { n_records, fields: fields.take(FIELD_ERRORS_MAX).collect() }
}

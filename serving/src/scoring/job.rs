use std::sync::Arc;

use bytes::Bytes;
use cupola_datasets::features::PlanError;
use cupola_datasets::records::FieldError;
use cupola_models::Scores;
use cupola_models::predict::PredictError;
use tokio::sync::oneshot;

use crate::batching::Weight;
use crate::records::{BodyError, Records};

/// One request's records for one version.
pub struct PredictJob {
    /// Body of the request.
    pub body: Bytes,
    /// Where its records are.
    pub records: Records,
    /// Way back to the request.
    pub reply: oneshot::Sender<Result<Answer, JobError>>,
}

impl PredictJob {
    /// A job and the end its answer comes out of.
    pub fn new(body: Bytes, records: Records) -> (Self, oneshot::Receiver<Result<Answer, JobError>>) {
        let (reply, answer) = oneshot::channel();
        (Self { body, records, reply }, answer)
    }

    /// Its rows, and the body as the bytes it holds.
    pub fn weight(&self) -> Weight {
        Weight { rows: self.records.len(), bytes: self.body.len() }
    }
}

/// A job's part of the scores of its batch.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Scores of the whole batch.
    pub scores: Arc<Scores>,
    /// First row of the job.
    pub first: usize,
    /// Rows of the job, one per record.
    pub n_rows: usize,
}

impl Answer {
    /// Scores of record `i`.
    pub fn row(&self, i: usize) -> &[f32] {
        self.scores.row(self.first + i)
    }
}

/// Why a job has no scores.
#[derive(Clone, Debug, thiserror::Error)]
pub enum JobError {
    /// Values that break the schema.
    #[error("{n_records} of the records cannot be scored; see `fields`")]
    Invalid {
        /// Records at fault.
        n_records: usize,
        /// What is wrong where; the first hundred.
        fields: Vec<RecordError>,
    },
    /// A record that is not JSON.
    #[error(transparent)]
    Body(BodyError),
    /// The plan or the model failed on valid rows.
    #[error("scoring failed: {0}")]
    Failed(Arc<ScoreError>),
}

/// A value that breaks the schema.
#[derive(Clone, Debug)]
pub struct RecordError {
    /// Place of the record in the job.
    pub record: usize,
    /// The column and what is wrong.
    pub error: FieldError,
}

/// Why valid rows could not be scored.
#[derive(Debug, thiserror::Error)]
pub enum ScoreError {
    /// Rows could not become features.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// Features could not become scores.
    #[error(transparent)]
    Predict(#[from] PredictError),
}

//! From the records of one batch to scores, all together: read, plan, predict, share out.

mod drift;
mod job;
mod pad;
mod warm;
mod work;

#[cfg(test)]
mod tests;

pub use drift::DriftWatch;
pub use job::{Answer, JobError, PredictJob, RecordError, ScoreError};
pub use work::ScoreWork;

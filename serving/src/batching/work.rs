use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// What is done with a batch.
pub trait BatchWork: Send + Sync + 'static {
    /// One caller's share of a batch; carries the way back to its caller.
    type Job: Send + 'static;

    /// Takes every job out of `batch` and answers it. A job dropped without an answer must tell its
    /// caller so.
    fn run(&self, batch: &mut Vec<Queued<Self::Job>>);
}

/// What a job costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weight {
    /// Rows to score.
    pub rows: usize,
    /// Bytes it holds in memory.
    pub bytes: usize,
}

/// A job that was admitted.
pub struct Queued<J> {
    /// The job.
    pub job: J,
    /// Its cost.
    pub weight: Weight,
    /// When it was admitted.
    pub since: Instant,
    pub(super) admission: Option<Admission>,
}

impl<J> Queued<J> {
    /// Gives the job's place in the queue to the next one.
    pub(super) fn leave_queue(&mut self) {
        self.admission = None;
    }
}

/// A place in the queue, given back when dropped.
pub(super) struct Admission {
    waiting: Arc<AtomicUsize>,
    rows: usize,
}

impl Admission {
    /// Takes `rows` places unless fewer than that are left of `rows_max`.
    pub(super) fn take(waiting: &Arc<AtomicUsize>, rows: usize, rows_max: usize) -> Option<Self> {
        let before = waiting.fetch_add(rows, Ordering::Relaxed);
        let admission = Self { waiting: waiting.clone(), rows };
        (before + rows <= rows_max).then_some(admission)
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        self.waiting.fetch_sub(self.rows, Ordering::Relaxed);
    }
}

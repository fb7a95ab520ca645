use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::cost::CostModel;
use super::queue::Queue;
use super::work::{Admission, BatchWork, Queued, Weight};

/// Limits of a batcher.
#[derive(Clone, Copy, Debug)]
pub struct BatchLimits {
    /// Rows in a batch at most. A job larger than that is a batch of its own.
    pub rows: usize,
    /// Bytes in a batch at most. A job larger than that is a batch of its own.
    pub bytes: usize,
    /// Rows that wait at most; more are refused.
    pub waiting_rows: usize,
    /// Longest expected duration of a batch that the calling thread runs itself, in microseconds.
    pub inline_us: u64,
}

impl BatchLimits {
    /// Moves the first jobs that fit together from `waiting` to `batch`.
    pub(super) fn cut<J>(&self, waiting: &mut VecDeque<Queued<J>>, batch: &mut Vec<Queued<J>>) {
        let mut sum = Weight::default();
        while let Some(next) = waiting.front() {
            let (rows, bytes) = (sum.rows + next.weight.rows, sum.bytes + next.weight.bytes);
            if !batch.is_empty() && (rows > self.rows || bytes > self.bytes) {
                break;
            }
            sum = Weight { rows, bytes };
            batch.extend(waiting.pop_front());
        }
    }
}

/// As many rows wait as may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{waiting_rows_max} rows are waiting already; try again later or send fewer records at once")]
pub struct Overloaded {
    /// The limit that was met.
    pub waiting_rows_max: usize,
}

/// Runs one kind of work in batches, on threads of its own and, for short batches, on the caller's.
///
/// Dropping it lets its threads finish what waits, then end.
pub struct Batcher<W: BatchWork> {
    shared: Arc<Shared<W>>,
}

struct Shared<W: BatchWork> {
    work: W,
    queue: Queue<W::Job>,
    waiting: Arc<AtomicUsize>,
    limits: BatchLimits,
    costs: CostModel,
}

impl<W: BatchWork> Batcher<W> {
    /// Starts `n_threads` threads named `name`. With none, batches run on callers' threads only, or
    /// when [`Batcher::run_next`] is called.
    pub fn start(work: W, limits: BatchLimits, n_threads: usize, name: &str) -> io::Result<Self> {
        let waiting = Arc::new(AtomicUsize::new(0));
        let shared = Shared { work, queue: Queue::new(), waiting, limits, costs: CostModel::default() };
        let batcher = Self { shared: Arc::new(shared) };
        for _ in 0..n_threads {
            let shared = batcher.shared.clone();
            thread::Builder::new().name(name.into()).spawn(move || shared.run_until_closed())?;
        }
        Ok(batcher)
    }

    /// The work that is done.
    pub fn work(&self) -> &W {
        &self.shared.work
    }

    /// Rows that wait now.
    pub fn waiting_rows(&self) -> usize {
        self.shared.waiting.load(Ordering::Relaxed)
    }

    /// Gives a job a place, or refuses it. It runs once it is passed to [`Batcher::dispatch`] or
    /// [`Batcher::enqueue`].
    pub fn admit(&self, job: W::Job, weight: Weight) -> Result<Queued<W::Job>, Overloaded> {
        let waiting_rows_max = self.shared.limits.waiting_rows;
        let admission = Admission::take(&self.shared.waiting, weight.rows, waiting_rows_max)
            .ok_or(Overloaded { waiting_rows_max })?;
        Ok(Queued { job, weight, since: Instant::now(), admission: Some(admission) })
    }

    /// Has a job run by the batcher's threads.
    pub fn enqueue(&self, job: Queued<W::Job>) {
        self.shared.queue.push_all([job]);
    }

    /// Has jobs run: here and now when that is expected to be short and nobody waits before them,
    /// else by the batcher's threads. Leaves `jobs` empty.
    pub fn dispatch(&self, jobs: &mut VecDeque<Queued<W::Job>>) {
        let shared = &*self.shared;
        let rows = jobs.iter().map(|job| job.weight.rows).sum();
        let inline = Duration::from_micros(shared.limits.inline_us);
        if inline.is_zero() || shared.costs.expected(rows) > inline || !shared.queue.is_empty() {
            return shared.queue.push_all(jobs.drain(..));
        }
        let mut batch = Vec::with_capacity(jobs.len());
        while !jobs.is_empty() {
            shared.limits.cut(jobs, &mut batch);
            shared.run(&mut batch);
        }
    }

    /// Runs the next waiting batch on this thread; false when nothing waits.
    pub fn run_next(&self) -> bool {
        let mut batch = Vec::new();
        self.shared.queue.try_take(&self.shared.limits, &mut batch) && {
            self.shared.run(&mut batch);
            true
        }
    }
}

impl<W: BatchWork> Drop for Batcher<W> {
    fn drop(&mut self) {
        self.shared.queue.close();
    }
}

impl<W: BatchWork> Shared<W> {
    fn run_until_closed(&self) {
        let mut batch = Vec::new();
        while self.queue.take(&self.limits, &mut batch) {
            self.run(&mut batch);
        }
    }

    /// A panic in the work costs this batch, not the thread: dropped jobs tell their callers.
    fn run(&self, batch: &mut Vec<Queued<W::Job>>) {
        let rows = batch.iter().map(|job| job.weight.rows).sum();
        batch.iter_mut().for_each(Queued::leave_queue);
        let start = Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(|| self.work.run(batch)));
        self.costs.learn(rows, start.elapsed());
        if outcome.is_err() {
            tracing::error!(jobs = batch.len(), rows, "scoring a batch panicked; its requests get an error");
        }
        batch.clear();
    }
}

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::batcher::BatchLimits;
use super::work::Queued;

/// Jobs that wait for a thread, first come, first served.
pub(super) struct Queue<J> {
    state: Mutex<State<J>>,
    filled: Condvar,
}

struct State<J> {
    jobs: VecDeque<Queued<J>>,
    closed: bool,
}

impl<J> Queue<J> {
    pub(super) fn new() -> Self {
        Self { state: Mutex::new(State { jobs: VecDeque::new(), closed: false }), filled: Condvar::new() }
    }

    /// Appends jobs and wakes one thread for all of them.
    pub(super) fn push_all(&self, jobs: impl IntoIterator<Item = Queued<J>>) {
        self.lock().jobs.extend(jobs);
        self.filled.notify_one();
    }

    /// Moves the next batch into `batch`; waits for one. False: closed, and nothing is left.
    pub(super) fn take(&self, limits: &BatchLimits, batch: &mut Vec<Queued<J>>) -> bool {
        let mut state = self.lock();
        while state.jobs.is_empty() {
            if state.closed {
                return false;
            }
            state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        limits.cut(&mut state.jobs, batch);
        if !state.jobs.is_empty() {
            self.filled.notify_one();
        }
        true
    }

    /// Moves the next batch into `batch` if there is one.
    pub(super) fn try_take(&self, limits: &BatchLimits, batch: &mut Vec<Queued<J>>) -> bool {
        let mut state = self.lock();
        limits.cut(&mut state.jobs, batch);
        !batch.is_empty()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lock().jobs.is_empty()
    }

    /// Lets the threads end once they have emptied it.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.filled.notify_all();
    }

    /// The lock is never held while a job runs, so a poisoned one still guards whole data.
    fn lock(&self) -> MutexGuard<'_, State<J>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

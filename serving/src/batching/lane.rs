use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::sync::Arc;

use super::batcher::Batcher;
use super::work::{BatchWork, Queued};

/// The jobs that one event loop brings in one round of polling, by batcher. The loop flushes them
/// when the round ends, so that all requests that were readable together are one batch, without a
/// lock or a thread switch per request.
pub struct Lane<W: BatchWork> {
    round: RefCell<Vec<Round<W>>>,
    flush_is_due: Cell<bool>,
}

struct Round<W: BatchWork> {
    batcher: Arc<Batcher<W>>,
    jobs: VecDeque<Queued<W::Job>>,
}

impl<W: BatchWork> Default for Lane<W> {
    fn default() -> Self {
        Self { round: RefCell::default(), flush_is_due: Cell::new(false) }
    }
}

impl<W: BatchWork> Lane<W> {
    /// Adds a job to this round. True: the caller has to see that [`Lane::flush`] is called once
    /// everything that is ready now has been polled.
    #[must_use]
    pub fn submit(&self, batcher: &Arc<Batcher<W>>, job: Queued<W::Job>) -> bool {
        let mut round = self.round.borrow_mut();
        match round.iter_mut().find(|r| Arc::ptr_eq(&r.batcher, batcher)) {
            Some(known) => known.jobs.push_back(job),
            None => round.push(Round { batcher: batcher.clone(), jobs: VecDeque::from([job]) }),
        }
        !self.flush_is_due.replace(true)
    }

    /// Hands this round's jobs to their batchers.
    pub fn flush(&self) {
        self.flush_is_due.set(false);
        let round = self.round.take();
        for mut part in round {
            part.batcher.dispatch(&mut part.jobs);
        }
    }
}

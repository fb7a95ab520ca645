use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use datafusion::error::DataFusionError;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation};

/// Memory of the engine. What can go to disk shares at most half of it, fairly; what cannot may take all
/// that is left.
///
/// Without the limit of a half, sorts that can spill may hold everything at the moment when a merge of what
/// another one spilled needs its first bytes: the merge cannot wait, and the query would fail by chance.
#[derive(Debug)]
pub(super) struct SpillFirstPool {
    bytes_max: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Consumers that can spill.
    n_spilling: usize,
    spillable: usize,
    unspillable: usize,
}

impl State {
    fn of(&mut self, reservation: &MemoryReservation) -> &mut usize {
        if reservation.consumer().can_spill() { &mut self.spillable } else { &mut self.unspillable }
    }
}

impl SpillFirstPool {
    pub fn new(bytes_max: usize) -> Self {
        Self { bytes_max, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MemoryPool for SpillFirstPool {
    fn name(&self) -> &str {
        "spill-first"
    }

    fn register(&self, consumer: &MemoryConsumer) {
        self.state().n_spilling += usize::from(consumer.can_spill());
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        self.state().n_spilling -= usize::from(consumer.can_spill());
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        *self.state().of(reservation) += additional;
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        *self.state().of(reservation) -= shrink;
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<(), DataFusionError> {
        let mut state = self.state();
        let (size, available) = if reservation.consumer().can_spill() {
            let shared = self.bytes_max.saturating_sub(state.unspillable).min(self.bytes_max / 2);
            (reservation.size(), shared / state.n_spilling.max(1))
        } else {
            (state.unspillable, self.bytes_max.saturating_sub(state.spillable))
        };
        if size + additional > available {
            return Err(DataFusionError::ResourcesExhausted(format!(
                "{} needs {additional} more bytes and has {}; {} MiB are shared",
                reservation.consumer().name(),
                reservation.size(),
                self.bytes_max >> 20
            )));
        }
        *state.of(reservation) += additional;
        Ok(())
    }

    fn reserved(&self) -> usize {
        let state = self.state();
        state.spillable + state.unspillable
    }

    fn memory_limit(&self) -> MemoryLimit {
        MemoryLimit::Finite(self.bytes_max)
    }
}

impl fmt::Display for SpillFirstPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "spill-first(pool_size: {} MiB)", self.bytes_max >> 20)
    }
}

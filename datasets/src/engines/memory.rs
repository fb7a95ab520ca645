use std::fmt;

use datafusion::error::DataFusionError;
use datafusion::execution::memory_pool::{
    FairSpillPool, GreedyMemoryPool, MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation,
};

/// Memory of the engine, in two halves: one for what can go to disk, shared fairly, one for what cannot.
///
/// In one pool, sorts that can spill may hold all of it at the moment when a merge of what they spilled needs
/// its first bytes; the merge cannot wait, and the query would fail by chance.
#[derive(Debug)]
pub(super) struct HalvedPool {
    spilling: FairSpillPool,
    holding: GreedyMemoryPool,
    bytes_max: usize,
}

impl HalvedPool {
    pub fn new(bytes_max: usize) -> Self {
        let half = bytes_max / 2;
        Self {
            spilling: FairSpillPool::new(half),
            holding: GreedyMemoryPool::new(bytes_max - half),
            bytes_max,
        }
    }

    fn of(&self, consumer: &MemoryConsumer) -> &dyn MemoryPool {
        if consumer.can_spill() { &self.spilling } else { &self.holding }
    }
}

impl MemoryPool for HalvedPool {
    fn name(&self) -> &str {
        "halved"
    }

    fn register(&self, consumer: &MemoryConsumer) {
        self.of(consumer).register(consumer);
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        self.of(consumer).unregister(consumer);
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.of(reservation.consumer()).grow(reservation, additional);
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.of(reservation.consumer()).shrink(reservation, shrink);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<(), DataFusionError> {
        self.of(reservation.consumer()).try_grow(reservation, additional)
    }

    fn reserved(&self) -> usize {
        self.spilling.reserved() + self.holding.reserved()
    }

    fn memory_limit(&self) -> MemoryLimit {
        MemoryLimit::Finite(self.bytes_max)
    }
}

impl fmt::Display for HalvedPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "halved(pool_size: {} MiB)", self.bytes_max >> 20)
    }
}

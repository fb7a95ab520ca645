use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Sizes up to 2^23 rows have a class of their own.
const N_CLASSES: usize = 24;

/// Expected duration of a batch, learned from those that ran: a moving average per power of two of
/// rows, since the cost is not proportional to the rows.
#[derive(Default)]
pub(super) struct CostModel {
    nanos: [AtomicU64; N_CLASSES],
}

impl CostModel {
    /// Zero as long as no batch of this size has run, so that the first is tried.
    pub(super) fn expected(&self, rows: usize) -> Duration {
        Duration::from_nanos(self.nanos[class(rows)].load(Ordering::Relaxed))
    }

    /// One run in eight of weight: follows a lasting change, shrugs off one slow run.
    pub(super) fn learn(&self, rows: usize, took: Duration) {
        let cell = &self.nanos[class(rows)];
        let took = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX / 8);
        let before = cell.load(Ordering::Relaxed);
        let after = if before == 0 { took } else { before - before / 8 + took / 8 };
        cell.store(after.max(1), Ordering::Relaxed);
    }
}

/// 1 row: 0, 2 rows: 1, 3 or 4: 2, 5 to 8: 3.
fn class(rows: usize) -> usize {
    (rows.max(1).next_power_of_two().trailing_zeros() as usize).min(N_CLASSES - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_slow_run_changes_little_and_a_lasting_change_is_followed() {
        let costs = CostModel::default();
        assert_eq!(costs.expected(64), Duration::ZERO);
        costs.learn(64, Duration::from_micros(80));
        assert_eq!(costs.expected(40), Duration::from_micros(80), "33 to 64 rows share a class");
        assert_eq!(costs.expected(65), Duration::ZERO);
        costs.learn(64, Duration::from_millis(8));
        assert!(costs.expected(64) < Duration::from_micros(1_100));
        (0..40).for_each(|_| costs.learn(64, Duration::from_millis(8)));
        assert!(costs.expected(64) > Duration::from_micros(7_900));
    }
}

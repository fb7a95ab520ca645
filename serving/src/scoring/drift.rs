use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Instant;

use arrow::record_batch::RecordBatch;
use cupola_models::{Scores, Task};
use cupola_monitoring::drift::{DriftConfig, DriftMonitor, Psi, ReferenceProfile, RowBudget};

use crate::telemetry::VersionMetrics;

/// Measures drift on a sample of the rows that one version scores, and shows it while it lives.
pub struct DriftWatch {
    state: Mutex<State>,
    metrics: Arc<VersionMetrics>,
    columns: Vec<String>,
    outputs: Vec<String>,
}

struct State {
    monitor: DriftMonitor,
    budget: RowBudget,
    /// Moves through batches that are larger than the budget, so that no place in them is preferred.
    place: usize,
}

impl DriftWatch {
    /// Watches `columns` and the scores of `task` against `reference`.
    pub fn new(
        reference: &ReferenceProfile,
        columns: Vec<String>,
        task: &Task,
        config: &DriftConfig,
        metrics: Arc<VersionMetrics>,
    ) -> Self {
        let monitor = DriftMonitor::new(reference, columns.iter().map(String::as_str), config);
        let budget = RowBudget::new(config.rows_per_second, Instant::now());
        let outputs = match task {
            Task::Multiclass { classes } => classes.clone(),
            Task::Binary { .. } | Task::Regression | Task::Poisson | Task::Ranking => vec!["score".into()],
        };
        Self { state: Mutex::new(State { monitor, budget, place: 0 }), metrics, columns, outputs }
    }

    /// Counts as many of a batch's rows as the budget allows.
    pub(super) fn observe(&self, rows: &RecordBatch, scores: &Scores, now: Instant) {
        let mut state = match self.state.try_lock() {
            Ok(state) => state,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            // Another thread is at it: its rows are as good a sample.
            Err(TryLockError::WouldBlock) => return,
        };
        let n_rows = state.budget.take(rows.num_rows(), now);
        if n_rows == 0 {
            return;
        }
        let first = state.first_of(n_rows, rows.num_rows());
        let scored = &scores.values[first * scores.n_outputs..(first + n_rows) * scores.n_outputs];
        state.monitor.observe(&rows.slice(first, n_rows), scored);
    }

    /// Brings the metrics up to date.
    pub fn show(&self) {
        let drift = self.lock().monitor.drift();
        for Psi { of: column, psi } in &drift.columns {
            self.metrics.show_feature_psi(column, *psi);
        }
        for Psi { of: output, psi } in drift.scores {
            if let Some(output) = self.outputs.get(output) {
                self.metrics.show_score_psi(output, psi);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for DriftWatch {
    fn drop(&mut self) {
        self.columns.iter().for_each(|column| self.metrics.forget_feature_psi(column));
        self.outputs.iter().for_each(|output| self.metrics.forget_score_psi(output));
    }
}

impl State {
    /// Where `n_rows` of a batch of `n_all` are taken: by multiples of the golden ratio, which spread
    /// evenly over any length.
    fn first_of(&mut self, n_rows: usize, n_all: usize) -> usize {
        self.place = self.place.wrapping_add(0x9e37_79b9_7f4a_7c15_u64 as usize);
        self.place % (n_all - n_rows + 1)
    }
}

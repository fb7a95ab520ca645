//! Where a run's parameters and metrics go.

/// Receives what happens in a run. Never blocks and never fails the run: implementations write
/// to the run journal, and ship from there.
pub trait Tracker: Send + Sync {
    /// Settings of the run; each key once.
    fn params(&self, params: &[(String, String)]);

    /// Values at one step. Keys are grouped with `/`: `train/loss`, `validation/roc_auc`.
    fn metrics(&self, step: u64, metrics: &[(&str, f64)]);
}

/// Keeps nothing.
pub struct NoTracker;

impl Tracker for NoTracker {
    fn params(&self, _: &[(String, String)]) {}
    fn metrics(&self, _: u64, _: &[(&str, f64)]) {}
}

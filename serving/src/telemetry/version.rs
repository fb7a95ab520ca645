use std::time::Duration;

use prometheus::{Histogram, IntCounter};

use super::metrics::Metrics;

/// The metrics of one version, looked up once: a request touches atomics only.
#[derive(Debug)]
pub struct VersionMetrics {
    families: Metrics,
    model: String,
    version: String,
    requests: IntCounter,
    records: IntCounter,
    request_seconds: Histogram,
    queue_seconds: Histogram,
    compute_seconds: Histogram,
    batch_rows: Histogram,
    shadow_difference: Histogram,
    /// By [`ROUTES`].
    routes: [IntCounter; 4],
    /// By [`ShadowOutcome`].
    shadow: [IntCounter; 4],
    info: Vec<String>,
}

const ROUTES: [&str; 4] = ["named", "pinned", "ab", "shadow"];

/// How a shadow score compares with the answer's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShadowOutcome {
    /// The same label, or a number within one part in a million.
    Equal,
    /// Another label or number.
    Different,
    /// One of the two could not be scored.
    Failed,
    /// Not scored: too much was waiting.
    Dropped,
}

const SHADOW_OUTCOMES: [&str; 4] = ["equal", "different", "failed", "dropped"];

/// What `cupola_model_info` tells about a version.
#[derive(Clone, Debug)]
pub struct VersionFacts<'a> {
    /// Kind of model.
    pub kind: &'a str,
    /// Device it is on.
    pub device: &'a str,
    /// Run that trained it.
    pub run_id: &'a str,
}

impl VersionMetrics {
    /// Handles of `version` of `model`; adds it to `cupola_model_info` until dropped.
    pub fn new(families: &Metrics, model: &str, version: u64, facts: &VersionFacts<'_>) -> Self {
        let number = version.to_string();
        let labels = [model, number.as_str()];
        let info = [model, &number, facts.kind, facts.device, facts.run_id].map(String::from).to_vec();
        families.model_info.with_label_values(&info).set(1);
        Self {
            requests: families.requests.with_label_values(&labels),
            records: families.records.with_label_values(&labels),
            request_seconds: families.request_seconds.with_label_values(&labels),
            queue_seconds: families.queue_seconds.with_label_values(&labels),
            compute_seconds: families.compute_seconds.with_label_values(&labels),
            batch_rows: families.batch_rows.with_label_values(&labels),
            shadow_difference: families.shadow_difference.with_label_values(&labels),
            routes: ROUTES.map(|r| families.route_decisions.with_label_values(&[model, &number, r])),
            shadow: SHADOW_OUTCOMES.map(|o| families.shadow_results.with_label_values(&[model, &number, o])),
            families: families.clone(),
            model: model.into(),
            version: number,
            info,
        }
    }

    /// Counts a request that was answered with the scores of `records` records.
    pub fn answered(&self, records: usize, took: Duration) {
        self.requests.inc();
        self.records.inc_by(records as u64);
        self.request_seconds.observe(took.as_secs_f64());
    }

    /// Counts a job's wait.
    pub fn waited(&self, queue: Duration) {
        self.queue_seconds.observe(queue.as_secs_f64());
    }

    /// Counts a batch.
    pub fn computed(&self, rows: usize, took: Duration) {
        self.batch_rows.observe(rows as f64);
        self.compute_seconds.observe(took.as_secs_f64());
    }

    /// Counts records sent here by the rule of that name; `named` when the request chose.
    pub fn routed(&self, route: &str, records: usize) {
        if let Some(i) = ROUTES.iter().position(|name| *name == route) {
            self.routes[i].inc_by(records as u64);
        }
    }

    /// Counts records that were scored, or not, in the shadow of an answer.
    pub fn shadowed(&self, outcome: ShadowOutcome, records: usize) {
        self.shadow[outcome as usize].inc_by(records as u64);
    }

    /// Notes how far a shadow score is from the answer's.
    pub fn shadow_difference(&self, difference: f32) {
        self.shadow_difference.observe(f64::from(difference));
    }

    /// Shows how many rows wait.
    pub fn show_waiting(&self, rows: usize) {
        self.families.queue_rows.with_label_values(&[&self.model, &self.version]).set(rows as i64);
    }

    /// Shows a column's drift.
    pub fn show_feature_psi(&self, column: &str, psi: f64) {
        self.families.feature_psi.with_label_values(&self.of(column)).set(psi);
    }

    /// Shows the drift of an output's scores.
    pub fn show_score_psi(&self, output: &str, psi: f64) {
        self.families.score_psi.with_label_values(&self.of(output)).set(psi);
    }

    /// Stops showing a column's drift.
    pub fn forget_feature_psi(&self, column: &str) {
        // An error means that there was none.
        let _ = self.families.feature_psi.remove_label_values(&self.of(column));
    }

    /// Stops showing the drift of an output's scores.
    pub fn forget_score_psi(&self, output: &str) {
        // An error means that there was none.
        let _ = self.families.score_psi.remove_label_values(&self.of(output));
    }

    fn of<'a>(&'a self, part: &'a str) -> [&'a str; 3] {
        [&self.model, &self.version, part]
    }
}

impl Drop for VersionMetrics {
    fn drop(&mut self) {
        // An error means that a newer load of the same version took the entry over and dropped it.
        let _ = self.families.model_info.remove_label_values(&self.info);
        let _ = self.families.queue_rows.remove_label_values(&[&self.model, &self.version]);
    }
}

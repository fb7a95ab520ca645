use std::sync::Arc;

use cupola_datasets::Schema;
use cupola_models::registry::ResolvedVersion;
use cupola_models::{Bundle, Device, Manifest, Task};
use cupola_monitoring::drift::ReferenceProfile;

use super::error::ServeError;
use crate::batching::Batcher;
use crate::config::ServeConfig;
use crate::scoring::{DriftWatch, ScoreWork};
use crate::telemetry::{Metrics, VersionFacts, VersionMetrics};

/// A version in memory, with its own queue and threads. Freed when the table has dropped it and its
/// last request is answered.
pub struct LoadedVersion {
    /// Model name.
    pub model: String,
    /// Version number.
    pub version: u64,
    /// What the bundle says about itself.
    pub manifest: Manifest,
    /// Its queue and the work on it.
    pub batcher: Arc<Batcher<ScoreWork>>,
    /// What is counted about it.
    pub metrics: Arc<VersionMetrics>,
    /// Class labels as JSON texts, in the order of the scores; none for numbers.
    pub labels: Vec<Box<[u8]>>,
    /// Score from which a binary model says the second class.
    pub threshold: f32,
}

impl LoadedVersion {
    /// Loads a bundle and starts its threads; does not run it yet.
    pub fn load(
        at: &ResolvedVersion,
        device: Device,
        config: &ServeConfig,
        metrics: &Metrics,
    ) -> Result<Self, ServeError> {
        let ResolvedVersion { name, version, dir } = at;
        let bundle = Bundle::load(dir, device).map_err(|source| ServeError::Bundle {
            model: name.clone(),
            version: *version,
            source,
        })?;
        let facts = VersionFacts {
            kind: &bundle.manifest.kind,
            device: &device.to_string(),
            run_id: &bundle.manifest.provenance.run_id,
        };
        let metrics = Arc::new(VersionMetrics::new(metrics, name, *version, &facts));
        let drift = watch(&bundle, config, &metrics);
        let work = ScoreWork::new(&bundle, metrics.clone(), drift);
        let mut limits = config.batch_limits();
        if device != Device::Cpu {
            // Waiting for a GPU would block the thread that reads requests.
            limits.inline_us = 0;
        }
        let batcher = Batcher::start(work, limits, config.workers, &format!("batch {name}@{version}"))?;
        Ok(Self {
            model: name.clone(),
            version: *version,
            batcher: Arc::new(batcher),
            metrics,
            labels: labels(&bundle.manifest.signature.task),
            threshold: bundle.manifest.threshold.unwrap_or(0.5) as f32,
            manifest: bundle.manifest,
        })
    }

    /// Runs it once, so that the first request does not pay for it.
    pub fn warm(&self) -> Result<(), ServeError> {
        let (model, version) = (self.model.clone(), self.version);
        self.batcher.work().warm().map_err(|source| ServeError::Warm { model, version, source })
    }

    /// Columns a record brings.
    pub fn input(&self) -> &Schema {
        self.batcher.work().input()
    }

    /// Meaning of its scores.
    pub fn task(&self) -> &Task {
        &self.manifest.signature.task
    }

    /// Index of the class that a row's scores say; none for numbers.
    pub fn class(&self, scores: &[f32]) -> Option<usize> {
        match self.task() {
            Task::Binary { .. } => Some(usize::from(scores.first() >= Some(&self.threshold))),
            Task::Multiclass { .. } => {
                let best = scores.iter().enumerate().max_by(|(i, a), (j, b)| a.total_cmp(b).then(j.cmp(i)));
                best.map(|(i, _)| i)
            }
            Task::Regression | Task::Poisson | Task::Ranking => None,
        }
    }
}

/// A bundle without a profile to measure against is served all the same.
fn watch(bundle: &Bundle, config: &ServeConfig, metrics: &Arc<VersionMetrics>) -> Option<DriftWatch> {
    if config.drift.rows_per_second == 0 {
        return None;
    }
    let reference = bundle.profile::<ReferenceProfile>().inspect_err(
        |error| tracing::warn!(bundle = %bundle.dir.display(), %error, "its drift is not measured"),
    );
    let columns = bundle.plan.fitted().input.columns.keys().cloned().collect();
    let task = &bundle.manifest.signature.task;
    Some(DriftWatch::new(&reference.ok()?, columns, task, &config.drift, metrics.clone()))
}

fn labels(task: &Task) -> Vec<Box<[u8]>> {
    let classes: &[String] = match task {
        Task::Binary { classes } => classes,
        Task::Multiclass { classes } => classes,
        Task::Regression | Task::Poisson | Task::Ranking => &[],
    };
    let json = |text: &String| serde_json::Value::from(text.as_str()).to_string().into_bytes();
    classes.iter().map(|class| json(class).into_boxed_slice()).collect()
}

use std::path::PathBuf;
use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use cupola_datasets::schema::Schema;
use cupola_datasets::{CompiledPlan, TableVersion};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::BundleError;
use crate::device::Device;
use crate::predict::{Predictor, Scores, Task};

/// `bundle.json`: what the bundle is and the digest of every other file in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Format of the bundle; [`super::FORMAT`].
    pub format: u32,
    /// Model name, the pipeline's.
    pub name: String,
    /// One of [`super::KINDS`].
    pub kind: String,
    /// Input columns and scores.
    pub signature: Signature,
    /// Where it comes from.
    pub provenance: Provenance,
    /// Metrics of the test part, by name.
    pub metrics: IndexMap<String, f64>,
    /// Decision threshold of a binary model: the cost-optimal one on the validation part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
    /// Kind-specific settings, such as the network's shape.
    pub model: serde_json::Value,
    /// SHA-256 in hex by file name.
    pub digests: IndexMap<String, String>,
}

/// What goes in and what comes out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Signature {
    /// Columns a row must bring.
    pub input: Schema,
    /// Meaning of the scores.
    pub task: Task,
    /// Columns that say which row it is: the key, and the group of a ranking. A score does not need them; a scored
    /// file carries them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub identity: Vec<String>,
}

/// Where a bundle comes from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// SHA-256 of the effective pipeline configuration.
    pub pipeline_hash: String,
    /// Version of the feature table it was trained on.
    pub table: Option<TableVersion>,
    /// Commit of the pipeline's repository, if it is in one.
    pub code_commit: Option<String>,
    /// Version of Cupola.
    pub cupola_version: String,
    /// Run that trained it.
    pub run_id: String,
    /// Seed of the run.
    pub seed: u64,
    /// Device it was trained on.
    pub device: Device,
    /// Time of training, RFC 3339 in UTC.
    pub created: String,
}

/// A bundle that is loaded, checked and ready to score.
pub struct Bundle {
    /// Where it was loaded from.
    pub dir: PathBuf,
    /// Its manifest.
    pub manifest: Manifest,
    /// Its plan, compiled.
    pub plan: Arc<CompiledPlan>,
    /// Its model on the chosen device.
    pub predictor: Arc<dyn Predictor>,
}

impl Bundle {
    /// Scores validated rows (schema `manifest.signature.input`, extra columns ignored).
    pub fn score(&self, rows: &RecordBatch) -> Result<Scores, BundleError> {
        Ok(self.predictor.predict(&self.plan.apply(rows)?)?)
    }
}

impl std::fmt::Debug for Bundle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bundle")
            .field("dir", &self.dir)
            .field("manifest", &self.manifest)
            .finish_non_exhaustive()
    }
}

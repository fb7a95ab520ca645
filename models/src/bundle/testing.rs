//! A small bundle for the tests of whoever reads bundles. Not part of the public interface.

use std::path::Path;

use cupola_datasets::features::CategoricalFeature;
use cupola_datasets::schema::{Column, ColumnType};
use cupola_datasets::{FittedPlan, Schema};
use indexmap::IndexMap;

use super::{Bundle, BundleError, BundleParts, Manifest, ModelParts, Provenance};
use crate::mlp::{MlpConfig, MlpShape, MlpWeights};
use crate::predict::Task;

/// A plan without numbers or SQL: one categorical feature `colour`, whose codes are 0 missing,
/// 1 unknown, 2 red, 3 green, 4 blue.
pub fn plan() -> FittedPlan {
    let column = Column {
        kind: ColumnType::String,
        required: false,
        min: None,
        max: None,
        allowed: Vec::new(),
        pattern: None,
        missing: Vec::new(),
    };
    let colour = CategoricalFeature {
        name: "colour".into(),
        categories: ["red", "green", "blue"].map(String::from).into(),
    };
    FittedPlan {
        input: Schema { columns: IndexMap::from([("colour".into(), column)]), ..Schema::default() },
        sql: IndexMap::new(),
        numeric: Vec::new(),
        categorical: vec![colour],
    }
}

/// The network for [`plan`], with weights by seed.
pub fn network(seed: u64) -> (MlpShape, MlpWeights) {
    let shape = MlpShape {
        n_numeric: plan().numeric.len(),
        cardinalities: plan().categorical.iter().map(|feature| feature.cardinality()).collect(),
        config: MlpConfig { hidden: vec![8], ..MlpConfig::default() },
        n_outputs: 1,
    };
    let weights = MlpWeights::init(&shape, seed);
    (shape, weights)
}

/// Writes a bundle of an untrained network; another seed gives another model.
pub fn write(dir: &Path, seed: u64) -> Result<Manifest, BundleError> {
    let (shape, weights) = network(seed);
    let parts = BundleParts {
        name: "colours".into(),
        model: ModelParts::Mlp { shape: &shape, weights: &weights },
        plan: &plan(),
        profile: serde_json::json!({}),
        task: Task::Binary { classes: ["0".into(), "1".into()] },
        identity: vec!["id".into()],
        provenance: Provenance { run_id: format!("run-{seed}"), seed, ..Provenance::default() },
        metrics: IndexMap::from([("roc_auc".into(), 0.5)]),
        threshold: Some(0.5),
    };
    Bundle::write(parts, dir)
}

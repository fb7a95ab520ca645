use cupola_datasets::FeatureBatch;
use cupola_datasets::features::{FeatureTable, LabelledBatch};
use cupola_datasets::lake::ScanOptions;
use cupola_models::predict::Predictor;
use cupola_training::metrics::permutation_importance;
use cupola_training::split::Part;
use serde::{Deserialize, Serialize};

use super::error::RunError;
use super::features::Featured;
use super::run::Context;
use super::train::Model;

/// What a feature does for the model.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FeatureImportance {
    /// Name of the feature.
    pub feature: String,
    /// What the primary metric loses when the feature's values are shuffled among the judged rows.
    pub permutation: Option<f64>,
    /// Trees: sum of the gains of its splits.
    pub gain: Option<f64>,
    /// Trees: sum of the hessians of the rows that its splits saw.
    pub cover: Option<f64>,
}

/// Judged rows that are shuffled, about.
const ROWS_MAX: u64 = 5_000;

/// Importance of all features, the most important first.
pub fn of(
    context: &Context<'_>,
    featured: &Featured,
    (model, predictor): (&Model, &dyn Predictor),
    part: Part,
) -> Result<Vec<FeatureImportance>, RunError> {
    let rows = sample(context, featured, part)?;
    let (evaluate, seed) = (&context.pipeline.evaluate, context.pipeline.train.seed);
    let losses =
        permutation_importance(&featured.task, predictor, &rows, evaluate, seed).map_err(RunError::data)?;
    let trees = match model {
        Model::Gbdt(forest) => forest.importance(),
        Model::Mlp(..) => Vec::new(),
    };
    let numeric = featured.plan.numeric.iter().map(|feature| &feature.name);
    let names = numeric.chain(featured.plan.categorical.iter().map(|feature| &feature.name));
    let mut found: Vec<FeatureImportance> = names
        .zip(losses)
        .enumerate()
        .map(|(i, (name, loss))| FeatureImportance {
            feature: name.clone(),
            permutation: Some(loss).filter(|loss| loss.is_finite()),
            gain: trees.get(i).map(|tree| tree.gain),
            cover: trees.get(i).map(|tree| tree.cover),
        })
        .collect();
    let key = |of: &FeatureImportance| of.permutation.unwrap_or(f64::NEG_INFINITY);
    found.sort_by(|a, b| key(b).total_cmp(&key(a)));
    Ok(found)
}

/// Every n-th row of the part; of a ranking every n-th list, or the first rows where that is none.
fn sample(context: &Context<'_>, featured: &Featured, part: Part) -> Result<LabelledBatch, RunError> {
    let total = if part == Part::Test { featured.n_test } else { featured.n_validation };
    let step = total.div_ceil(ROWS_MAX).max(1);
    let found = every(step, context, featured, part)?;
    if found.labels.is_empty() { every(1, context, featured, part) } else { Ok(found) }
}

fn every(
    step: u64,
    context: &Context<'_>,
    featured: &Featured,
    part: Part,
) -> Result<LabelledBatch, RunError> {
    let options = ScanOptions { part: Some(("part".into(), part.name().into())), ..Default::default() };
    let mut sample = LabelledBatch::default();
    let mut n_seen = 0;
    for batch in context.lake.scan(&featured.features, options)? {
        let rows = FeatureTable::decode(&featured.plan, &batch?)?;
        let FeatureBatch { n_rows, n_numeric, n_categorical, numeric, categorical } = rows.features;
        (sample.features.n_numeric, sample.features.n_categorical) = (n_numeric, n_categorical);
        let number = |row: usize| rows.groups.as_ref().map_or(n_seen + row as u64, |groups| groups[row]);
        for row in (0..n_rows).filter(|row| number(*row).is_multiple_of(step)) {
            sample.features.numeric.extend(&numeric[row * n_numeric..(row + 1) * n_numeric]);
            sample.features.categorical.extend(&categorical[row * n_categorical..(row + 1) * n_categorical]);
            sample.labels.push(rows.labels[row]);
            if let Some(weights) = &rows.weights {
                sample.weights.get_or_insert_default().push(weights[row]);
            }
            if let Some(groups) = &rows.groups {
                sample.groups.get_or_insert_default().push(groups[row]);
            }
        }
        n_seen += n_rows as u64;
        if sample.labels.len() as u64 >= ROWS_MAX {
            break;
        }
    }
    sample.features.n_rows = sample.labels.len();
    Ok(sample)
}

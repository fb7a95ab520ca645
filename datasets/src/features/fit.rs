use arrow::record_batch::RecordBatch;
use rayon::prelude::*;

use super::fit_categorical::CategoryCounts;
use super::fit_numeric::NumericFit;
use super::plan::{CategoricalFeature, FittedPlan, NumericFeature};
use super::reader::{Reader, Values};
use super::reservoir::Reservoir;
use super::resolve::{FeaturePlan, FeatureSource};
use super::{FeaturesConfig, PlanError};
use crate::lake::LakeError;
use crate::prepare::PrepareConfig;
use crate::schema::{ColumnType, Schema};

/// Learns a plan from the training rows, in one pass and bounded memory.
///
/// Counts, means and standard deviations are of all rows. Medians, quantiles and limits are of a
/// sample of `fit_rows_max` rows drawn with `seed`, the same rows for every feature. Categories
/// are counted over all rows.
pub fn fit(
    rows: &mut dyn Iterator<Item = Result<RecordBatch, LakeError>>,
    schema: &Schema,
    features: &FeaturesConfig,
    prepare: &PrepareConfig,
    seed: u64,
) -> Result<FittedPlan, PlanError> {
    let plan = FeaturePlan::resolve(schema, features, prepare)?;
    let reader = Reader::new(&plan.input, &plan.sql)?;
    let mut numeric = sources(&reader, &plan.numeric, |_| NumericFit::default())?;
    let mut categorical = sources(&reader, &plan.categorical, CategoryCounts::new)?;
    let mut reservoir = Reservoir::new(features.fit_rows_max, seed);
    for batch in rows {
        let batch = batch?;
        let arrays = reader.read(&batch)?;
        let chosen = reservoir.choose(batch.num_rows());
        numeric.par_iter_mut().for_each(|(at, kind, fit)| {
            let mut numbers = vec![0.0; batch.num_rows()];
            Values::of(&arrays[*at], *kind).numbers(0, &mut numbers);
            fit.add(&numbers, &chosen);
        });
        categorical
            .par_iter_mut()
            .for_each(|(at, kind, counts)| counts.add(&Values::of(&arrays[*at], *kind)));
    }
    if reservoir.n_seen() == 0 {
        return Err(PlanError::NoRows);
    }
    let learned: Vec<Vec<NumericFeature>> = plan
        .numeric
        .par_iter()
        .zip(numeric)
        .map(|(source, (_, _, fit))| {
            fit.finish(
                &source.name,
                features.normalise.unwrap_or_default(),
                prepare.impute.get(&source.name),
                prepare.clip.get(&source.name),
            )
        })
        .collect();
    let numeric: Vec<NumericFeature> = learned.into_iter().flatten().collect();
    check_distinct(&numeric)?;
    let categorical = plan
        .categorical
        .into_iter()
        .zip(categorical)
        .map(|(source, (_, _, counts))| CategoricalFeature {
            name: source.name,
            categories: counts.vocabulary(&features.categories),
        })
        .collect();
    Ok(FittedPlan { input: plan.input, sql: plan.sql, numeric, categorical })
}

fn sources<T>(
    reader: &Reader,
    features: &[FeatureSource],
    make: impl Fn(ColumnType) -> T,
) -> Result<Vec<(usize, ColumnType, T)>, PlanError> {
    let find = |f: &FeatureSource| {
        let (at, kind) = reader.source(&f.name).ok_or_else(|| PlanError::Feature {
            feature: f.name.clone(),
            reason: "it has no source".into(),
        })?;
        Ok((at, kind, make(kind)))
    };
    features.iter().map(find).collect()
}

/// `SOURCE.missing` must not be the name of another feature.
fn check_distinct(numeric: &[NumericFeature]) -> Result<(), PlanError> {
    let mut names: Vec<&str> = numeric.iter().map(|f| f.name.as_str()).collect();
    names.sort_unstable();
    match names.windows(2).find(|w| w[0] == w[1]) {
        Some(twice) => Err(PlanError::Feature {
            feature: twice[0].into(),
            reason: "the missing flag of a feature has the same name; rename the column".into(),
        }),
        None => Ok(()),
    }
}

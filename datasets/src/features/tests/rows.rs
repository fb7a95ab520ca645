//! A small table with a column of every type, and shorthands.

use std::sync::Arc;

use arrow::array::{BooleanArray, Float64Array, Int64Array, StringArray, TimestampMicrosecondArray};
use arrow::record_batch::RecordBatch;

use super::super::{FeatureBatch, FeaturesConfig, FittedPlan, PlanError, fit};
use crate::lake::LakeError;
use crate::prepare::PrepareConfig;
use crate::schema::{Column, ColumnType, Schema};

pub(super) fn column(kind: ColumnType, required: bool) -> Column {
    Column { kind, required, min: None, max: None, allowed: vec![], pattern: None, missing: vec![] }
}

pub(super) fn schema() -> Schema {
    let columns = [
        ("id", ColumnType::Int64, true),
        ("ts", ColumnType::Timestamp, true),
        ("amount", ColumnType::Float64, false),
        ("count", ColumnType::Int64, true),
        ("flag", ColumnType::Bool, false),
        ("city", ColumnType::String, false),
        ("constant", ColumnType::Float64, true),
        ("empty", ColumnType::Float64, false),
        ("label", ColumnType::Bool, false),
        ("weight", ColumnType::Float64, true),
    ];
    Schema {
        time: Some("ts".into()),
        key: vec!["id".into()],
        label: Some("label".into()),
        weight: Some("weight".into()),
        group: None,
        columns: columns
            .into_iter()
            .map(|(n, kind, required)| (n.to_owned(), column(kind, required)))
            .collect(),
    }
}

/// 2024-03-01 00:00 UTC, a Friday, in microseconds.
const START: i64 = 1_709_251_200_000_000;

/// Row `i` of an endless, irregular table.
pub(super) fn batch(from: i64, to: i64) -> RecordBatch {
    let noise = |i: i64| (i as f64 * 0.618_033_988_749_894_9).fract();
    let cities = ["Bern", "Oslo", "Rome", "Oslo", "Bern", "Oslo", "Lima"];
    RecordBatch::try_new(
        schema().arrow(),
        vec![
            Arc::new(Int64Array::from_iter_values(from..to)),
            Arc::new(
                TimestampMicrosecondArray::from_iter_values((from..to).map(|i| START + i * 3_600_000_000))
                    .with_timezone("UTC"),
            ),
            Arc::new(
                (from..to).map(|i| (i % 10 != 3).then(|| (8.0 * noise(i)).exp())).collect::<Float64Array>(),
            ),
            Arc::new((from..to).map(|i| Some(i % 5)).collect::<Int64Array>()),
            Arc::new((from..to).map(|i| (i % 7 != 0).then_some(i % 2 == 0)).collect::<BooleanArray>()),
            Arc::new(
                (from..to).map(|i| (i % 11 != 0).then(|| cities[(i % 7) as usize])).collect::<StringArray>(),
            ),
            Arc::new(Float64Array::from_iter_values((from..to).map(|_| 3.5))),
            Arc::new((from..to).map(|_| None).collect::<Float64Array>()),
            Arc::new((from..to).map(|i| Some(i % 3 == 0)).collect::<BooleanArray>()),
            Arc::new(Float64Array::from_iter_values((from..to).map(|_| 1.0))),
        ],
    )
    .unwrap()
}

pub(super) fn config(toml: &str) -> FeaturesConfig {
    serde_json::from_str(toml).unwrap()
}

pub(super) fn fitted(features: &FeaturesConfig) -> FittedPlan {
    fitted_with(features, &PrepareConfig::default()).unwrap()
}

pub(super) fn fitted_with(
    features: &FeaturesConfig,
    prepare: &PrepareConfig,
) -> Result<FittedPlan, PlanError> {
    let mut rows = [batch(0, 700), batch(700, 1000)].into_iter().map(Ok::<_, LakeError>);
    fit(&mut rows, &schema(), features, prepare, 7)
}

/// One numeric feature of a batch, by name.
pub(super) fn numeric(plan: &FittedPlan, out: &FeatureBatch, name: &str) -> Vec<f32> {
    let at = plan.numeric.iter().position(|f| f.name == name).unwrap();
    (0..out.n_rows).map(|i| out.numeric[i * out.n_numeric + at]).collect()
}

/// One categorical feature of a batch, by name.
pub(super) fn codes(plan: &FittedPlan, out: &FeatureBatch, name: &str) -> Vec<u32> {
    let at = plan.categorical.iter().position(|f| f.name == name).unwrap();
    (0..out.n_rows).map(|i| out.categorical[i * out.n_categorical + at]).collect()
}

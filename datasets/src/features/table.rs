use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float32Array, Int32Array, StringArray};
use arrow::datatypes::{DataType, Field, Float32Type, Int32Type, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;

use super::{FeatureBatch, FittedPlan, LabelledBatch, PlanError};

const LABEL: &str = "__label";
const WEIGHT: &str = "__weight";
const PART: &str = "part";

/// Names that no feature may have.
pub(super) const RESERVED: [&str; 3] = [LABEL, WEIGHT, PART];

/// The feature table's columns: one `Float32` per numeric feature, one `Int32` per categorical
/// feature, then `__label`, `__weight` if there is one, and `part`, by which it is partitioned.
#[derive(Clone, Debug)]
pub struct FeatureTable {
    schema: SchemaRef,
    n_numeric: usize,
    n_categorical: usize,
    weight: bool,
}

impl FeatureTable {
    /// Partition column of the table.
    pub const PART: &'static str = PART;

    /// The table of a plan; `weight` when the schema declares a weight.
    pub fn new(plan: &FittedPlan, weight: bool) -> Self {
        let (n_numeric, n_categorical) = (plan.numeric.len(), plan.categorical.len());
        Self { schema: Self::schema(plan, weight), n_numeric, n_categorical, weight }
    }

    /// Columns of the table of a plan.
    pub fn schema(plan: &FittedPlan, weight: bool) -> SchemaRef {
        let numeric = plan.numeric.iter().map(|f| Field::new(&f.name, DataType::Float32, false));
        let categorical = plan.categorical.iter().map(|f| Field::new(&f.name, DataType::Int32, false));
        let label = [Field::new(LABEL, DataType::Float32, false)];
        let weight = weight.then(|| Field::new(WEIGHT, DataType::Float32, false));
        let part = [Field::new(PART, DataType::Utf8, false)];
        Arc::new(Schema::new(
            numeric.chain(categorical).chain(label).chain(weight).chain(part).collect::<Vec<_>>(),
        ))
    }

    /// Rows for the table. `labels`, `weights` and `parts` have one value per row; `weights` must
    /// be there if the table has them.
    pub fn encode(
        &self,
        features: &FeatureBatch,
        labels: &[f32],
        weights: Option<&[f32]>,
        parts: &[&str],
    ) -> Result<RecordBatch, PlanError> {
        let n = features.n_rows;
        let same_length = labels.len() == n && parts.len() == n && weights.is_none_or(|w| w.len() == n);
        if !same_length
            || features.n_numeric != self.n_numeric
            || features.n_categorical != self.n_categorical
            || weights.is_some() != self.weight
        {
            return Err(mismatch(
                "the features, labels, weights and parts to write do not fit the feature table",
            ));
        }
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.schema.fields().len());
        for j in 0..self.n_numeric {
            let values = (0..n).map(|i| features.numeric[i * self.n_numeric + j]);
            columns.push(Arc::new(Float32Array::from_iter_values(values)));
        }
        for j in 0..self.n_categorical {
            let values = (0..n).map(|i| features.categorical[i * self.n_categorical + j] as i32);
            columns.push(Arc::new(Int32Array::from_iter_values(values)));
        }
        columns.push(Arc::new(Float32Array::from(labels.to_vec())));
        columns.extend(weights.map(|w| Arc::new(Float32Array::from(w.to_vec())) as ArrayRef));
        columns.push(Arc::new(StringArray::from_iter_values(parts)));
        RecordBatch::try_new(self.schema.clone(), columns).map_err(|e| mismatch(&e.to_string()))
    }

    /// Rows of the table back to model input, whether or not `rows` has the column `part`.
    pub fn decode(plan: &FittedPlan, rows: &RecordBatch) -> Result<LabelledBatch, PlanError> {
        let (n, n_numeric, n_categorical) = (rows.num_rows(), plan.numeric.len(), plan.categorical.len());
        let mut numeric = vec![0.0_f32; n * n_numeric];
        for (j, feature) in plan.numeric.iter().enumerate() {
            let values = floats(rows, &feature.name)?;
            values.iter().enumerate().for_each(|(i, v)| numeric[i * n_numeric + j] = *v);
        }
        let mut categorical = vec![0_u32; n * n_categorical];
        for (j, feature) in plan.categorical.iter().enumerate() {
            let last = feature.cardinality() as u32 - 1;
            let values = column(rows, &feature.name)?.as_primitive_opt::<Int32Type>();
            let values =
                values.ok_or_else(|| mismatch(&format!("column {} is no Int32", feature.name)))?.values();
            for (i, code) in values.iter().enumerate() {
                let code = u32::try_from(*code).ok().filter(|c| *c <= last);
                categorical[i * n_categorical + j] = code.ok_or_else(|| {
                    mismatch(&format!("column {} has a code that the plan has not", feature.name))
                })?;
            }
        }
        let weights = rows.column_by_name(WEIGHT).map(|_| floats(rows, WEIGHT)).transpose()?;
        Ok(LabelledBatch {
            features: FeatureBatch { n_rows: n, n_numeric, n_categorical, numeric, categorical },
            labels: floats(rows, LABEL)?.to_vec(),
            weights: weights.map(<[f32]>::to_vec),
        })
    }
}

fn floats<'a>(rows: &'a RecordBatch, name: &str) -> Result<&'a [f32], PlanError> {
    let values = column(rows, name)?.as_primitive_opt::<Float32Type>();
    Ok(values.ok_or_else(|| mismatch(&format!("column {name} is no Float32")))?.values())
}

fn column<'a>(rows: &'a RecordBatch, name: &str) -> Result<&'a dyn Array, PlanError> {
    rows.column_by_name(name)
        .map(AsRef::as_ref)
        .ok_or_else(|| mismatch(&format!("there is no column {name}")))
}

fn mismatch(reason: &str) -> PlanError {
    PlanError::Evaluate {
        feature: "of the feature table".into(),
        reason: format!("{reason}; run the features stage again"),
    }
}

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float32Array, Int32Array, Int64Array, StringArray};
use arrow::datatypes::{DataType, Field, Float32Type, Int32Type, Int64Type, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;

use super::{FeatureBatch, FittedPlan, LabelledBatch, PlanError};
use crate::schema::Schema as RowSchema;

const LABEL: &str = "__label";
const WEIGHT: &str = "__weight";
const GROUP: &str = "__group";
const PART: &str = "part";

/// Names that no feature may have.
pub(super) const RESERVED: [&str; 4] = [LABEL, WEIGHT, GROUP, PART];

/// The feature table's columns: one `Float32` per numeric feature, one `Int32` per categorical
/// feature, then `__label`, `__weight` and `__group` where the schema has them, and `part`, by which it is partitioned.
#[derive(Clone, Debug)]
pub struct FeatureTable {
    schema: SchemaRef,
    n_numeric: usize,
    n_categorical: usize,
}

impl FeatureTable {
    /// Partition column of the table.
    pub const PART: &'static str = PART;

    /// The table of a plan, with the roles that the schema of its rows has.
    pub fn new(plan: &FittedPlan, roles: &RowSchema) -> Self {
        let numeric = plan.numeric.iter().map(|f| Field::new(&f.name, DataType::Float32, false));
        let categorical = plan.categorical.iter().map(|f| Field::new(&f.name, DataType::Int32, false));
        let label = [Field::new(LABEL, DataType::Float32, false)];
        let weight = roles.weight.iter().map(|_| Field::new(WEIGHT, DataType::Float32, false));
        let group = roles.group.iter().map(|_| Field::new(GROUP, DataType::Int64, false));
        let part = [Field::new(PART, DataType::Utf8, false)];
        let fields = numeric.chain(categorical).chain(label).chain(weight).chain(group).chain(part);
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        Self { schema, n_numeric: plan.numeric.len(), n_categorical: plan.categorical.len() }
    }

    /// Its columns.
    pub fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    /// Rows for the table. `rows` have weights and groups if the table has; there is one part per row.
    pub fn encode(&self, rows: &LabelledBatch, parts: &[&str]) -> Result<RecordBatch, PlanError> {
        let LabelledBatch { features, labels, weights, groups } = rows;
        let n = features.n_rows;
        let fits = |length: Option<usize>, column: &str| {
            length.map_or(self.schema.index_of(column).is_err(), |length| {
                length == n && self.schema.index_of(column).is_ok()
            })
        };
        let as_declared =
            fits(weights.as_ref().map(Vec::len), WEIGHT) && fits(groups.as_ref().map(Vec::len), GROUP);
        let shape = (features.n_numeric, features.n_categorical);
        if labels.len() != n
            || parts.len() != n
            || !as_declared
            || shape != (self.n_numeric, self.n_categorical)
        {
            return Err(mismatch(
                "the features, labels, weights, groups and parts to write do not fit the feature table",
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
        columns.push(Arc::new(Float32Array::from(labels.clone())));
        columns.extend(weights.iter().map(|w| Arc::new(Float32Array::from(w.clone())) as ArrayRef));
        // The same 64 bits: a table has no unsigned numbers.
        let signed =
            |groups: &Vec<u64>| Int64Array::from_iter_values(groups.iter().map(|group| *group as i64));
        columns.extend(groups.iter().map(|groups| Arc::new(signed(groups)) as ArrayRef));
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
        let groups = rows.column_by_name(GROUP).map(|column| {
            let groups = column.as_primitive_opt::<Int64Type>();
            groups.ok_or_else(|| mismatch(&format!("column {GROUP} is no Int64")))
        });
        let groups = groups.transpose()?;
        Ok(LabelledBatch {
            features: FeatureBatch { n_rows: n, n_numeric, n_categorical, numeric, categorical },
            labels: floats(rows, LABEL)?.to_vec(),
            weights: weights.map(<[f32]>::to_vec),
            groups: groups.map(|groups| groups.values().iter().map(|group| *group as u64).collect()),
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

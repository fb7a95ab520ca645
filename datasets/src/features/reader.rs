use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Float64Type, Int64Type, SchemaRef, TimestampMicrosecondType};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use indexmap::IndexMap;

use super::PlanError;
use super::sql::{self, Compiled};
use crate::schema::{ColumnType, Schema};

/// Finds the sources of a plan in a batch: its columns, and the SQL features computed from them.
#[derive(Debug)]
pub(super) struct Reader {
    names: Vec<String>,
    kinds: Vec<ColumnType>,
    input: SchemaRef,
    expressions: Vec<Compiled>,
}

impl Reader {
    /// Compiles the SQL over the columns of `input`.
    pub(super) fn new(input: &Schema, expressions: &IndexMap<String, String>) -> Result<Self, PlanError> {
        let fields: Vec<_> =
            input.arrow().fields().iter().map(|f| f.as_ref().clone().with_nullable(true)).collect();
        let expressions = expressions
            .iter()
            .map(|(name, text)| sql::compile(name, text, input).map(|compiled| (name.clone(), compiled)))
            .collect::<Result<Vec<_>, _>>()?;
        let columns = input.columns.iter().map(|(name, column)| (name.clone(), column.kind));
        let computed = expressions.iter().map(|(name, compiled)| (name.clone(), compiled.kind()));
        let (names, kinds) = columns.chain(computed).unzip();
        let expressions = expressions.into_iter().map(|(_, compiled)| compiled).collect();
        Ok(Self { names, kinds, input: Arc::new(arrow::datatypes::Schema::new(fields)), expressions })
    }

    /// Position of a source in what [`Reader::read`] gives, and its type.
    pub(super) fn source(&self, name: &str) -> Option<(usize, ColumnType)> {
        let at = self.names.iter().position(|n| n == name)?;
        Some((at, self.kinds[at]))
    }

    /// One array per source: columns first, then SQL features.
    pub(super) fn read(&self, rows: &RecordBatch) -> Result<Vec<ArrayRef>, PlanError> {
        let mut arrays = Vec::with_capacity(self.names.len());
        for (i, field) in self.input.fields().iter().enumerate() {
            arrays.push(find(rows, i, field.name(), field.data_type())?.clone());
        }
        if self.expressions.is_empty() {
            return Ok(arrays);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
        let input = RecordBatch::try_new_with_options(self.input.clone(), arrays.clone(), &options)
            .map_err(|e| PlanError::Input { column: String::new(), reason: e.to_string() })?;
        for expression in &self.expressions {
            arrays.push(expression.evaluate(&input)?);
        }
        Ok(arrays)
    }
}

/// A column by name. Batches mostly have it at the position where the plan has it.
fn find<'a>(
    rows: &'a RecordBatch,
    hint: usize,
    name: &str,
    expected: &DataType,
) -> Result<&'a ArrayRef, PlanError> {
    let schema = rows.schema_ref();
    let fields = schema.fields();
    let at = match fields.get(hint) {
        Some(field) if field.name() == name => Some(hint),
        _ => fields.iter().position(|f| f.name() == name),
    };
    let input = |reason: String| PlanError::Input { column: name.to_owned(), reason };
    let column = rows.column(at.ok_or_else(|| input("it is missing; every row must bring it".into()))?);
    if column.data_type() == expected {
        return Ok(column);
    }
    Err(input(format!(
        "it is {}, the plan reads {expected}; validate the rows against the plan's schema",
        column.data_type()
    )))
}

/// A source's values with their type known, so that no value is downcast by itself.
pub(crate) enum Values<'a> {
    Bool(&'a BooleanArray),
    Int(&'a Int64Array),
    Float(&'a Float64Array),
    Text(&'a StringArray),
    Time(&'a TimestampMicrosecondArray),
}

impl<'a> Values<'a> {
    /// `array` must be of the Arrow type of `kind`.
    pub(crate) fn of(array: &'a dyn Array, kind: ColumnType) -> Self {
        match kind {
            ColumnType::Bool => Self::Bool(array.as_boolean()),
            ColumnType::Int64 => Self::Int(array.as_primitive::<Int64Type>()),
            ColumnType::Float64 => Self::Float(array.as_primitive::<Float64Type>()),
            ColumnType::String => Self::Text(array.as_string::<i32>()),
            ColumnType::Timestamp => Self::Time(array.as_primitive::<TimestampMicrosecondType>()),
        }
    }

    /// The values `start..start + out.len()` as numbers; NaN where there is none.
    pub(crate) fn numbers(&self, start: usize, out: &mut [f64]) {
        let n = out.len();
        match self {
            Self::Bool(a) => {
                let values = a.values();
                (0..n).for_each(|i| out[i] = f64::from(u8::from(values.value(start + i))));
            }
            Self::Int(a) => {
                out.iter_mut().zip(&a.values()[start..start + n]).for_each(|(o, v)| *o = *v as f64)
            }
            Self::Float(a) => {
                let finite = |v: f64| if v.is_finite() { v } else { f64::NAN };
                out.iter_mut().zip(&a.values()[start..start + n]).for_each(|(o, v)| *o = finite(*v));
            }
            Self::Time(a) => {
                out.iter_mut().zip(&a.values()[start..start + n]).for_each(|(o, v)| *o = *v as f64 / 1e6)
            }
            Self::Text(_) => out.fill(f64::NAN),
        }
        if let Some(nulls) = self.array().nulls().filter(|n| n.null_count() > 0) {
            (0..n).for_each(|i| {
                if nulls.is_null(start + i) {
                    out[i] = f64::NAN;
                }
            });
        }
    }

    /// The array itself.
    pub(crate) fn array(&self) -> &dyn Array {
        match self {
            Self::Bool(a) => *a,
            Self::Int(a) => *a,
            Self::Float(a) => *a,
            Self::Text(a) => *a,
            Self::Time(a) => *a,
        }
    }
}

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, StringArray, TimestampMicrosecondArray,
};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};

use super::{ColumnType, FieldErrorCode};
use crate::schema::violation::Violation;

/// A growing column of one type. It can be cut back to an earlier length, which is how a row is
/// taken back.
#[derive(Debug)]
pub(crate) struct ColumnBuilder {
    values: Values,
    valid: Vec<bool>,
    n_nulls: usize,
}

#[derive(Debug)]
enum Values {
    Bool(Vec<bool>),
    Int(Vec<i64>),
    Float(Vec<f64>),
    Text { ends: Vec<i32>, bytes: Vec<u8> },
    Time(Vec<i64>),
}

impl ColumnBuilder {
    pub fn new(kind: ColumnType, capacity: usize) -> Self {
        let values = match kind {
            ColumnType::Bool => Values::Bool(Vec::with_capacity(capacity)),
            ColumnType::Int64 => Values::Int(Vec::with_capacity(capacity)),
            ColumnType::Float64 => Values::Float(Vec::with_capacity(capacity)),
            ColumnType::String => Values::Text { ends: Vec::with_capacity(capacity), bytes: Vec::new() },
            ColumnType::Timestamp => Values::Time(Vec::with_capacity(capacity)),
        };
        Self { values, valid: Vec::with_capacity(capacity), n_nulls: 0 }
    }

    pub fn len(&self) -> usize {
        self.valid.len()
    }

    // A value of another type than the column's is an error of the caller; it becomes a null
    // rather than a column of the wrong length.
    pub fn push_bool(&mut self, value: bool) {
        match &mut self.values {
            Values::Bool(values) => values.push(value),
            _ => return self.push_null(),
        }
        self.valid.push(true);
    }

    pub fn push_int(&mut self, value: i64) {
        match &mut self.values {
            Values::Int(values) | Values::Time(values) => values.push(value),
            _ => return self.push_null(),
        }
        self.valid.push(true);
    }

    pub fn push_float(&mut self, value: f64) {
        match &mut self.values {
            Values::Float(values) => values.push(value),
            _ => return self.push_null(),
        }
        self.valid.push(true);
    }

    /// Fails when the column's text would pass 2 GiB, the most an Arrow string column holds.
    pub fn push_text(&mut self, value: &str) -> Result<(), Violation> {
        match &mut self.values {
            Values::Text { ends, bytes } => {
                let Ok(end) = i32::try_from(bytes.len() + value.len()) else {
                    let message = "the texts of one batch pass 2 GiB: send fewer records at a time".into();
                    return Err(Violation { code: FieldErrorCode::Type, message });
                };
                bytes.extend_from_slice(value.as_bytes());
                ends.push(end);
            }
            _ => {
                self.push_null();
                return Ok(());
            }
        }
        self.valid.push(true);
        Ok(())
    }

    pub fn push_null(&mut self) {
        match &mut self.values {
            Values::Bool(values) => values.push(false),
            Values::Int(values) | Values::Time(values) => values.push(0),
            Values::Float(values) => values.push(0.0),
            Values::Text { ends, .. } => ends.push(ends.last().copied().unwrap_or(0)),
        }
        self.valid.push(false);
        self.n_nulls += 1;
    }

    /// Cuts the column back to its first `len` values.
    pub fn truncate(&mut self, len: usize) {
        if len >= self.valid.len() {
            return;
        }
        self.n_nulls -= self.valid[len..].iter().filter(|v| !**v).count();
        self.valid.truncate(len);
        match &mut self.values {
            Values::Bool(values) => values.truncate(len),
            Values::Int(values) | Values::Time(values) => values.truncate(len),
            Values::Float(values) => values.truncate(len),
            Values::Text { ends, bytes } => {
                ends.truncate(len);
                bytes.truncate(ends.last().map_or(0, |end| *end as usize));
            }
        }
    }

    /// The column so far; leaves an empty one.
    pub fn finish(&mut self) -> ArrayRef {
        let nulls = (self.n_nulls > 0).then(|| NullBuffer::from(self.valid.as_slice()));
        let len = self.valid.len();
        self.valid.clear();
        self.n_nulls = 0;
        match &mut self.values {
            Values::Bool(values) => {
                let array = BooleanArray::new(BooleanBuffer::from(values.as_slice()), nulls);
                values.clear();
                Arc::new(array)
            }
            Values::Int(values) => Arc::new(Int64Array::new(take(values, len), nulls)),
            Values::Float(values) => Arc::new(Float64Array::new(take(values, len), nulls)),
            Values::Text { ends, bytes } => Arc::new(text_array(ends, bytes, nulls)),
            Values::Time(values) => {
                Arc::new(TimestampMicrosecondArray::new(take(values, len), nulls).with_timezone("UTC"))
            }
        }
    }
}

/// Moves the values out and makes room for as many again.
fn take<T: arrow::datatypes::ArrowNativeType>(values: &mut Vec<T>, capacity: usize) -> ScalarBuffer<T> {
    std::mem::replace(values, Vec::with_capacity(capacity)).into()
}

#[expect(
    clippy::expect_used,
    reason = "bytes come from push_text only, which takes str and pushes non-decreasing ends"
)]
fn text_array(ends: &mut Vec<i32>, bytes: &mut Vec<u8>, nulls: Option<NullBuffer>) -> StringArray {
    let mut offsets = Vec::with_capacity(ends.len() + 1);
    offsets.push(0);
    offsets.append(ends);
    let capacity = bytes.len();
    let bytes = std::mem::replace(bytes, Vec::with_capacity(capacity));
    StringArray::try_new(OffsetBuffer::new(offsets.into()), Buffer::from_vec(bytes), nulls)
        .expect("texts are UTF-8")
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array, AsArray};

    use super::*;

    #[test]
    fn a_column_cut_back_keeps_its_first_values_and_their_nulls() {
        let mut column = ColumnBuilder::new(ColumnType::String, 0);
        column.push_text("a").unwrap();
        column.push_null();
        column.push_text("ccc").unwrap();
        column.push_null();
        column.truncate(2);
        column.push_text("d").unwrap();
        let array = column.finish();
        let texts: Vec<Option<&str>> = array.as_string::<i32>().iter().collect();
        assert_eq!(texts, [Some("a"), None, Some("d")]);
        assert_eq!(array.null_count(), 1);
        assert_eq!(column.finish().len(), 0);
    }
}

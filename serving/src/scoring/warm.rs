use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Schema as ArrowSchema};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};

/// `n_rows` rows of zeros, empty texts and `false`: valid by type, if not by the schema's limits.
pub(super) fn blank_rows(schema: &Arc<ArrowSchema>, n_rows: usize) -> Option<RecordBatch> {
    let columns = schema.fields().iter().map(|field| blank_column(field.data_type(), n_rows));
    let columns = columns.collect::<Option<Vec<_>>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(n_rows));
    RecordBatch::try_new_with_options(schema.clone(), columns, &options).ok()
}

fn blank_column(kind: &DataType, n_rows: usize) -> Option<ArrayRef> {
    Some(match kind {
        DataType::Boolean => Arc::new(BooleanArray::from(vec![false; n_rows])),
        DataType::Int64 => Arc::new(Int64Array::from(vec![0; n_rows])),
        DataType::Float64 => Arc::new(Float64Array::from(vec![0.0; n_rows])),
        DataType::Utf8 => Arc::new(StringArray::from(vec![""; n_rows])),
        DataType::Timestamp(_, zone) => {
            Arc::new(TimestampMicrosecondArray::from(vec![0; n_rows]).with_timezone_opt(zone.clone()))
        }
        _ => return None,
    })
}

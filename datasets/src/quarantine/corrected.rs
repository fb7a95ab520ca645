use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};
use arrow::datatypes::{DataType, Field, Schema as ArrowSchema};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use serde_json::value::RawValue;

use super::Correction;
use crate::schema::{Schema, SchemaError, Validator};
use crate::sources::{RecordChunk, RecordFormat};

/// Validates corrected records. Values may be written as a CSV file has them, as texts, or as JSON
/// values: `"12.5"` and `12.5` are the same. Returns the good rows, and sets the fault of each
/// correction: `None` for the good ones.
pub fn validate(
    validator: &mut Validator,
    schema: &Schema,
    corrections: &mut [Correction],
) -> Result<RecordBatch, SchemaError> {
    let mut columns: Vec<Vec<Option<String>>> = vec![Vec::new(); schema.columns.len()];
    // The position of each readable correction, in the place of its line.
    let mut lines = Vec::with_capacity(corrections.len());
    for (position, correction) in corrections.iter_mut().enumerate() {
        correction.fault = None;
        match values(schema, &correction.record) {
            Ok(values) => {
                columns.iter_mut().zip(values).for_each(|(column, value)| column.push(value));
                lines.push(position as u64);
            }
            Err(fault) => correction.fault = Some(fault),
        }
    }
    let fields: Vec<Field> =
        schema.columns.keys().map(|name| Field::new(name, DataType::Utf8, true)).collect();
    let arrays = columns.into_iter().map(|column| Arc::new(StringArray::from(column)) as ArrayRef).collect();
    let file: Arc<str> = "corrections".into();
    let options = RecordBatchOptions::new().with_row_count(Some(lines.len()));
    let records = RecordBatch::try_new_with_options(Arc::new(ArrowSchema::new(fields)), arrays, &options)
        .map_err(|source| SchemaError::Arrow { file: file.to_string(), source })?;
    let format = RecordFormat::Columns;
    let chunk = RecordChunk { records, format, file, lines, broken: Vec::new(), bytes_read: 0 };
    let validated = validator.validate(chunk)?;
    for broken in validated.quarantined {
        if let Some(correction) = corrections.get_mut(broken.line as usize) {
            correction.fault = Some((broken.column, broken.reason));
        }
    }
    Ok(validated.rows)
}

type Fault = (Option<String>, String);

/// The texts of a record's values, in the order of the schema.
fn values(schema: &Schema, record: &str) -> Result<Vec<Option<String>>, Fault> {
    let fields: HashMap<String, &RawValue> = serde_json::from_str(record).map_err(|_| {
        let names: Vec<&str> = schema.columns.keys().map(String::as_str).collect();
        (None, format!("not a JSON object: write the record as one, with the columns {}", names.join(", ")))
    })?;
    schema
        .columns
        .iter()
        .map(|(name, column)| match fields.get(name) {
            None => Ok(None),
            Some(value) => text(value.get()).map_err(|found| {
                (Some(name.clone()), format!("not {}: {found}", column.kind.with_article()))
            }),
        })
        .collect()
}

/// The text that a value would be in a CSV file; what it is where it cannot be one.
fn text(json: &str) -> Result<Option<String>, &'static str> {
    match json.as_bytes().first() {
        Some(b'"') => serde_json::from_str(json).map(Some).map_err(|_| "a string that is not closed"),
        Some(b'[') => Err("an array"),
        Some(b'{') => Err("an object"),
        _ if json == "null" => Ok(None),
        _ => Ok(Some(json.to_owned())),
    }
}

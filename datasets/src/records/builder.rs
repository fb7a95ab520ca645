use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use serde::de::DeserializeSeed;

use super::object::ObjectSeed;
use crate::schema::column::ColumnBuilder;
use crate::schema::rule::Rule;
use crate::schema::violation::Violation;
use crate::schema::{FieldError, FieldErrorCode, Schema};

/// Rows a fresh builder has room for.
const ROWS_CAPACITY: usize = 64;

/// Builds validated rows from JSON objects, one at a time, straight into typed columns.
///
/// Fields may come in any order; those in the order of the schema are found fastest. Fields that
/// the schema does not have are ignored, whatever is in them.
///
/// | column | accepts |
/// |---|---|
/// | bool | `true`, `false`, `0`, `1` |
/// | int64 | integers, and floats that are integers |
/// | float64 | finite numbers |
/// | string | strings |
/// | timestamp | strings in the formats of files, epoch numbers in s, ms, us or ns by their size |
///
/// `null`, the empty string and the column's `missing` texts mean "no value".
#[derive(Debug)]
pub struct RowsBuilder {
    schema: Arc<Schema>,
    arrow: SchemaRef,
    pub(super) rules: Vec<Rule>,
    pub(super) by_name: HashMap<Box<str>, usize>,
    pub(super) columns: Vec<ColumnBuilder>,
    pub(super) n_rows: usize,
    /// Errors of the row being built.
    pub(super) errors: Vec<FieldError>,
    /// Column whose value is being read, for errors of the JSON itself.
    pub(super) current: Option<usize>,
}

impl RowsBuilder {
    /// An empty builder for rows of the schema.
    pub fn new(schema: Arc<Schema>) -> Self {
        Self {
            arrow: schema.arrow(),
            rules: schema.columns.iter().map(|(name, column)| Rule::new(name, column)).collect(),
            by_name: schema.columns.keys().enumerate().map(|(i, name)| (name.as_str().into(), i)).collect(),
            columns: schema.columns.values().map(|c| ColumnBuilder::new(c.kind, ROWS_CAPACITY)).collect(),
            n_rows: 0,
            errors: Vec::new(),
            current: None,
            schema,
        }
    }

    /// The schema of the rows.
    pub fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    /// Rows so far.
    pub fn len(&self) -> usize {
        self.n_rows
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.n_rows == 0
    }

    /// Appends one JSON object as a row, or nothing and says everything that is wrong with it.
    pub fn push_json(&mut self, json: &[u8]) -> Result<(), Vec<FieldError>> {
        self.errors.clear();
        self.current = None;
        let mut reader = serde_json::Deserializer::from_slice(json);
        let read = ObjectSeed { rows: self }.deserialize(&mut reader).and_then(|()| reader.end());
        if let Err(error) = read {
            let error = self.json_error(&error);
            self.errors.clear();
            self.errors.push(error);
        } else {
            self.fill_absent();
        }
        if self.errors.is_empty() {
            self.n_rows += 1;
            return Ok(());
        }
        self.columns.iter_mut().for_each(|column| column.truncate(self.n_rows));
        Err(std::mem::take(&mut self.errors))
    }

    /// The rows so far, of exactly [`Schema::arrow`]; leaves an empty builder.
    #[expect(
        clippy::expect_used,
        reason = "every column has n_rows values of its type, and a required one no null"
    )]
    pub fn finish(&mut self) -> RecordBatch {
        let arrays = self.columns.iter_mut().map(ColumnBuilder::finish).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(std::mem::take(&mut self.n_rows)));
        RecordBatch::try_new_with_options(Arc::clone(&self.arrow), arrays, &options)
            .expect("columns of equal length")
    }

    /// A column that the object did not name has no value.
    fn fill_absent(&mut self) {
        for (rule, column) in self.rules.iter().zip(&mut self.columns) {
            if column.len() > self.n_rows {
                continue;
            }
            if rule.required {
                self.errors.push(Violation::missing().at(&rule.name));
            }
            column.push_null();
        }
    }

    fn json_error(&self, error: &serde_json::Error) -> FieldError {
        let text = error.to_string();
        let column = self.current.and_then(|i| self.rules.get(i));
        match column {
            // serde_json refuses 1e999 as it reads it; the column is the one being read.
            Some(rule) if text.starts_with("number out of range") => {
                Violation::not_finite("a number too large for 64 bits").at(&rule.name)
            }
            _ if error.is_data() => {
                FieldError { column: String::new(), code: FieldErrorCode::Type, message: text }
            }
            _ => FieldError {
                column: String::new(),
                code: FieldErrorCode::Type,
                message: format!("not valid JSON: {text}"),
            },
        }
    }
}

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef, TimeUnit};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;

use crate::sources::BrokenRecord;

/// Names of the tables of one pipeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tables {
    /// Rows that met the schema.
    pub raw: String,
    /// Records that broke it.
    pub quarantine: String,
    /// Corrections that were replayed.
    pub corrections: String,
}

impl Tables {
    /// The tables of this pipeline.
    pub fn of(pipeline: &str) -> Self {
        let table = |name: &str| format!("{pipeline}/{name}");
        Self { raw: table("raw"), quarantine: table("quarantine"), corrections: table("corrections") }
    }
}

/// A record in quarantine.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// What a correction names it by.
    pub id: String,
    /// The record and what is wrong with it.
    pub broken: BrokenRecord,
    /// Run that met it.
    pub run_id: String,
    /// Number of the last replay that this run knew of; 0 for none.
    pub replay: i64,
}

/// Columns of the quarantine table.
pub(super) fn schema() -> SchemaRef {
    let text = |name: &str, nullable: bool| Field::new(name, DataType::Utf8, nullable);
    let number = |name: &str| Field::new(name, DataType::Int64, false);
    Arc::new(Schema::new(vec![
        text("id", false),
        text("file", false),
        number("line"),
        text("column", true),
        text("reason", false),
        text("record", false),
        text("run_id", false),
        number("replay"),
        Field::new("time", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), false),
    ]))
}

/// Rows of the table.
pub(super) fn batch(entries: &[Entry], now_micros: i64) -> Result<RecordBatch, ArrowError> {
    let text = |value: &dyn Fn(&Entry) -> &str| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(entries.iter().map(value)))
    };
    let number = |value: &dyn Fn(&Entry) -> i64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(entries.iter().map(value)))
    };
    let columns: Vec<ArrayRef> = vec![
        text(&|entry| &entry.id),
        text(&|entry| &entry.broken.file),
        number(&|entry| entry.broken.line as i64),
        Arc::new(StringArray::from_iter(entries.iter().map(|entry| entry.broken.column.as_deref()))),
        text(&|entry| &entry.broken.reason),
        text(&|entry| &entry.broken.record),
        text(&|entry| &entry.run_id),
        number(&|entry| entry.replay),
        Arc::new(TimestampMicrosecondArray::from_value(now_micros, entries.len()).with_timezone("UTC")),
    ];
    RecordBatch::try_new(schema(), columns)
}

/// Entries of a batch of the table.
pub(super) fn entries(batch: &RecordBatch) -> impl Iterator<Item = Entry> + '_ {
    let rows = Rows(batch);
    (0..batch.num_rows()).map(move |row| Entry {
        id: rows.text("id", row),
        broken: BrokenRecord {
            file: rows.text("file", row).into(),
            line: rows.number("line", row) as u64,
            column: rows.optional("column", row),
            reason: rows.text("reason", row),
            record: rows.text("record", row),
        },
        run_id: rows.text("run_id", row),
        replay: rows.number("replay", row),
    })
}

/// Values of a batch by name; a column that another writer left out reads as empty.
pub(super) struct Rows<'a>(pub &'a RecordBatch);

impl Rows<'_> {
    pub fn text(&self, name: &str, row: usize) -> String {
        self.optional(name, row).unwrap_or_default()
    }

    pub fn optional(&self, name: &str, row: usize) -> Option<String> {
        let column = self.0.column_by_name(name)?.as_string_opt::<i32>()?;
        column.is_valid(row).then(|| column.value(row).to_owned())
    }

    pub fn number(&self, name: &str, row: usize) -> i64 {
        let column = self.0.column_by_name(name).and_then(|column| column.as_primitive_opt::<Int64Type>());
        column.map_or(0, |column| column.value(row))
    }
}

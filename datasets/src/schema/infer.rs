use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::DataType;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use indexmap::IndexMap;
use serde_json::Value;

use super::guess::{Guess, Origin};
use super::{Column, ColumnType, Schema, SchemaError};
use crate::sources::{RecordChunk, RecordFormat, Source};

/// How much of a source inference looks at.
#[derive(Clone, Debug)]
pub struct InferOptions {
    /// Records, from the start of the source.
    pub records_max: usize,
    /// A string column with at most this many distinct values gets `allowed`, when each is seen
    /// fifty times on average. 0: never.
    pub allowed_max: usize,
}

impl Default for InferOptions {
    fn default() -> Self {
        Self { records_max: 100_000, allowed_max: 20 }
    }
}

/// What inference saw beside the schema, for the comments of the written one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SchemaNotes {
    /// What was looked at.
    pub source: String,
    /// Records looked at.
    pub n_records: usize,
    /// Whether that was all there is.
    pub is_whole: bool,
    /// Per column of the schema.
    pub columns: IndexMap<String, ColumnNotes>,
    /// Columns that hold lists or objects, which no type fits.
    pub skipped: Vec<String>,
}

/// What was seen in one column.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ColumnNotes {
    /// Records with a value.
    pub n_values: usize,
    /// Records without one.
    pub n_missing: usize,
    /// Distinct values.
    pub n_distinct: usize,
    /// The first distinct values.
    pub examples: Vec<String>,
    /// Smallest number.
    pub min: Option<f64>,
    /// Largest number.
    pub max: Option<f64>,
}

/// Infers a schema from the first records of a source. Time, key, label and weight are left to
/// the user.
pub fn infer(source: &dyn Source, options: InferOptions) -> Result<Schema, SchemaError> {
    infer_with_notes(source, options).map(|(schema, _)| schema)
}

/// As [`infer`], with what was seen on the way.
pub fn infer_with_notes(
    source: &dyn Source,
    options: InferOptions,
) -> Result<(Schema, SchemaNotes), SchemaError> {
    let mut table = Table::default();
    let mut is_whole = true;
    for chunk in source.open()? {
        if table.n_records >= options.records_max {
            is_whole = false;
            break;
        }
        table.observe(&chunk?, options.records_max)?;
    }
    if table.n_records == 0 {
        return Err(SchemaError::NoRecords { source_name: source.describe() });
    }
    let n_records = table.n_records;
    let (schema, mut notes) = table.conclude(&options);
    notes.source = source.describe();
    notes.is_whole = is_whole && n_records < options.records_max;
    Ok((schema, notes))
}

#[derive(Default)]
struct Table {
    n_records: usize,
    columns: IndexMap<String, Seen>,
    skipped: IndexMap<String, ()>,
}

/// One column so far.
#[derive(Default)]
struct Seen {
    guess: Guess,
    distinct: HashSet<u64>,
    examples: Vec<String>,
}

/// Distinct values kept as texts.
const EXAMPLES_MAX: usize = 64;

impl Seen {
    fn observe(&mut self, text: &str, origin: Origin) {
        if !self.guess.observe(text, origin) {
            return;
        }
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        if self.distinct.insert(hasher.finish()) && self.examples.len() < EXAMPLES_MAX {
            self.examples.push(text.to_owned());
        }
    }
}

impl Table {
    fn observe(&mut self, chunk: &RecordChunk, records_max: usize) -> Result<(), SchemaError> {
        let n_rows = chunk.records.num_rows().min(records_max - self.n_records);
        match chunk.format {
            RecordFormat::JsonLines => {
                let lines = chunk.records.column(0).as_string::<i32>();
                (0..n_rows).for_each(|row| self.observe_json(lines.value(row)));
            }
            RecordFormat::Columns => {
                for (field, column) in chunk.records.schema().fields().iter().zip(chunk.records.columns()) {
                    self.observe_column(field.name(), &column.slice(0, n_rows), &chunk.file)?;
                }
            }
        }
        self.n_records += n_rows;
        Ok(())
    }

    fn observe_column(&mut self, name: &str, column: &ArrayRef, file: &str) -> Result<(), SchemaError> {
        let Some(origin) = origin_of(column.data_type()) else {
            self.skipped.insert(name.into(), ());
            return Ok(());
        };
        let seen = self.columns.entry(name.into()).or_default();
        seen.guess.expect(origin);
        if let Some(texts) = column.as_string_opt::<i32>() {
            texts.iter().flatten().for_each(|text| seen.observe(text, origin));
            return Ok(());
        }
        let options = FormatOptions::default();
        let error = |source| SchemaError::Arrow { file: file.to_owned(), source };
        let formatter = ArrayFormatter::try_new(column, &options).map_err(error)?;
        for row in (0..column.len()).filter(|row| column.is_valid(*row)) {
            seen.observe(&formatter.value(row).to_string(), origin);
        }
        Ok(())
    }

    fn observe_json(&mut self, line: &str) {
        let Ok(Value::Object(fields)) = serde_json::from_str(line) else { return };
        for (name, value) in fields {
            let seen = self.columns.entry(name.clone()).or_default();
            match value {
                Value::Null => {}
                Value::Bool(value) => seen.observe(&value.to_string(), Origin::Typed(ColumnType::Bool)),
                Value::Number(number) => seen.observe(&number.to_string(), Origin::Number),
                Value::String(text) => seen.observe(&text, Origin::JsonString),
                Value::Array(_) | Value::Object(_) => drop(self.skipped.insert(name, ())),
            }
        }
    }

    fn conclude(mut self, options: &InferOptions) -> (Schema, SchemaNotes) {
        let mut schema = Schema::default();
        let mut notes = SchemaNotes { n_records: self.n_records, ..SchemaNotes::default() };
        notes.skipped = self.skipped.into_keys().collect();
        self.columns.retain(|name, _| !notes.skipped.contains(name));
        for (name, seen) in self.columns {
            let (kind, missing) = seen.guess.conclude();
            let n_values = seen.guess.n_values(kind);
            let allowed = allowed(&seen, kind, &missing, n_values, options.allowed_max);
            let (min, max) = seen.guess.limits(kind);
            schema.columns.insert(
                name.clone(),
                Column {
                    kind,
                    required: n_values == self.n_records,
                    min: min.filter(|min| *min >= 0.0).map(|_| 0.0),
                    max: None,
                    allowed,
                    pattern: None,
                    missing,
                },
            );
            notes.columns.insert(
                name,
                ColumnNotes {
                    n_values,
                    n_missing: self.n_records - n_values,
                    n_distinct: seen.distinct.len(),
                    examples: seen.examples.into_iter().take(3).collect(),
                    min,
                    max,
                },
            );
        }
        (schema, notes)
    }
}

/// The values of a string column, when they are few and each has been seen often.
fn allowed(
    seen: &Seen,
    kind: ColumnType,
    missing: &[String],
    n_values: usize,
    allowed_max: usize,
) -> Vec<String> {
    const REPEATS_MIN: usize = 50;
    let n_distinct = seen.distinct.len();
    let is_closed = n_distinct <= allowed_max.min(EXAMPLES_MAX) && n_values >= n_distinct * REPEATS_MIN;
    if kind != ColumnType::String || !is_closed {
        return Vec::new();
    }
    let mut values: Vec<String> =
        seen.examples.iter().filter(|text| !missing.contains(text)).cloned().collect();
    values.sort();
    values
}

fn origin_of(kind: &DataType) -> Option<Origin> {
    Some(match kind {
        DataType::Dictionary(_, values) => return origin_of(values),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Origin::Text,
        DataType::Boolean => Origin::Typed(ColumnType::Bool),
        DataType::Timestamp(..) | DataType::Date32 | DataType::Date64 => Origin::Typed(ColumnType::Timestamp),
        kind if kind.is_integer() => Origin::Typed(ColumnType::Int64),
        kind if kind.is_numeric() => Origin::Typed(ColumnType::Float64),
        _ => return None,
    })
}

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::Array as _;
use arrow::array::{ArrayRef, AsArray, BooleanArray, new_null_array};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{DataType, SchemaRef};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use rayon::prelude::*;

use super::keys::{KeySet, hash_rows};
use super::rule::Rule;
use super::text::{self, Converted};
use super::violation::{FieldError, column_and_reason};
use super::{Schema, SchemaError, nearest, typed};
use crate::records::RowsBuilder;
use crate::sources::{BrokenRecord, RecordChunk, RecordFormat};

/// What the validator checks beside types and constraints.
#[derive(Clone, Debug)]
pub struct ValidatorOptions {
    /// Quarantine a record whose key an earlier record has. Off when `prepare.deduplicate` is set:
    /// duplicates must then come through.
    pub check_unique: bool,
    /// Most distinct keys held, at 20 to 40 bytes each.
    pub keys_max: usize,
    /// Whether columns that nobody declared are reported in the log.
    pub report_extra: bool,
    /// Whether the columns of a chunk are shared out among threads. Off where chunks are.
    pub is_parallel: bool,
}

impl Default for ValidatorOptions {
    fn default() -> Self {
        Self { check_unique: true, keys_max: 50_000_000, report_extra: true, is_parallel: true }
    }
}

/// Splits records into rows that meet the schema and records that do not. It remembers the keys
/// of all chunks it has seen, so one validator serves one whole ingest.
#[derive(Debug)]
pub struct Validator {
    schema: Arc<Schema>,
    arrow: SchemaRef,
    rules: Vec<Rule>,
    key: Vec<usize>,
    keys: Option<KeySet>,
    keys_max: usize,
    json: Option<RowsBuilder>,
    layout: Option<(SchemaRef, Vec<Option<usize>>)>,
    extra_seen: HashSet<String>,
    report_extra: bool,
    is_parallel: bool,
}

/// What became of one chunk. Every record is in one of the two.
#[derive(Debug)]
pub struct Validated {
    /// Rows of exactly [`Schema::arrow`], in the order of the file.
    pub rows: RecordBatch,
    /// Records that broke the schema, in the order of the file.
    pub quarantined: Vec<BrokenRecord>,
}

impl Validator {
    /// Compiles the schema. Fails when [`Schema::check`] does.
    pub fn new(schema: &Schema, options: ValidatorOptions) -> Result<Self, SchemaError> {
        schema.check().map_err(SchemaError::Invalid)?;
        let key: Vec<usize> =
            schema.key.iter().filter_map(|name| schema.columns.get_index_of(name)).collect();
        let keys = (options.check_unique && !key.is_empty()).then(KeySet::new);
        Ok(Self {
            arrow: schema.arrow(),
            rules: schema.columns.iter().map(|(name, column)| Rule::new(name, column)).collect(),
            schema: Arc::new(schema.clone()),
            key,
            keys,
            keys_max: options.keys_max,
            json: None,
            layout: None,
            extra_seen: HashSet::new(),
            report_extra: options.report_extra,
            is_parallel: options.is_parallel,
        })
    }

    /// Validates one chunk.
    ///
    /// Fails only when the file as a whole cannot be read under this schema (a required column is
    /// not in it) or when the keys pass their limit.
    pub fn validate(&mut self, chunk: RecordChunk) -> Result<Validated, SchemaError> {
        let (rows, origin, mut quarantined) = match chunk.format {
            RecordFormat::Columns => self.columns(&chunk)?,
            RecordFormat::JsonLines => self.json_lines(&chunk),
        };
        let rows = self.without_duplicates(rows, &origin, &chunk, &mut quarantined)?;
        quarantined.extend(chunk.broken);
        quarantined.sort_by_key(|record| record.line);
        Ok(Validated { rows, quarantined })
    }

    /// Marks the keys of rows that were validated earlier as taken, as a replay does with the
    /// table that it adds to. `rows` holds at least the columns of the key, by name.
    pub fn add_keys(&mut self, rows: &RecordBatch) -> Result<(), SchemaError> {
        let Some(keys) = &mut self.keys else { return Ok(()) };
        let columns: Vec<usize> =
            self.schema.key.iter().filter_map(|name| rows.schema().index_of(name).ok()).collect();
        if columns.len() != self.key.len() {
            return Ok(());
        }
        for hash in hash_rows(rows, &columns) {
            keys.insert(hash);
        }
        if keys.len() > self.keys_max {
            Err(SchemaError::TooManyKeys { keys_max: self.keys_max })
        } else {
            Ok(())
        }
    }

    /// Columns, typed or of texts: column by column, then the broken rows are taken out.
    fn columns(&mut self, chunk: &RecordChunk) -> Result<Parts, SchemaError> {
        let layout = self.layout(chunk)?;
        let n_rows = chunk.records.num_rows();
        let convert = |(rule, source): (&Rule, &Option<usize>)| match source {
            Some(index) => convert(rule, chunk.records.column(*index)),
            None => Converted { array: new_null_array(&rule.kind.arrow(), n_rows), broken: Vec::new() },
        };
        // Below this a chunk takes less time than handing it to other threads.
        const ROWS_PARALLEL_MIN: usize = 1_024;
        let converted: Vec<Converted> = if self.is_parallel && n_rows >= ROWS_PARALLEL_MIN {
            self.rules.par_iter().zip(&layout).map(convert).collect()
        } else {
            self.rules.iter().zip(&layout).map(convert).collect()
        };
        let (arrays, errors) = self.by_row(converted);
        let quarantined = errors.iter().map(|(row, errors)| broken_row(chunk, *row, errors)).collect();
        let mut origin: Vec<usize> = (0..n_rows).collect();
        let rows = if errors.is_empty() {
            batch(&self.arrow, arrays, n_rows)
        } else {
            let mut keep = vec![true; n_rows];
            errors.iter().for_each(|(row, _)| keep[*row] = false);
            origin.retain(|row| keep[*row]);
            batch_of_kept(&self.arrow, &arrays, &BooleanArray::from(keep))
        };
        Ok((rows.map_err(|e| arrow_error(chunk, e))?, origin, quarantined))
    }

    /// The arrays, and the errors of each broken row, in order of rows and of columns.
    fn by_row(&self, converted: Vec<Converted>) -> (Vec<ArrayRef>, Vec<(usize, Vec<FieldError>)>) {
        let mut errors: Vec<(usize, FieldError)> = Vec::new();
        let mut arrays = Vec::with_capacity(converted.len());
        for (rule, column) in self.rules.iter().zip(converted) {
            errors.extend(column.broken.into_iter().map(|(row, violation)| (row, violation.at(&rule.name))));
            arrays.push(column.array);
        }
        errors.sort_by_key(|(row, _)| *row);
        let mut by_row: Vec<(usize, Vec<FieldError>)> = Vec::new();
        for (row, error) in errors {
            match by_row.last_mut() {
                Some((last, of_row)) if *last == row => of_row.push(error),
                _ => by_row.push((row, vec![error])),
            }
        }
        (arrays, by_row)
    }

    fn json_lines(&mut self, chunk: &RecordChunk) -> Parts {
        let builder = self.json.get_or_insert_with(|| RowsBuilder::new(Arc::clone(&self.schema)));
        let texts = chunk.records.column(0).as_string::<i32>();
        let mut origin = Vec::with_capacity(texts.len());
        let mut quarantined = Vec::new();
        for row in 0..texts.len() {
            let text = texts.value(row);
            match builder.push_json(text.as_bytes()) {
                Ok(()) => origin.push(row),
                Err(errors) => {
                    let (column, reason) = column_and_reason(&errors);
                    let (file, line, record) = (Arc::clone(&chunk.file), chunk.lines[row], text.to_owned());
                    quarantined.push(BrokenRecord { file, line, column, reason, record });
                }
            }
        }
        (builder.finish(), origin, quarantined)
    }

    /// Where each declared column is in the chunk. Kept from chunk to chunk of one file.
    fn layout(&mut self, chunk: &RecordChunk) -> Result<Vec<Option<usize>>, SchemaError> {
        let found = chunk.records.schema();
        if let Some((schema, layout)) = &self.layout
            && (Arc::ptr_eq(schema, &found) || schema == &found)
        {
            return Ok(layout.clone());
        }
        let mut layout = Vec::with_capacity(self.rules.len());
        for rule in &self.rules {
            let index = found.index_of(&rule.name).ok();
            if index.is_none() && rule.required {
                let known = found
                    .fields()
                    .iter()
                    .map(|f| f.name().as_str())
                    .filter(|n| !self.schema.columns.contains_key(*n));
                let near = nearest(&rule.name, known).map(str::to_owned);
                let (file, column) = (chunk.file.to_string(), rule.name.clone());
                return Err(SchemaError::MissingColumn { file, column, nearest: near });
            }
            layout.push(index);
        }
        if self.report_extra {
            self.report_extra(&found, &chunk.file);
        }
        self.layout = Some((found, layout.clone()));
        Ok(layout)
    }

    /// Columns that nobody declared are left out, and said so once.
    fn report_extra(&mut self, found: &SchemaRef, file: &str) {
        let names = found.fields().iter().map(|f| f.name());
        let extra: Vec<String> = names
            .filter(|name| !self.schema.columns.contains_key(*name) && !self.extra_seen.contains(*name))
            .cloned()
            .collect();
        if !extra.is_empty() {
            tracing::warn!(
                file,
                columns = extra.join(", "),
                "columns that are not in [schema.columns] are ignored"
            );
            self.extra_seen.extend(extra);
        }
    }

    fn without_duplicates(
        &mut self,
        rows: RecordBatch,
        origin: &[usize],
        chunk: &RecordChunk,
        quarantined: &mut Vec<BrokenRecord>,
    ) -> Result<RecordBatch, SchemaError> {
        let Some(keys) = &mut self.keys else { return Ok(rows) };
        let is_new: Vec<bool> = hash_rows(&rows, &self.key).into_iter().map(|key| keys.insert(key)).collect();
        if keys.len() > self.keys_max {
            return Err(SchemaError::TooManyKeys { keys_max: self.keys_max });
        }
        if is_new.iter().all(|new| *new) {
            return Ok(rows);
        }
        for row in (0..is_new.len()).filter(|row| !is_new[*row]) {
            let reason = format!("an earlier record has the same key: {}", self.key_text(&rows, row));
            let (record, line) = (record_json(chunk, origin[row]), chunk.lines[origin[row]]);
            let column = self.schema.key.first().cloned();
            quarantined.push(BrokenRecord { file: Arc::clone(&chunk.file), line, column, reason, record });
        }
        filter_record_batch(&rows, &BooleanArray::from(is_new)).map_err(|e| arrow_error(chunk, e))
    }

    fn key_text(&self, rows: &RecordBatch, row: usize) -> String {
        let text = |index: &usize| {
            let value =
                arrow::util::display::array_value_to_string(rows.column(*index), row).unwrap_or_default();
            format!("{} = {value}", self.rules[*index].name)
        };
        self.key.iter().map(text).collect::<Vec<_>>().join(", ")
    }
}

/// Rows, the record of the chunk each row comes from, and what was broken.
type Parts = (RecordBatch, Vec<usize>, Vec<BrokenRecord>);

fn convert(rule: &Rule, column: &ArrayRef) -> Converted {
    match column.data_type() {
        DataType::Utf8 => text::convert(rule, column.as_string()),
        _ => typed::convert(rule, column),
    }
}

fn batch(
    schema: &SchemaRef,
    arrays: Vec<ArrayRef>,
    n_rows: usize,
) -> Result<RecordBatch, arrow::error::ArrowError> {
    RecordBatch::try_new_with_options(
        Arc::clone(schema),
        arrays,
        &RecordBatchOptions::new().with_row_count(Some(n_rows)),
    )
}

/// Filters before the batch is made: only then is a required column free of nulls.
fn batch_of_kept(
    schema: &SchemaRef,
    arrays: &[ArrayRef],
    keep: &BooleanArray,
) -> Result<RecordBatch, arrow::error::ArrowError> {
    let kept =
        arrays.iter().map(|array| arrow::compute::filter(array, keep)).collect::<Result<Vec<_>, _>>()?;
    batch(schema, kept, keep.true_count())
}

fn arrow_error(chunk: &RecordChunk, source: arrow::error::ArrowError) -> SchemaError {
    SchemaError::Arrow { file: chunk.file.to_string(), source }
}

fn broken_row(chunk: &RecordChunk, row: usize, errors: &[FieldError]) -> BrokenRecord {
    let (column, reason) = column_and_reason(errors);
    BrokenRecord {
        file: Arc::clone(&chunk.file),
        line: chunk.lines[row],
        column,
        reason,
        record: record_json(chunk, row),
    }
}

/// A record of the chunk as JSON: the line itself, or an object of texts.
fn record_json(chunk: &RecordChunk, row: usize) -> String {
    match chunk.format {
        RecordFormat::JsonLines => chunk.records.column(0).as_string::<i32>().value(row).to_owned(),
        RecordFormat::Columns => {
            let schema = chunk.records.schema();
            let fields = schema.fields().iter().zip(chunk.records.columns()).map(|(field, column)| {
                let text = column
                    .is_valid(row)
                    .then(|| arrow::util::display::array_value_to_string(column, row).unwrap_or_default());
                (field.name().clone(), text.map_or(serde_json::Value::Null, serde_json::Value::String))
            });
            serde_json::Value::Object(fields.collect()).to_string()
        }
    }
}

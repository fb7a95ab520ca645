use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};
use arrow::buffer::{Buffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::record_batch::{RecordBatch, RecordBatchOptions};

use crate::sources::{BrokenRecord, CHUNK_RECORDS_MAX, RecordChunk, RecordFormat};

/// Bytes of text after which a chunk is closed, so that long records do not make long chunks.
const CHUNK_BYTES_MAX: usize = 8 << 20;

/// Text columns being filled, record by record.
pub(super) struct TextChunk {
    schema: SchemaRef,
    format: RecordFormat,
    file: Arc<str>,
    columns: Vec<TextColumn>,
    lines: Vec<u64>,
    broken: Vec<BrokenRecord>,
    n_bytes: usize,
}

#[derive(Default)]
struct TextColumn {
    offsets: Vec<i32>,
    bytes: Vec<u8>,
}

impl TextChunk {
    pub fn new(file: Arc<str>, names: &[String], format: RecordFormat) -> Self {
        let fields: Vec<Field> = names.iter().map(|name| Field::new(name, DataType::Utf8, false)).collect();
        let mut columns = Vec::new();
        columns.resize_with(names.len(), TextColumn::default);
        Self {
            schema: Arc::new(Schema::new(fields)),
            format,
            file,
            columns,
            lines: Vec::with_capacity(CHUNK_RECORDS_MAX),
            broken: Vec::new(),
            n_bytes: 0,
        }
    }

    pub fn n_columns(&self) -> usize {
        self.columns.len()
    }

    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Adds a record of as many fields as there are columns. `data` holds UTF-8 in every field.
    pub fn push(&mut self, line: u64, data: &[u8], fields: &[Range<usize>]) {
        for (column, field) in self.columns.iter_mut().zip(fields) {
            column.bytes.extend_from_slice(&data[field.clone()]);
            column.offsets.push(column.bytes.len() as i32);
        }
        self.lines.push(line);
        self.n_bytes += data.len();
    }

    pub fn push_broken(&mut self, line: u64, column: Option<String>, reason: String, record: String) {
        self.n_bytes += record.len();
        self.broken.push(BrokenRecord { file: Arc::clone(&self.file), line, column, reason, record });
    }

    pub fn is_full(&self) -> bool {
        self.lines.len() + self.broken.len() >= CHUNK_RECORDS_MAX || self.n_bytes >= CHUNK_BYTES_MAX
    }

    pub fn is_empty(&self) -> bool {
        self.lines.is_empty() && self.broken.is_empty()
    }

    /// The chunk so far; leaves an empty one of the same columns.
    pub fn finish(&mut self, bytes_read: u64) -> Result<RecordChunk, ArrowError> {
        let arrays = self.columns.iter_mut().map(TextColumn::finish).collect::<Result<Vec<_>, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(self.lines.len()));
        self.n_bytes = 0;
        Ok(RecordChunk {
            records: RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options)?,
            format: self.format,
            file: Arc::clone(&self.file),
            lines: std::mem::replace(&mut self.lines, Vec::with_capacity(CHUNK_RECORDS_MAX)),
            broken: std::mem::take(&mut self.broken),
            bytes_read,
        })
    }
}

impl TextColumn {
    fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        let mut offsets = Vec::with_capacity(self.offsets.len() + 1);
        offsets.push(0);
        offsets.append(&mut self.offsets);
        let capacity = self.bytes.len() + self.bytes.len() / 8;
        let bytes = std::mem::replace(&mut self.bytes, Vec::with_capacity(capacity));
        Ok(Arc::new(StringArray::try_new(OffsetBuffer::new(offsets.into()), Buffer::from_vec(bytes), None)?))
    }
}

use std::collections::HashSet;
use std::io::{self, Read};
use std::ops::Range;
use std::sync::Arc;

use super::chunk::TextChunk;
use super::csv::{CsvRecord, CsvRecords, CsvStep};
use super::source::{ReadChunks, TextOptions};
use crate::sources::{RecordChunk, RecordFormat, SourceError};

/// One CSV file.
pub(super) struct CsvFile<R> {
    records: CsvRecords<R>,
    sink: Sink,
    options: TextOptions,
    // Even a file without records yields one chunk, which shows its columns.
    has_yielded: bool,
    is_ended: bool,
}

/// Where records go: the chunk, or its broken ones.
struct Sink {
    chunk: TextChunk,
    encoding: String,
    trim: bool,
    trimmed: Vec<Range<usize>>,
}

impl<R: Read> CsvFile<R> {
    /// Reads the header, or without one the first record for its number of fields.
    pub fn open(reader: R, delimiter: u8, options: TextOptions) -> Result<Self, SourceError> {
        let config = &options.config;
        let mut records = CsvRecords::new(reader, delimiter, config.quoted, options.line_bytes_max());
        let sink = |names: &[String]| Sink {
            chunk: TextChunk::new(Arc::clone(&options.file), names, RecordFormat::Columns),
            encoding: config.encoding.clone(),
            trim: config.trim,
            trimmed: Vec::new(),
        };
        let sink = if config.header {
            sink(&header(&mut records, &options)?)
        } else if config.names.is_empty() {
            numbered(&mut records, &options, sink)?
        } else {
            sink(&config.names)
        };
        Ok(Self { records, sink, options, has_yielded: false, is_ended: false })
    }
}

impl<R: Read + Send> ReadChunks for CsvFile<R> {
    fn next_chunk(&mut self) -> Result<Option<RecordChunk>, SourceError> {
        while !self.is_ended && !self.sink.chunk.is_full() {
            match self.records.next().map_err(|e| self.options.read_error(e))? {
                CsvStep::Record(record) => self.sink.push(&record),
                CsvStep::Broken { line, reason, raw } => self.sink.push_broken(line, reason, raw),
                CsvStep::End => self.is_ended = true,
            }
        }
        if self.sink.chunk.is_empty() && self.has_yielded {
            return Ok(None);
        }
        self.has_yielded = true;
        let chunk = self.sink.chunk.finish(self.options.bytes_read());
        chunk.map(Some).map_err(|e| self.options.malformed(e.to_string()))
    }
}

impl Sink {
    fn push(&mut self, record: &CsvRecord<'_>) {
        if record.fields.len() != self.chunk.n_columns() {
            let reason = format!(
                "wrong number of fields: {} instead of {}",
                record.fields.len(),
                self.chunk.n_columns()
            );
            return self.push_broken(record.line, reason, record.raw);
        }
        // Almost all lines are ASCII, which this passes at memory speed.
        if std::str::from_utf8(record.data).is_err() && self.push_undecodable(record) {
            return;
        }
        if !self.trim {
            return self.chunk.push(record.line, record.data, record.fields);
        }
        self.trimmed.clear();
        self.trimmed.extend(record.fields.iter().map(|field| trimmed(record.data, field)));
        self.chunk.push(record.line, record.data, &self.trimmed);
    }

    /// Puts a record aside that has a field which is no text. False when every field is: then only
    /// the bytes between them are odd.
    fn push_undecodable(&mut self, record: &CsvRecord<'_>) -> bool {
        let is_broken = |field: &Range<usize>| std::str::from_utf8(&record.data[field.clone()]).is_err();
        let Some(first) = record.fields.iter().position(is_broken) else { return false };
        let schema = Arc::clone(self.chunk.schema());
        let texts = schema.fields().iter().zip(record.fields).map(|(name, field)| {
            let text = String::from_utf8_lossy(&record.data[field.clone()]).into_owned();
            (name.name().clone(), serde_json::Value::String(text))
        });
        let record_text = serde_json::Value::Object(texts.collect()).to_string();
        let reason = not_decodable(&self.encoding);
        self.chunk.push_broken(record.line, Some(schema.field(first).name().clone()), reason, record_text);
        true
    }

    fn push_broken(&mut self, line: u64, reason: String, raw: &[u8]) {
        self.chunk.push_broken(line, None, reason, String::from_utf8_lossy(raw).into_owned());
    }
}

pub(super) fn not_decodable(encoding: &str) -> String {
    format!("bytes that are not {encoding}: set source.encoding to the file's encoding, such as windows-1252")
}

fn trimmed(data: &[u8], field: &Range<usize>) -> Range<usize> {
    let bytes = &data[field.clone()];
    let start = field.start + bytes.len() - bytes.trim_ascii_start().len();
    start..start + bytes.trim_ascii().len()
}

/// Column names of the first line.
fn header<R: Read>(records: &mut CsvRecords<R>, options: &TextOptions) -> Result<Vec<String>, SourceError> {
    let record = match records.next().map_err(|e| options.read_error(e))? {
        CsvStep::Record(record) => record,
        CsvStep::Broken { line, reason, .. } => {
            return Err(options.malformed(format!("line {line}, the header: {reason}")));
        }
        CsvStep::End => return Err(options.malformed(EMPTY.into())),
    };
    let mut names = Vec::with_capacity(record.fields.len());
    for (index, field) in record.fields.iter().enumerate() {
        let text = std::str::from_utf8(&record.data[field.clone()]).map_err(|_| {
            options.malformed(format!("the header has {}", not_decodable(&options.config.encoding)))
        })?;
        let text = if options.config.trim { text.trim() } else { text };
        names.push(if text.is_empty() { column_name(index) } else { text.to_owned() });
    }
    let mut seen = HashSet::new();
    match names.iter().find(|name| !seen.insert(name.as_str())) {
        Some(twice) => Err(options.malformed(format!(
            "the header names column {twice} twice: rename one, or set source.header = false and source.names"
        ))),
        None => Ok(names),
    }
}

const EMPTY: &str =
    "the file is empty, not even a header is there: remove the file or check how it was written";

/// Names the columns by number after the width of the first record, and keeps that record.
fn numbered<R: Read>(
    records: &mut CsvRecords<R>,
    options: &TextOptions,
    sink: impl Fn(&[String]) -> Sink,
) -> Result<Sink, SourceError> {
    let mut broken: Vec<(u64, String, Vec<u8>)> = Vec::new();
    loop {
        match records.next().map_err(|e| options.read_error(e))? {
            CsvStep::Record(record) => {
                let names: Vec<String> = (0..record.fields.len()).map(column_name).collect();
                let mut sink = sink(&names);
                broken.drain(..).for_each(|(line, reason, raw)| sink.push_broken(line, reason, &raw));
                sink.push(&record);
                return Ok(sink);
            }
            CsvStep::Broken { line, reason, raw } if broken.len() < BROKEN_FIRST_MAX => {
                broken.push((line, reason, raw.to_vec()));
            }
            CsvStep::Broken { .. } => {
                let reason = format!(
                    "the first {BROKEN_FIRST_MAX} lines are no records: check source.quoted and source.delimiter"
                );
                return Err(options.malformed(reason));
            }
            CsvStep::End => {
                return Err(options.malformed(EMPTY.replace("not even a header", "not one record")));
            }
        }
    }
}

/// Lines looked at for the number of columns.
const BROKEN_FIRST_MAX: usize = 100;

fn column_name(index: usize) -> String {
    format!("column_{}", index + 1)
}

impl TextOptions {
    pub fn read_error(&self, source: io::Error) -> SourceError {
        SourceError::Read { path: self.file.to_string(), source }
    }

    pub fn malformed(&self, reason: String) -> SourceError {
        SourceError::Malformed { path: self.file.to_string(), reason }
    }
}

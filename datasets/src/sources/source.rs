use std::sync::Arc;

use arrow::record_batch::RecordBatch;

/// A place rows come from. The pipeline's ingest stage calls it.
pub trait Source: Send + Sync {
    /// What a person would call it, for messages and provenance.
    fn describe(&self) -> String;

    /// Changes when the data changes: sizes and modification times for files.
    fn fingerprint(&self) -> Result<String, SourceError>;

    /// Total bytes to read if it is known, for progress.
    fn bytes_total(&self) -> Option<u64>;

    /// Reads everything from the start, a chunk at a time.
    fn open(&self) -> Result<Box<dyn Iterator<Item = Result<RecordChunk, SourceError>> + Send>, SourceError>;
}

/// Most records in one chunk.
pub const CHUNK_RECORDS_MAX: usize = 8_192;

/// Records as they were found, before validation.
#[derive(Debug)]
pub struct RecordChunk {
    /// Columns as the source types them: all `Utf8` from CSV; one `Utf8` column with the JSON text
    /// of each record from JSON lines.
    pub records: RecordBatch,
    /// How `records` is to be read.
    pub format: RecordFormat,
    /// File (or topic, or table) they came from.
    pub file: Arc<str>,
    /// Line, or row, of each record in `file`, counted from 1.
    pub lines: Vec<u64>,
    /// Records that could not even be split into columns.
    pub broken: Vec<BrokenRecord>,
    /// Compressed bytes consumed so far, over all files, for progress.
    pub bytes_read: u64,
}

/// How the records of a chunk are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordFormat {
    /// One column per field.
    Columns,
    /// One column with a JSON text per record.
    JsonLines,
}

/// A record for the quarantine table.
#[derive(Clone, Debug, PartialEq)]
pub struct BrokenRecord {
    /// Where it came from.
    pub file: Arc<str>,
    /// Line or row in `file`, from 1.
    pub line: u64,
    /// Column at fault, if it is one.
    pub column: Option<String>,
    /// What is wrong, for a person.
    pub reason: String,
    /// The record as a JSON object of texts, or the raw line where it has no columns.
    pub record: String,
}

impl BrokenRecord {
    /// What is wrong without the value that is: `column: reason`, for counting. A reason ends with
    /// `: ` and the value.
    pub fn rule(&self) -> String {
        let rule = self.reason.split_once(": ").map_or(&*self.reason, |(rule, _)| rule);
        self.column.as_ref().map_or_else(|| rule.to_owned(), |column| format!("{column}: {rule}"))
    }
}

/// What can go wrong with a source as a whole.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// Reading failed.
    #[error("cannot read {path}: {source}")]
    Read {
        /// File at fault.
        path: String,
        /// Cause.
        source: std::io::Error,
    },
    /// The source has no file.
    #[error("no file matches {path}; check the path; in a pipeline file it is relative to that file")]
    NoFiles {
        /// Pattern as given.
        path: String,
    },
    /// The content is not what the format promises.
    #[error("{path}: {reason}")]
    Malformed {
        /// File at fault.
        path: String,
        /// What is wrong and what to do.
        reason: String,
    },
    /// An option of `[source]` makes no sense.
    #[error("source.{key}: {reason}")]
    Config {
        /// Key in `[source]`.
        key: &'static str,
        /// What is wrong and what to do.
        reason: String,
    },
}

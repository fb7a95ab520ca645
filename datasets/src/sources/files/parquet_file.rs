use std::fs::File;
use std::sync::Arc;

use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use super::locate::InputFile;
use super::source::ReadChunks;
use crate::sources::{CHUNK_RECORDS_MAX, RecordChunk, RecordFormat, SourceError};

/// One Parquet file. `lines` are row numbers from 1.
pub(super) struct ParquetFile {
    reader: ParquetRecordBatchReader,
    file: Arc<str>,
    n_read: u64,
    n_rows: u64,
    bytes_before: u64,
    bytes: u64,
    has_yielded: bool,
}

impl ParquetFile {
    /// Reads the footer. `bytes_before`: those of the files before this one.
    pub fn open(input: &InputFile, bytes_before: u64) -> Result<Self, SourceError> {
        let path = input.label.to_string();
        let file = File::open(&input.path).map_err(|source| SourceError::Read { path, source })?;
        let builder =
            ParquetRecordBatchReaderBuilder::try_new(file).map_err(|e| malformed(&input.label, &e))?;
        let n_rows = u64::try_from(builder.metadata().file_metadata().num_rows()).unwrap_or(0);
        let reader =
            builder.with_batch_size(CHUNK_RECORDS_MAX).build().map_err(|e| malformed(&input.label, &e))?;
        let file = Arc::clone(&input.label);
        Ok(Self { reader, file, n_read: 0, n_rows, bytes_before, bytes: input.bytes, has_yielded: false })
    }

    fn chunk(&mut self, records: arrow::record_batch::RecordBatch) -> RecordChunk {
        let first = self.n_read + 1;
        self.n_read += records.num_rows() as u64;
        self.has_yielded = true;
        let share = self.n_read.min(self.n_rows) as f64 / self.n_rows.max(1) as f64;
        RecordChunk {
            records,
            format: RecordFormat::Columns,
            file: Arc::clone(&self.file),
            lines: (first..=self.n_read).collect(),
            broken: Vec::new(),
            bytes_read: self.bytes_before + (self.bytes as f64 * share) as u64,
        }
    }
}

impl ReadChunks for ParquetFile {
    fn next_chunk(&mut self) -> Result<Option<RecordChunk>, SourceError> {
        match self.reader.next() {
            Some(Ok(records)) => Ok(Some(self.chunk(records))),
            Some(Err(error)) => Err(malformed(&self.file, &error)),
            // A file without rows shows its columns.
            None if !self.has_yielded => {
                use arrow::record_batch::RecordBatchReader;
                let schema = self.reader.schema();
                Ok(Some(self.chunk(arrow::record_batch::RecordBatch::new_empty(schema))))
            }
            None => Ok(None),
        }
    }
}

fn malformed(file: &str, error: &dyn std::error::Error) -> SourceError {
    SourceError::Malformed {
        path: file.into(),
        reason: format!("not a readable Parquet file: {error}; write it again"),
    }
}

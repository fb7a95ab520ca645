use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, StringArray, TimestampMicrosecondArray,
};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowWriter;

use super::card_fraud::{CardFraud, CardFraudConfig, Transaction};
use crate::whole_file::WholeFile;

/// Rows per written batch.
const BATCH_ROWS: usize = 8_192;

/// Why sample data cannot be written.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot write {path}: {reason}; name a .csv, .jsonl or .parquet file in a folder that can be written"
)]
pub struct DatagenError {
    /// File at fault.
    pub path: PathBuf,
    /// What is wrong.
    pub reason: String,
}

/// Writes a card-fraud sample; the format is the one the file name says. Returns the rows written.
pub fn write_card_fraud(config: &CardFraudConfig, path: &Path) -> Result<usize, DatagenError> {
    let failed =
        |reason: &dyn std::fmt::Display| DatagenError { path: path.to_owned(), reason: reason.to_string() };
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(parent).map_err(|error| failed(&error))?;
    let file = WholeFile::create(path).map_err(|error| failed(&error))?;
    let handle = file.handle().map_err(|error| failed(&error))?;
    let mut batches = Batches(CardFraud::new(config));
    let written = match path.extension().and_then(|extension| extension.to_str()) {
        Some("csv") => csv(&mut batches, handle),
        Some("jsonl") => jsonl(&mut batches, handle),
        Some("parquet") => parquet(&mut batches, handle),
        _ => return Err(failed(&"its format is unknown")),
    };
    let n_rows = written.map_err(|error| failed(&error))?;
    file.keep().map_err(|error| failed(&error))?;
    Ok(n_rows)
}

struct Batches(CardFraud);

impl Iterator for Batches {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        let rows: Vec<Transaction> = self.0.by_ref().take(BATCH_ROWS).collect();
        (!rows.is_empty()).then(|| batch(&rows))
    }
}

fn batch(rows: &[Transaction]) -> Result<RecordBatch, ArrowError> {
    let times = rows.iter().map(|row| row.seconds * 1_000_000);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("transaction_id", Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.transaction_id)))),
        ("ts", Arc::new(TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC"))),
        (
            "customer_id",
            Arc::new(StringArray::from_iter_values(
                rows.iter().map(|row| format!("C{:05}", row.customer_id)),
            )),
        ),
        (
            "terminal_id",
            Arc::new(StringArray::from_iter_values(
                rows.iter().map(|row| format!("T{:05}", row.terminal_id)),
            )),
        ),
        ("amount", Arc::new(Float64Array::from_iter_values(rows.iter().map(|row| row.amount)))),
        ("channel", Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.channel)))),
        ("distance", Arc::new(Float64Array::from_iter_values(rows.iter().map(|row| row.distance)))),
        ("account_days", Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.account_days)))),
        ("is_fraud", Arc::new(BooleanArray::from_iter(rows.iter().map(|row| Some(row.is_fraud))))),
    ];
    RecordBatch::try_from_iter(columns)
}

fn csv(batches: &mut Batches, file: File) -> Result<usize, ArrowError> {
    let mut writer = arrow::csv::Writer::new(BufWriter::new(file));
    let mut n_rows = 0;
    for batch in batches {
        let batch = batch?;
        n_rows += batch.num_rows();
        writer.write(&batch)?;
    }
    writer.into_inner().flush()?;
    Ok(n_rows)
}

fn jsonl(batches: &mut Batches, file: File) -> Result<usize, ArrowError> {
    let mut writer = arrow::json::LineDelimitedWriter::new(BufWriter::new(file));
    let mut n_rows = 0;
    for batch in batches {
        let batch = batch?;
        n_rows += batch.num_rows();
        writer.write(&batch)?;
    }
    writer.finish()?;
    writer.into_inner().flush()?;
    Ok(n_rows)
}

fn parquet(batches: &mut Batches, file: File) -> Result<usize, ArrowError> {
    let mut writer = ArrowWriter::try_new(file, batch(&[])?.schema(), None)?;
    let mut n_rows = 0;
    for batch in batches {
        let batch = batch?;
        n_rows += batch.num_rows();
        writer.write(&batch)?;
    }
    writer.close()?;
    Ok(n_rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::{self, FilesConfig, SourceConfig};

    fn written(rows: usize, name: &str) -> Vec<u8> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new/folder").join(name);
        let config = CardFraudConfig { rows, ..Default::default() };
        assert_eq!(write_card_fraud(&config, &path).unwrap(), rows);
        let source = SourceConfig::Files(FilesConfig::of(path.display().to_string()));
        let chunks = sources::build(&source, Path::new(".")).unwrap().open();
        let found: usize = chunks.unwrap().map(|chunk| chunk.unwrap().records.num_rows()).sum();
        // A CSV file of no rows has its header, a JSON lines file nothing.
        assert_eq!(found, rows, "{name}");
        std::fs::read(&path).unwrap()
    }

    #[test]
    fn every_format_has_exactly_the_rows_asked_for_and_the_same_bytes_each_time() {
        for name in ["a.csv", "a.jsonl", "a.parquet"] {
            for rows in [1, BATCH_ROWS, BATCH_ROWS + 1] {
                assert_eq!(written(rows, name), written(rows, name), "{name}");
            }
        }
        assert!(!written(0, "a.parquet").is_empty());
    }

    #[test]
    fn what_cannot_be_written_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let config = CardFraudConfig { rows: 10, ..Default::default() };
        let error = write_card_fraud(&config, &dir.path().join("a.xlsx")).unwrap_err();
        assert!(error.to_string().contains("its format is unknown"), "{error}");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        std::fs::write(dir.path().join("file"), "").unwrap();
        let error = write_card_fraud(&config, &dir.path().join("file/a.csv")).unwrap_err();
        assert!(error.to_string().contains("file/a.csv"), "{error}");
    }
}

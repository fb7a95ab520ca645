//! Scoring of whole files with a bundle: the batch side of what the server does a request at a
//! time, through the same plan and predictor.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, Float32Array, StringArray, UInt64Array};
use arrow::datatypes::{DataType, Field, Schema as ArrowSchema, SchemaRef};
use arrow::record_batch::RecordBatch;
use crossbeam_channel::{Receiver, Sender, bounded};
use cupola_datasets::schema::{Validator, ValidatorOptions};
use cupola_datasets::sources::{self, BrokenRecord, FilesConfig, RecordChunk, SourceConfig, SourceError};
use cupola_datasets::whole_file::WholeFile;
use cupola_models::Bundle;
use cupola_models::bundle::BundleError;
use cupola_models::predict::{Scores, Task};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

/// What was scored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scored {
    /// Rows with a score.
    pub n_rows: u64,
    /// Records that broke the schema; they are in `OUT.rejected.jsonl`.
    pub n_rejected: u64,
}

/// Why a file cannot be scored.
#[derive(Debug, thiserror::Error)]
pub enum ScoringError {
    /// The file.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// Its columns do not fit the model.
    #[error("{0}")]
    Columns(String),
    /// The model.
    #[error(transparent)]
    Model(#[from] BundleError),
    /// The output.
    #[error(
        "cannot write {path}: {reason}; the output is a .csv, .parquet or .jsonl file in a folder that can be written"
    )]
    Output {
        /// File at fault.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// Chunks that are read but not written yet; with 8,192 rows each this bounds the memory.
const CHUNKS_IN_FLIGHT: usize = 16;

/// Scores every record of `input` (CSV, JSON lines, Parquet) into `output`, in order: the row's
/// number in the input, its score or scores, and for classes the label.
pub fn score_file(
    bundle: &Bundle,
    input: &Path,
    output: &Path,
    progress: &(dyn Fn(u64, Option<u64>, u64) + Sync),
) -> Result<Scored, ScoringError> {
    let config = SourceConfig::Files(FilesConfig::of(input.display().to_string()));
    let source = sources::build(&config, Path::new("."))?;
    let total = source.bytes_total();
    let chunks = source.open()?;
    let mut sink = Sink::create(output, columns(bundle))?;
    let mut scored = Scored::default();
    let validators = (0..rayon::current_num_threads())
        .map(|worker| validator(bundle, worker == 0))
        .collect::<Result<Vec<_>, _>>()?;
    let (work, to_do) = bounded::<Job>(CHUNKS_IN_FLIGHT);
    let (in_order, results) = bounded(CHUNKS_IN_FLIGHT);
    std::thread::scope(|scope| {
        for validator in validators {
            let to_do = to_do.clone();
            scope.spawn(move || work_off(bundle, validator, &to_do));
        }
        drop(to_do);
        scope.spawn(move || {
            for chunk in chunks {
                let (reply, result) = bounded(1);
                // Whoever wrote the last result does not want more after a failure.
                if in_order.send(result).is_err() || work.send(Job { chunk, reply }).is_err() {
                    return;
                }
            }
        });
        for result in results {
            // A worker always answers, unless it panicked.
            let chunk = result.recv().unwrap_or_else(|_| {
                Err(ScoringError::Columns("the scoring of a chunk failed; report it as a defect".into()))
            })?;
            scored.n_rows += chunk.rows.num_rows() as u64;
            scored.n_rejected += chunk.rejected.len() as u64;
            sink.write(&chunk)?;
            progress(chunk.bytes_read, total, scored.n_rows);
        }
        Ok::<(), ScoringError>(())
    })?;
    sink.finish()?;
    Ok(scored)
}

/// A chunk to score, and where its result goes.
struct Job {
    chunk: Result<RecordChunk, SourceError>,
    reply: Sender<Result<ScoredChunk, ScoringError>>,
}

struct ScoredChunk {
    rows: RecordBatch,
    rejected: Vec<BrokenRecord>,
    bytes_read: u64,
}

fn work_off(bundle: &Bundle, mut validator: Validator, to_do: &Receiver<Job>) {
    for Job { chunk, reply } in to_do {
        let scored =
            chunk.map_err(ScoringError::from).and_then(|chunk| score_chunk(bundle, &mut validator, chunk));
        // Nobody waits for it after a failure.
        let _ = reply.send(scored);
    }
}

fn validator(bundle: &Bundle, report_extra: bool) -> Result<Validator, ScoringError> {
    let options =
        ValidatorOptions { check_unique: false, report_extra, is_parallel: false, ..Default::default() };
    Validator::new(&bundle.manifest.signature.input, options).map_err(|error| column_error(&error))
}

fn column_error(error: &dyn std::fmt::Display) -> ScoringError {
    ScoringError::Columns(error.to_string())
}

fn score_chunk(
    bundle: &Bundle,
    validator: &mut Validator,
    chunk: RecordChunk,
) -> Result<ScoredChunk, ScoringError> {
    let (lines, bytes_read) = (chunk.lines.clone(), chunk.bytes_read);
    let validated = validator.validate(chunk).map_err(|error| column_error(&error))?;
    let scores = bundle.score(&validated.rows)?;
    let lines = if validated.quarantined.is_empty() { lines } else { kept(lines, &validated.quarantined) };
    let rows = output_rows(bundle, lines, &scores).map_err(|error| column_error(&error))?;
    Ok(ScoredChunk { rows, rejected: validated.quarantined, bytes_read })
}

/// Line numbers without those of the rejected records.
fn kept(lines: Vec<u64>, rejected: &[BrokenRecord]) -> Vec<u64> {
    let rejected: std::collections::HashSet<u64> = rejected.iter().map(|record| record.line).collect();
    lines.into_iter().filter(|line| !rejected.contains(line)).collect()
}

fn columns(bundle: &Bundle) -> SchemaRef {
    let mut fields = vec![Field::new("row", DataType::UInt64, false)];
    match &bundle.manifest.signature.task {
        Task::Multiclass { classes } => {
            fields.extend(
                classes.iter().map(|class| Field::new(format!("score_{class}"), DataType::Float32, false)),
            );
        }
        _ => fields.push(Field::new("score", DataType::Float32, false)),
    }
    if matches!(bundle.manifest.signature.task, Task::Binary { .. } | Task::Multiclass { .. }) {
        fields.push(Field::new("label", DataType::Utf8, false));
    }
    Arc::new(ArrowSchema::new(fields))
}

fn output_rows(
    bundle: &Bundle,
    lines: Vec<u64>,
    scores: &Scores,
) -> Result<RecordBatch, arrow::error::ArrowError> {
    let n_rows = lines.len();
    let mut arrays: Vec<ArrayRef> = vec![Arc::new(UInt64Array::from(lines))];
    for output in 0..scores.n_outputs {
        arrays.push(Arc::new(Float32Array::from_iter_values((0..n_rows).map(|row| scores.row(row)[output]))));
    }
    let task = &bundle.manifest.signature.task;
    let threshold = bundle.manifest.threshold;
    if matches!(task, Task::Binary { .. } | Task::Multiclass { .. }) {
        let labels = (0..n_rows).map(|row| task.decide(scores.row(row), threshold).unwrap_or_default());
        arrays.push(Arc::new(StringArray::from_iter_values(labels)));
    }
    RecordBatch::try_new(columns(bundle), arrays)
}

/// The output file, and that of the rejected records, under temporary names until they are whole.
struct Sink {
    path: PathBuf,
    temporary: WholeFile,
    writer: FileWriter,
    rejected: Option<BufWriter<WholeFile>>,
}

enum FileWriter {
    Csv(Box<arrow::csv::Writer<BufWriter<File>>>),
    Jsonl(arrow::json::LineDelimitedWriter<BufWriter<File>>),
    Parquet(Box<ArrowWriter<File>>),
}

impl Sink {
    fn create(path: &Path, schema: SchemaRef) -> Result<Self, ScoringError> {
        let failed = |reason: &dyn std::fmt::Display| ScoringError::Output {
            path: path.to_owned(),
            reason: reason.to_string(),
        };
        let extension =
            path.extension().and_then(|extension| extension.to_str()).unwrap_or_default().to_owned();
        if !["csv", "jsonl", "ndjson", "parquet"].contains(&extension.as_str()) {
            return Err(failed(&format!("its name ends in {extension:?}")));
        }
        let temporary = WholeFile::create(path).map_err(|error| failed(&error))?;
        let file = temporary.handle().map_err(|error| failed(&error))?;
        let writer = match extension.as_str() {
            "csv" => FileWriter::Csv(Box::new(arrow::csv::Writer::new(BufWriter::new(file)))),
            "parquet" => {
                let level = ZstdLevel::try_new(1).map_err(|error| failed(&error))?;
                let properties =
                    WriterProperties::builder().set_compression(Compression::ZSTD(level)).build();
                let writer =
                    ArrowWriter::try_new(file, schema, Some(properties)).map_err(|error| failed(&error))?;
                FileWriter::Parquet(Box::new(writer))
            }
            _ => FileWriter::Jsonl(arrow::json::LineDelimitedWriter::new(BufWriter::new(file))),
        };
        Ok(Self { path: path.to_owned(), temporary, writer, rejected: None })
    }

    fn failed(&self, reason: &dyn std::fmt::Display) -> ScoringError {
        ScoringError::Output { path: self.path.clone(), reason: reason.to_string() }
    }

    fn write(&mut self, chunk: &ScoredChunk) -> Result<(), ScoringError> {
        let written = match &mut self.writer {
            FileWriter::Csv(writer) => writer.write(&chunk.rows).map_err(|error| error.to_string()),
            FileWriter::Jsonl(writer) => writer.write(&chunk.rows).map_err(|error| error.to_string()),
            FileWriter::Parquet(writer) => writer.write(&chunk.rows).map_err(|error| error.to_string()),
        };
        written.map_err(|error| self.failed(&error))?;
        for record in &chunk.rejected {
            self.reject(record).map_err(|error| self.failed(&error))?;
        }
        Ok(())
    }

    fn reject(&mut self, record: &BrokenRecord) -> io::Result<()> {
        let file = match &mut self.rejected {
            Some(file) => file,
            None => self.rejected.insert(BufWriter::new(WholeFile::create(&rejected_path(&self.path))?)),
        };
        let line = serde_json::json!({
            "row": record.line, "column": record.column, "reason": record.reason, "record": record.record,
        });
        writeln!(file, "{line}")
    }

    fn finish(self) -> Result<(), ScoringError> {
        let Self { path, temporary, writer, rejected } = self;
        let failed = |reason: &dyn std::fmt::Display| ScoringError::Output {
            path: path.clone(),
            reason: reason.to_string(),
        };
        match writer {
            FileWriter::Csv(writer) => writer.into_inner().flush().map_err(|error| failed(&error))?,
            FileWriter::Jsonl(mut writer) => {
                writer.finish().map_err(|error| failed(&error))?;
                writer.into_inner().flush().map_err(|error| failed(&error))?;
            }
            FileWriter::Parquet(writer) => {
                writer.close().map_err(|error| failed(&error))?;
            }
        }
        temporary.keep().map_err(|error| failed(&error))?;
        let beside = rejected_path(&path);
        match rejected {
            Some(rejected) => {
                let file = rejected.into_inner().map_err(|error| failed(error.error()))?;
                file.keep().map_err(|error| failed(&error))
            }
            // An earlier output had some.
            None => match std::fs::remove_file(&beside) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(&error)),
                _ => Ok(()),
            },
        }
    }
}

/// Where the records go that could not be scored.
pub fn rejected_path(output: &Path) -> PathBuf {
    let mut name = output.as_os_str().to_owned();
    name.push(".rejected.jsonl");
    PathBuf::from(name)
}

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Float32Array, StringArray, UInt64Array};
use arrow::datatypes::{DataType, Field, Schema as ArrowSchema, SchemaRef};
use arrow::record_batch::RecordBatch;
use crossbeam_channel::{Receiver, Sender, bounded};
use cupola_datasets::schema::{Validator, ValidatorOptions};
use cupola_datasets::sources::{self, BrokenRecord, FilesConfig, RecordChunk, SourceConfig, SourceError};
use cupola_models::Bundle;
use cupola_models::bundle::BundleError;
use cupola_models::predict::{Scores, Task};

use super::kept::Kept;
use super::sink::{Format, Sink};

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

/// Column of the row's number in the input.
pub const ROW: &str = "row";

/// Chunks that are read but not written yet; with 8,192 rows each this bounds the memory.
const CHUNKS_IN_FLIGHT: usize = 16;

/// Scores every record of `input` (CSV, JSON lines, Parquet) into `output`, in order: the row's
/// number in the input, the columns that say which row it is and those of `keep`, its score or
/// scores, and for classes the label.
pub fn score_file(
    bundle: &Bundle,
    input: &Path,
    output: &Path,
    keep: &[String],
    progress: &(dyn Fn(u64, Option<u64>, u64) + Sync),
) -> Result<Scored, ScoringError> {
    let config = SourceConfig::Files(FilesConfig::of(input.display().to_string()));
    let source = sources::build(&config, Path::new("."))?;
    let total = source.bytes_total();
    let format = Format::of(output)?;
    let mut chunks = source.open()?.peekable();
    // A first chunk that cannot be read is reported in its turn.
    let first = chunks.peek().and_then(|chunk| chunk.as_ref().ok());
    let kept = Kept::resolve(&bundle.manifest.signature.identity, keep, first, format, &scores_of(bundle))?;
    let schema = columns(bundle, &kept);
    let mut sink = Sink::create(output, format, Arc::clone(&schema))?;
    let scorer = Scorer { bundle, kept: &kept, schema: &schema };
    let mut scored = Scored::default();
    let validators = (0..rayon::current_num_threads())
        .map(|worker| validator(bundle, worker == 0))
        .collect::<Result<Vec<_>, _>>()?;
    let (work, to_do) = bounded::<Job>(CHUNKS_IN_FLIGHT);
    let (in_order, results) = bounded(CHUNKS_IN_FLIGHT);
    std::thread::scope(|scope| {
        for validator in validators {
            let to_do = to_do.clone();
            scope.spawn(move || scorer.work_off(validator, &to_do));
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

/// What is written of a chunk.
pub struct ScoredChunk {
    /// Rows of the output.
    pub rows: RecordBatch,
    /// Records that broke the schema.
    pub rejected: Vec<BrokenRecord>,
    bytes_read: u64,
}

/// Scores chunks; every worker has its copy.
#[derive(Clone, Copy)]
struct Scorer<'a> {
    bundle: &'a Bundle,
    kept: &'a Kept,
    /// Of the output.
    schema: &'a SchemaRef,
}

impl Scorer<'_> {
    fn work_off(self, mut validator: Validator, to_do: &Receiver<Job>) {
        for Job { chunk, reply } in to_do {
            let scored =
                chunk.map_err(ScoringError::from).and_then(|chunk| self.score(&mut validator, chunk));
            // Nobody waits for it after a failure.
            let _ = reply.send(scored);
        }
    }

    fn score(self, validator: &mut Validator, chunk: RecordChunk) -> Result<ScoredChunk, ScoringError> {
        let (lines, bytes_read) = (chunk.lines.clone(), chunk.bytes_read);
        let carried = self.kept.part_of(&chunk)?;
        let validated = validator.validate(chunk).map_err(|error| column_error(&error))?;
        let scores = self.bundle.score(&validated.rows)?;
        let is_good = is_good(&lines, &validated.quarantined);
        let lines = match &is_good {
            Some(good) => {
                lines.into_iter().zip(good.values()).filter_map(|(l, good)| good.then_some(l)).collect()
            }
            None => lines,
        };
        let carried = carried.of_rows(is_good.as_ref()).map_err(|error| column_error(&error))?;
        let rows = self.output_rows(lines, carried, &scores).map_err(|error| column_error(&error))?;
        Ok(ScoredChunk { rows, rejected: validated.quarantined, bytes_read })
    }

    fn output_rows(
        self,
        lines: Vec<u64>,
        carried: Vec<ArrayRef>,
        scores: &Scores,
    ) -> Result<RecordBatch, arrow::error::ArrowError> {
        let n_rows = lines.len();
        let mut arrays: Vec<ArrayRef> = vec![Arc::new(UInt64Array::from(lines))];
        arrays.extend(carried);
        for output in 0..scores.n_outputs {
            arrays.push(Arc::new(Float32Array::from_iter_values(
                (0..n_rows).map(|row| scores.row(row)[output]),
            )));
        }
        let task = &self.bundle.manifest.signature.task;
        let threshold = self.bundle.manifest.threshold;
        if matches!(task, Task::Binary { .. } | Task::Multiclass { .. }) {
            let labels = (0..n_rows).map(|row| task.decide(scores.row(row), threshold).unwrap_or_default());
            arrays.push(Arc::new(StringArray::from_iter_values(labels)));
        }
        RecordBatch::try_new(Arc::clone(self.schema), arrays)
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

/// Which records of the chunk were not rejected; `None`: all of them.
fn is_good(lines: &[u64], rejected: &[BrokenRecord]) -> Option<BooleanArray> {
    if rejected.is_empty() {
        return None;
    }
    let rejected: std::collections::HashSet<u64> = rejected.iter().map(|record| record.line).collect();
    Some(lines.iter().map(|line| Some(!rejected.contains(line))).collect())
}

fn columns(bundle: &Bundle, kept: &Kept) -> SchemaRef {
    let row = Field::new(ROW, DataType::UInt64, false);
    let fields = std::iter::once(row).chain(kept.fields().cloned()).chain(scores_of(bundle));
    Arc::new(ArrowSchema::new(fields.collect::<Vec<_>>()))
}

fn scores_of(bundle: &Bundle) -> Vec<Field> {
    let mut fields = Vec::new();
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
    fields
}

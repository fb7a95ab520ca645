use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::corrections::{self, Correction, Corrections};
use super::list::visit;
use super::table::{Entry, Tables};
use super::validate;
use crate::lake::{Lake, LakeError, ScanOptions};
use crate::schema::{Schema, SchemaError, Validator, ValidatorOptions};
use crate::sources::BrokenRecord;

/// What became of a file of corrected records.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Replayed {
    /// Good records: the next ingest takes them in the place of the broken ones.
    pub n_good: u64,
    /// Records that still break the schema; they stay in quarantine with the new reason.
    pub n_broken: u64,
    /// Records that were replayed before; nothing was done with them.
    pub n_before: u64,
    /// The first of the broken ones.
    pub broken: Vec<Entry>,
}

/// Why a file cannot be replayed. Nothing of it is.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// File at fault.
        path: PathBuf,
        /// Cause.
        source: io::Error,
    },
    /// A line is no corrected record.
    #[error("{} line {line}: {reason}; nothing was replayed", path.display())]
    Line {
        /// File at fault.
        path: PathBuf,
        /// Line, from 1.
        line: u64,
        /// What is wrong and what to do.
        reason: String,
    },
    /// The schema cannot be used.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// A table cannot be read or written.
    #[error(transparent)]
    Lake(#[from] LakeError),
}

/// Most bytes of a line of the file.
const LINE_BYTES_MAX: u64 = 64 << 20;
/// Records that are validated and written together, and the bytes after which a group ends early.
const GROUP_RECORDS_MAX: usize = 4_096;
const GROUP_BYTES_MAX: usize = 16 << 20;
/// Broken records that are shown.
const BROKEN_SHOWN_MAX: usize = 20;

/// Takes the lines of an export, corrected, as corrections of the records with their ids: all of
/// them in one commit, or none. `is_unique`: whether a key may be there only once.
pub fn replay(
    lake: &Lake,
    tables: &Tables,
    schema: &Schema,
    is_unique: bool,
    path: &Path,
    now_micros: i64,
) -> Result<Replayed, ReplayError> {
    let file = File::open(path).map_err(|source| ReplayError::Read { path: path.to_owned(), source })?;
    let options = ValidatorOptions { check_unique: is_unique, ..ValidatorOptions::default() };
    let mut validator = Validator::new(schema, options)?;
    if is_unique && !schema.key.is_empty() {
        add_keys(lake, tables, schema, &mut validator)?;
    }
    let replay = Corrections::load(lake, &tables.corrections)?.last_replay() + 1;
    let mut replay = Replay {
        path,
        lines: Lines { reader: BufReader::new(file), n_read: 0 },
        records: records(lake, tables)?,
        schema,
        validator,
        replay,
        done: Replayed::default(),
    };
    let Some(first) = replay.group()? else { return Ok(replay.done) };
    let mut first = Some(first);
    let mut rows = std::iter::from_fn(|| {
        let group = first.take().map_or_else(|| replay.group(), |group| Ok(Some(group)));
        let batch = |group: Vec<Correction>| corrections::batch(&group, now_micros).map_err(LakeError::rows);
        group.map_err(LakeError::rows).transpose().map(|group| group.and_then(batch))
    });
    lake.append(&tables.corrections, corrections::schema(), &[], &mut rows).map_err(of_write)?;
    Ok(replay.done)
}

/// The error of the write, or that of the lines on their way into it.
fn of_write(error: LakeError) -> ReplayError {
    let LakeError::Rows(source) = error else { return error.into() };
    source.downcast::<ReplayError>().map_or_else(|other| LakeError::Rows(other).into(), |own| *own)
}

/// The keys of the raw table are taken.
fn add_keys(
    lake: &Lake,
    tables: &Tables,
    schema: &Schema,
    validator: &mut Validator,
) -> Result<(), ReplayError> {
    let Some(raw) = lake.latest(&tables.raw)? else { return Ok(()) };
    let stored = lake.schema(&raw)?;
    if schema.key.iter().any(|name| stored.index_of(name).is_err()) {
        return Ok(());
    }
    for batch in lake.scan(&raw, ScanOptions { columns: Some(schema.key.clone()), ..Default::default() })? {
        validator.add_keys(&batch?)?;
    }
    Ok(())
}

/// A record that a line may name.
enum Known {
    /// In quarantine.
    Waiting { entry: Entry },
    /// In this file already, on this line.
    Taken { line: u64 },
    /// A good correction of it is there.
    Replayed,
}

/// Every record that was in quarantine at the latest ingest, without its text.
fn records(lake: &Lake, tables: &Tables) -> Result<HashMap<String, Known>, LakeError> {
    let mut records = HashMap::new();
    for (id, correction) in Corrections::load(lake, &tables.corrections)?.all()? {
        if correction.fault.is_none() {
            records.insert(id, Known::Replayed);
        }
    }
    // What waits again after a good correction, because the schema changed, can be corrected again.
    visit(lake, tables, &mut |mut entry| {
        entry.broken.record = String::new();
        entry.broken.reason = String::new();
        records.insert(entry.id.clone(), Known::Waiting { entry });
        Ok(())
    })?;
    Ok(records)
}

struct Replay<'a> {
    path: &'a Path,
    lines: Lines,
    records: HashMap<String, Known>,
    schema: &'a Schema,
    validator: Validator,
    replay: i64,
    done: Replayed,
}

/// A line of the file. What else is in it is for the reader.
#[derive(Deserialize)]
struct Line<'a> {
    id: String,
    #[serde(borrow)]
    record: &'a RawValue,
}

impl Replay<'_> {
    /// The next corrections, validated; `None` at the end of the file.
    fn group(&mut self) -> Result<Option<Vec<Correction>>, ReplayError> {
        let mut group = Vec::new();
        let mut entries = Vec::new();
        let mut n_bytes = 0;
        while group.len() < GROUP_RECORDS_MAX && n_bytes < GROUP_BYTES_MAX {
            let text = self.lines.next().map_err(|error| self.line_error(&error))?;
            let Some(text) = text else { break };
            if let Some((correction, entry)) = self.correction(&text)? {
                n_bytes += text.len();
                group.push(correction);
                entries.push(entry);
            }
        }
        if group.is_empty() {
            return Ok(None);
        }
        validate(&mut self.validator, self.schema, &mut group)?;
        for (correction, mut entry) in group.iter().zip(entries) {
            let Some((column, reason)) = &correction.fault else {
                self.done.n_good += 1;
                continue;
            };
            self.done.n_broken += 1;
            if self.done.broken.len() < BROKEN_SHOWN_MAX {
                let (column, reason, record) = (column.clone(), reason.clone(), correction.record.clone());
                entry.broken = BrokenRecord { column, reason, record, ..entry.broken };
                self.done.broken.push(entry);
            }
        }
        Ok(Some(group))
    }

    /// The correction on a line; `None` where there is nothing to do with it.
    fn correction(&mut self, text: &str) -> Result<Option<(Correction, Entry)>, ReplayError> {
        let line: Line<'_> = serde_json::from_str(text).map_err(|error| {
            self.line_error(&format!(
                "{error}; a line is a JSON object with `id` and `record`, as `cupola quarantine export` writes it"
            ))
        })?;
        let n_line = self.lines.n_read;
        let record = match serde_json::from_str::<String>(line.record.get()) {
            Ok(text) => text,
            Err(_) => line.record.get().to_owned(),
        };
        let entry = match self.records.get_mut(&line.id) {
            Some(Known::Replayed) => {
                self.done.n_before += 1;
                return Ok(None);
            }
            Some(Known::Taken { line: first }) => {
                let reason =
                    format!("the record {} is on line {first} already; keep one of the two", line.id);
                return Err(self.line_error(&reason));
            }
            None => {
                return Err(self
                    .line_error(&format!("there is no record {} in quarantine; export it again", line.id)));
            }
            Some(known) => std::mem::replace(known, Known::Taken { line: n_line }),
        };
        let Known::Waiting { entry } = entry else { return Ok(None) };
        let (file, line) = (entry.broken.file.to_string(), entry.broken.line);
        let correction =
            Correction { id: entry.id.clone(), replay: self.replay, file, line, record, fault: None };
        Ok(Some((correction, entry)))
    }

    fn line_error(&self, reason: &dyn std::fmt::Display) -> ReplayError {
        ReplayError::Line { path: self.path.to_owned(), line: self.lines.n_read, reason: reason.to_string() }
    }
}

/// Lines that are not blank.
struct Lines {
    reader: BufReader<File>,
    n_read: u64,
}

impl Lines {
    fn next(&mut self) -> io::Result<Option<String>> {
        loop {
            let mut bytes = Vec::new();
            self.n_read += 1;
            if self.reader.by_ref().take(LINE_BYTES_MAX + 1).read_until(b'\n', &mut bytes)? == 0 {
                return Ok(None);
            }
            if bytes.len() as u64 > LINE_BYTES_MAX {
                let text = format!("longer than {} MiB", LINE_BYTES_MAX >> 20);
                return Err(io::Error::new(io::ErrorKind::InvalidData, text));
            }
            let text = String::from_utf8(bytes).map_err(|_| {
                io::Error::new(io::ErrorKind::InvalidData, "bytes that are not UTF-8; save the file as UTF-8")
            })?;
            // Some editors put a byte order mark at the start.
            let text = text.trim_start_matches('\u{feff}').trim();
            if !text.is_empty() {
                return Ok(Some(text.to_owned()));
            }
        }
    }
}

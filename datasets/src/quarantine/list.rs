use std::collections::HashMap;
use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;
use serde_json::value::RawValue;

use super::corrections::Corrections;
use super::table::{Entry, Tables, entries};
use crate::lake::{Lake, LakeError, ScanOptions};
use crate::whole_file::WholeFile;

/// What is in quarantine.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Listing {
    /// All records.
    pub n_records: u64,
    /// Records by reason, most first. Values are left out of the reasons.
    pub reasons: Vec<(String, u64)>,
    /// The first records.
    pub entries: Vec<Entry>,
}

/// Counts the records in quarantine by reason and shows the first `limit`.
pub fn list(lake: &Lake, tables: &Tables, limit: usize) -> Result<Listing, LakeError> {
    let mut listing = Listing::default();
    let mut reasons: HashMap<String, u64> = HashMap::new();
    visit(lake, tables, &mut |entry| {
        listing.n_records += 1;
        *reasons.entry(entry.broken.rule()).or_default() += 1;
        if listing.entries.len() < limit {
            listing.entries.push(entry);
        }
        Ok(())
    })?;
    listing.reasons = reasons.into_iter().collect();
    listing.reasons.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    Ok(listing)
}

/// A line of an export.
#[derive(Serialize)]
struct Line<'a> {
    id: &'a str,
    file: &'a str,
    line: u64,
    column: Option<&'a str>,
    reason: &'a str,
    record: Record<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Record<'a> {
    Object(&'a RawValue),
    Text(&'a str),
}

/// Writes every record as a line of JSON: `id`, `file`, `line`, `column`, `reason`, and under
/// `record` what is to be corrected: an object, or the raw text where it has no columns. The file
/// appears whole or not at all. Returns how many records there are.
pub fn export(lake: &Lake, tables: &Tables, path: &Path) -> Result<u64, LakeError> {
    let failed = |source| LakeError::Io { action: "write", path: path.to_owned(), source };
    let mut file = io::BufWriter::new(WholeFile::create(path).map_err(failed)?);
    let mut n_records = 0;
    visit(lake, tables, &mut |entry| {
        n_records += 1;
        let text = &entry.broken.record;
        let object = serde_json::from_str::<&RawValue>(text);
        let record = match object.ok().filter(|object| object.get().starts_with('{') && !text.contains('\n'))
        {
            Some(object) => Record::Object(object),
            None => Record::Text(text),
        };
        let (broken, id) = (&entry.broken, entry.id.as_str());
        let column = broken.column.as_deref();
        let line = Line { id, file: &broken.file, line: broken.line, column, reason: &broken.reason, record };
        serde_json::to_writer(&mut file, &line).map_err(|error| failed(error.into()))?;
        file.write_all(b"\n").map_err(failed)
    })?;
    let file = file.into_inner().map_err(|error| failed(error.into_error()))?;
    file.keep().map_err(failed)?;
    Ok(n_records)
}

/// The records that wait for a correction: those of the latest ingest without those that were
/// replayed since; a correction that is itself broken takes the place of its record.
pub(super) fn visit(
    lake: &Lake,
    tables: &Tables,
    each: &mut dyn FnMut(Entry) -> Result<(), LakeError>,
) -> Result<(), LakeError> {
    let Some(version) = lake.latest(&tables.quarantine)? else { return Ok(()) };
    let mut corrections = Corrections::load(lake, &tables.corrections)?.all()?;
    for batch in lake.scan(&version, ScanOptions { batch_rows: 4_096, ..Default::default() })? {
        for mut entry in entries(&batch?) {
            if corrections.get(&entry.id).is_some_and(|correction| correction.replay > entry.replay)
                && let Some(correction) = corrections.remove(&entry.id)
            {
                let Some((column, reason)) = correction.fault else { continue };
                (entry.broken.column, entry.broken.reason) = (column, reason);
                entry.broken.record = correction.record;
            }
            each(entry)?;
        }
    }
    Ok(())
}

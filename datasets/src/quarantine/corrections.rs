use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;

use super::table::Rows;
use crate::lake::{Lake, LakeError, ScanOptions, TableVersion};

/// What a person made of a broken record.
#[derive(Clone, Debug, PartialEq)]
pub struct Correction {
    /// Id of the broken record.
    pub id: String,
    /// Number of the replay that brought it, from 1.
    pub replay: i64,
    /// File of the broken record.
    pub file: String,
    /// Line of the broken record.
    pub line: u64,
    /// The record as it should have been: a JSON object.
    pub record: String,
    /// What the replay found wrong with it still: column and reason.
    pub fault: Option<(Option<String>, String)>,
}

/// Columns of the corrections table.
pub(super) fn schema() -> SchemaRef {
    let text = |name: &str, nullable: bool| Field::new(name, DataType::Utf8, nullable);
    let number = |name: &str| Field::new(name, DataType::Int64, false);
    Arc::new(Schema::new(vec![
        text("id", false),
        number("replay"),
        text("file", false),
        number("line"),
        text("record", false),
        text("column", true),
        text("reason", true),
        Field::new("time", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), false),
    ]))
}

/// Rows of the table.
pub(super) fn batch(corrections: &[Correction], now_micros: i64) -> Result<RecordBatch, ArrowError> {
    let text = |value: &dyn Fn(&Correction) -> Option<&str>| -> ArrayRef {
        Arc::new(StringArray::from_iter(corrections.iter().map(value)))
    };
    let number = |value: &dyn Fn(&Correction) -> i64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(corrections.iter().map(value)))
    };
    let columns = vec![
        text(&|row| Some(&row.id)),
        number(&|row| row.replay),
        text(&|row| Some(&row.file)),
        number(&|row| row.line as i64),
        text(&|row| Some(&row.record)),
        text(&|row| row.fault.as_ref()?.0.as_deref()),
        text(&|row| row.fault.as_ref().map(|(_, reason)| reason.as_str())),
        Arc::new(TimestampMicrosecondArray::from_value(now_micros, corrections.len()).with_timezone("UTC")),
    ];
    RecordBatch::try_new(schema(), columns)
}

fn corrections(batch: &RecordBatch) -> impl Iterator<Item = Correction> + '_ {
    let rows = Rows(batch);
    (0..batch.num_rows()).map(move |row| Correction {
        id: rows.text("id", row),
        replay: rows.number("replay", row),
        file: rows.text("file", row),
        line: rows.number("line", row) as u64,
        record: rows.text("record", row),
        fault: rows.optional("reason", row).map(|reason| (rows.optional("column", row), reason)),
    })
}

/// The corrections of a pipeline: of each broken record the latest. Their ids are held in memory,
/// their texts are read when they are asked for.
pub struct Corrections {
    lake: Lake,
    table: Option<TableVersion>,
    latest: HashMap<String, Latest>,
    last_replay: i64,
}

struct Latest {
    replay: i64,
    is_met: bool,
}

impl Corrections {
    /// The corrections in this table, which need not exist.
    pub fn load(lake: &Lake, table: &str) -> Result<Self, LakeError> {
        let table = lake.latest(table)?;
        let mut loaded = Self { lake: lake.clone(), table, latest: HashMap::new(), last_replay: 0 };
        for batch in loaded.scan(Some(&["id", "replay"]))? {
            let batch = batch?;
            let rows = Rows(&batch);
            for row in 0..batch.num_rows() {
                let (id, replay) = (rows.text("id", row), rows.number("replay", row));
                loaded.last_replay = loaded.last_replay.max(replay);
                let latest = loaded.latest.entry(id).or_insert(Latest { replay, is_met: false });
                latest.replay = latest.replay.max(replay);
            }
        }
        Ok(loaded)
    }

    /// The table version; `None` where nothing was ever replayed.
    pub fn table(&self) -> Option<&TableVersion> {
        self.table.as_ref()
    }

    /// Number of the last replay; 0 for none.
    pub fn last_replay(&self) -> i64 {
        self.last_replay
    }

    /// Whether a broken record has a correction, which [`Corrections::met`] then yields.
    pub fn meet(&mut self, id: &str) -> bool {
        let latest = self.latest.get_mut(id);
        latest.map(|latest| latest.is_met = true).is_some()
    }

    /// The latest corrections of the records that were met, a table batch at a time.
    pub fn met(self) -> Result<impl Iterator<Item = Result<Vec<Correction>, LakeError>> + Send, LakeError> {
        let batches = self.scan(None)?;
        Ok(batches.map(move |batch| {
            let batch = batch?;
            let is_wanted = |row: &Correction| {
                self.latest.get(&row.id).is_some_and(|latest| latest.is_met && latest.replay == row.replay)
            };
            Ok(corrections(&batch).filter(is_wanted).collect())
        }))
    }

    /// Every latest correction, by the id of its record.
    pub(super) fn all(mut self) -> Result<HashMap<String, Correction>, LakeError> {
        self.latest.values_mut().for_each(|latest| latest.is_met = true);
        let mut all = HashMap::with_capacity(self.latest.len());
        for group in self.met()? {
            for mut correction in group? {
                // The text of what is good is never shown.
                if correction.fault.is_none() {
                    correction.record = String::new();
                }
                all.insert(correction.id.clone(), correction);
            }
        }
        Ok(all)
    }

    fn scan(
        &self,
        columns: Option<&[&str]>,
    ) -> Result<Box<dyn Iterator<Item = Result<RecordBatch, LakeError>> + Send>, LakeError> {
        let Some(table) = &self.table else { return Ok(Box::new(std::iter::empty())) };
        let columns = columns.map(|names| names.iter().map(|name| (*name).to_owned()).collect());
        self.lake.scan(table, ScanOptions { columns, batch_rows: 4_096, ..Default::default() })
    }
}

use std::collections::HashMap;

use arrow::record_batch::RecordBatch;
use cupola_datasets::lake::LakeError;
use cupola_datasets::quarantine::{self, Correction, Corrections, Entry, Identifier, Tables};
use cupola_datasets::schema::{Schema, Validator, ValidatorOptions};
use cupola_datasets::sources::{BrokenRecord, RecordChunk, Source, SourceError};
use cupola_datasets::{TableVersion, schema, sources};
use serde::{Deserialize, Serialize};

use super::error::RunError;
use super::observer::Stage;
use super::run::Context;
use super::store::{address, write_json};

/// Result of the ingest stage.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Ingested {
    /// The raw table.
    pub raw: TableVersion,
    /// Changes with the source's content and the settings it was read with.
    pub digest: String,
    /// Declared or inferred schema.
    pub schema: Schema,
    /// What a person calls the source.
    pub source: String,
    /// Broken records of this ingest, in the quarantine table.
    pub n_quarantined: u64,
    /// Version of the quarantine table, if there is one.
    pub quarantine: Option<TableVersion>,
}

/// What a replay validates against: the schema of the latest ingest.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Rules {
    pub schema: Schema,
    /// Whether a key may be there only once.
    pub is_unique: bool,
}

impl Rules {
    pub const FILE: &str = "rules.json";
}

/// Reads the source, validates it, and writes the raw table and the quarantine table. A broken
/// record that has a correction is taken as the correction says.
pub fn run(context: &Context<'_>) -> Result<(Ingested, bool), RunError> {
    let pipeline = &context.pipeline;
    let source = sources::build(&pipeline.source, context.base_dir)?;
    let tables = Tables::of(&pipeline.name);
    let corrections = Corrections::load(&context.lake, &tables.corrections)?;
    let inputs = (
        &pipeline.source,
        source.fingerprint()?,
        &pipeline.schema,
        &pipeline.prepare.deduplicate,
        pipeline.max_quarantined,
        corrections.table(),
    );
    let address = address(&inputs)?;
    if let Some(result) = context.store.get::<Ingested>(Stage::Ingest, &address) {
        return Ok((result, true));
    }
    context.allow(Stage::Ingest)?;
    let schema = complete_schema(&pipeline.schema, source.as_ref())?;
    let is_unique = pipeline.prepare.deduplicate.is_none();
    let options = ValidatorOptions { check_unique: is_unique, ..Default::default() };
    let validator =
        Validator::new(&schema, options).map_err(|error| RunError::Settings(error.to_string()))?;
    let rules = Rules { schema, is_unique };
    write_json(&context.store.path(Rules::FILE), &rules)?;
    let Rules { schema, .. } = rules;

    let mut rows = ValidRows {
        context,
        schema: &schema,
        source: source.describe(),
        chunks: source.open()?,
        bytes_total: source.bytes_total(),
        validator,
        set_aside: SetAside::new(context, &tables, corrections.last_replay()),
        corrections: Some(corrections),
        corrected: None,
        n_rows: 0,
        is_ended: false,
    };
    let written = context.lake.overwrite(&tables.raw, schema.arrow(), &[], &mut rows);
    let (is_ended, set_aside) = (rows.is_ended, rows.set_aside);
    let n_quarantined = set_aside.n_broken;
    // What was set aside is kept also where it is too much to go on, to be looked at, but not where
    // the source was not read to its end.
    let quarantine = if is_ended { set_aside.writer.commit()? } else { None };
    let raw = written.map_err(RunError::from_lake)?;
    let digest = address.clone();
    let result = Ingested { raw, digest, schema, source: source.describe(), n_quarantined, quarantine };
    context.store.put(Stage::Ingest, &address, &result)?;
    Ok((result, false))
}

/// Declared columns, or inferred ones where none are declared.
fn complete_schema(declared: &Schema, source: &dyn Source) -> Result<Schema, RunError> {
    if !declared.columns.is_empty() {
        return Ok(declared.clone());
    }
    let inferred = schema::infer(source, Default::default()).map_err(RunError::data)?;
    let mut complete = Schema { columns: inferred.columns, ..declared.clone() };
    let names = complete
        .time
        .iter()
        .chain(&complete.label)
        .chain(&complete.weight)
        .chain(&complete.group)
        .chain(&complete.key);
    for name in names {
        if !complete.columns.contains_key(name) {
            let known: Vec<&str> = complete.columns.keys().map(String::as_str).collect();
            let near = schema::nearest(name, known.iter().copied())
                .map(|near| format!("did you mean `{near}`? "))
                .unwrap_or_default();
            return Err(RunError::Settings(format!(
                "[schema] names the column `{name}`, which {} does not have; {near}Its columns are {}",
                source.describe(),
                known.join(", ")
            )));
        }
    }
    // What a sample happens to show is no rule: an inferred schema constrains types only.
    for column in complete.columns.values_mut() {
        (column.required, column.min, column.max) = (false, None, None);
        column.allowed.clear();
    }
    Ok(complete)
}

/// Validates as the lake pulls: first the source, then the corrections of what was broken in it.
struct ValidRows<'a> {
    context: &'a Context<'a>,
    schema: &'a Schema,
    source: String,
    chunks: Box<dyn Iterator<Item = Result<RecordChunk, SourceError>> + Send>,
    bytes_total: Option<u64>,
    validator: Validator,
    set_aside: SetAside<'a>,
    /// Until the source has ended.
    corrections: Option<Corrections>,
    /// From then on.
    corrected: Option<Box<dyn Iterator<Item = Result<Vec<Correction>, LakeError>> + Send>>,
    n_rows: u64,
    is_ended: bool,
}

impl ValidRows<'_> {
    fn pull(&mut self) -> Result<Option<RecordBatch>, RunError> {
        if self.corrections.is_some() {
            if let Some(chunk) = self.chunks.next().transpose()? {
                return self.found(chunk).map(Some);
            }
            if let Some(corrections) = self.corrections.take() {
                self.corrected = Some(Box::new(corrections.met()?));
            }
        }
        if let Some(group) = self.corrected.as_mut().and_then(Iterator::next) {
            return self.corrected(group?).map(Some);
        }
        if !self.is_ended {
            self.is_ended = true;
            self.judge()?;
        }
        Ok(None)
    }

    /// Rows of a chunk of the source.
    fn found(&mut self, chunk: RecordChunk) -> Result<RecordBatch, RunError> {
        let bytes_read = chunk.bytes_read;
        let validated = self.validator.validate(chunk).map_err(RunError::data)?;
        let mut broken = Vec::with_capacity(validated.quarantined.len());
        for record in validated.quarantined {
            let id = self.set_aside.identifier.id(&record);
            if !self.corrections.as_mut().is_some_and(|corrections| corrections.meet(&id)) {
                broken.push((id, record));
            }
        }
        self.set_aside.add(broken)?;
        self.n_rows += validated.rows.num_rows() as u64;
        let note = format!("{} rows, {} quarantined", self.n_rows, self.set_aside.n_broken);
        self.context.observer.progress(Stage::Ingest, bytes_read, self.bytes_total, "bytes", &note);
        Ok(validated.rows)
    }

    /// Rows of corrections. One that breaks the schema, which may have changed, is set aside again.
    fn corrected(&mut self, mut group: Vec<Correction>) -> Result<RecordBatch, RunError> {
        let rows =
            quarantine::validate(&mut self.validator, self.schema, &mut group).map_err(RunError::data)?;
        let broken = group.into_iter().filter_map(|correction| {
            let (column, reason) = correction.fault?;
            let (file, line, record) = (correction.file.into(), correction.line, correction.record);
            Some((correction.id, BrokenRecord { file, line, column, reason, record }))
        });
        self.set_aside.add(broken.collect())?;
        self.n_rows += rows.num_rows() as u64;
        Ok(rows)
    }

    /// Whether the rows are good enough to go on with. An error here leaves the raw table as it was.
    fn judge(&self) -> Result<(), RunError> {
        let (n_broken, share) = (self.set_aside.n_broken, self.context.pipeline.max_quarantined);
        let records = self.n_rows + n_broken;
        let pipeline = self.context.pipeline.name.clone();
        if n_broken as f64 > share * records as f64 {
            let reason = self.set_aside.most_common();
            return Err(RunError::Quarantined { quarantined: n_broken, records, share, reason, pipeline });
        }
        match (self.n_rows, n_broken) {
            (0, 0) => {
                Err(RunError::Data(format!("{} has no record; check the path in [source]", self.source)))
            }
            (0, _) => Err(RunError::Data(format!(
                "{} has no valid record; see `cupola quarantine list {pipeline}`",
                self.source
            ))),
            _ => Ok(()),
        }
    }
}

impl Iterator for ValidRows<'_> {
    type Item = Result<RecordBatch, LakeError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.pull().map_err(LakeError::rows).transpose()
    }
}

/// Broken records on their way into the quarantine table.
struct SetAside<'a> {
    run_id: &'a str,
    replay: i64,
    identifier: Identifier,
    writer: quarantine::Writer,
    reasons: HashMap<String, u64>,
    n_broken: u64,
}

/// Reasons that are counted; there are few, they carry no values.
const REASONS_MAX: usize = 1_000;

impl<'a> SetAside<'a> {
    fn new(context: &Context<'a>, tables: &Tables, replay: i64) -> Self {
        Self {
            run_id: context.run_id,
            replay,
            identifier: Identifier::default(),
            writer: quarantine::Writer::start(&context.lake, &tables.quarantine, context.now_micros),
            reasons: HashMap::new(),
            n_broken: 0,
        }
    }

    fn add(&mut self, records: Vec<(String, BrokenRecord)>) -> Result<(), RunError> {
        self.n_broken += records.len() as u64;
        for (_, record) in &records {
            let rule = record.rule();
            if self.reasons.len() < REASONS_MAX || self.reasons.contains_key(&rule) {
                *self.reasons.entry(rule).or_default() += 1;
            }
        }
        let (run_id, replay) = (self.run_id, self.replay);
        let entry = |(id, broken)| Entry { id, broken, run_id: run_id.to_owned(), replay };
        Ok(self.writer.push(records.into_iter().map(entry).collect())?)
    }

    fn most_common(&self) -> String {
        let most = self.reasons.iter().max_by(|a, b| a.1.cmp(b.1).then_with(|| b.0.cmp(a.0)));
        most.map_or(String::new(), |(rule, n)| format!("{rule} ({n} records)"))
    }
}

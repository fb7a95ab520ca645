use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use arrow::array::{Array, AsArray, BooleanArray, Float32Array};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimestampMicrosecondType};
use arrow::record_batch::RecordBatch;
use cupola_datasets::TableVersion;
use cupola_datasets::features::{self, FeatureTable, FeaturesConfig, FittedPlan, LabelledBatch};
use cupola_datasets::lake::{LakeError, ScanOptions};
use cupola_datasets::schema::Schema;
use cupola_models::predict::Task;
use cupola_training::split::{self, Part, SplitInput, SplitKind};
use serde::{Deserialize, Serialize};

use super::continued::Continued;
use super::error::RunError;
use super::ingest::Ingested;
use super::label::{LabelEncoder, LabelValues};
use super::observer::Stage;
use super::prepare::Prepared;
use super::run::Context;
use super::store::address;

/// Result of the features stage.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Featured {
    /// The feature table.
    pub features: TableVersion,
    /// The plan with what it learned from the training rows.
    pub plan: FittedPlan,
    /// What is predicted.
    pub task: Task,
    /// Rows per part.
    pub n_train: u64,
    /// Rows that stop the training.
    pub n_validation: u64,
    /// Rows that judge the model.
    pub n_test: u64,
    /// Rows left out because their label is missing.
    pub n_unlabelled: u64,
}

/// Splits the clean table, fits the plan on the training rows, and writes the feature table.
pub fn run(
    context: &Context<'_>,
    ingested: &Ingested,
    prepared: &Prepared,
) -> Result<(Featured, bool), RunError> {
    let p = &context.pipeline;
    let normalise = Some(p.features.normalise.unwrap_or(p.model.normalise()));
    let settings = FeaturesConfig { normalise, ..p.features.clone() };
    let continued = Continued::load(context)?;
    let inputs = (
        (&prepared.clean, &ingested.schema, &settings, &p.prepare.impute, &p.prepare.clip),
        (&p.split, p.train.seed, p.task),
        continued.as_ref().map(|from| &from.plan),
    );
    let address = address(&inputs)?;
    if let Some(result) = context.store.get::<Featured>(Stage::Features, &address) {
        return Ok((result, true));
    }
    context.allow(Stage::Features)?;
    let schema = input_schema(&p.schema, ingested, prepared);
    let table = CleanTable { context, clean: &prepared.clean, schema: &schema };
    let outline = table.outline()?;
    let parts = table.split(&outline)?;
    let train = |row: usize| outline.has_label(row) && parts[row] == Part::Train;
    let mut rows = table.rows("fitting", None)?.select(&train);
    let plan = match continued {
        Some(from) => from.plan,
        None => features::fit(&mut rows, &schema, &settings, &p.prepare, p.train.seed)?,
    };
    let features = table.write(&plan, &outline, &parts)?;
    let count = |part: Part| {
        (0..parts.len()).filter(|row| outline.has_label(*row) && parts[*row] == part).count() as u64
    };
    let result = Featured {
        features,
        task: outline.encoder.task.clone(),
        n_train: count(Part::Train),
        n_validation: count(Part::Validation),
        n_test: count(Part::Test),
        n_unlabelled: outline.labels.iter().filter(|label| label.is_nan()).count() as u64,
        plan,
    };
    context.store.put(Stage::Features, &address, &result)?;
    Ok((result, false))
}

/// The schema that requests must meet. Where columns were inferred, one that never lacked a value is
/// required: a request without it would be scored on a guess.
fn input_schema(declared: &Schema, ingested: &Ingested, prepared: &Prepared) -> Schema {
    let mut schema = ingested.schema.clone();
    if declared.columns.is_empty() {
        for (name, column) in &mut schema.columns {
            column.required = prepared.profile.column(name).is_some_and(|seen| seen.missing == 0);
        }
    }
    schema
}

/// What a split needs to know of each row: 4 to 20 bytes a row, held in memory.
struct Outline {
    encoder: LabelEncoder,
    labels: Vec<f32>,
    times: Vec<i64>,
    groups: Vec<u64>,
}

impl Outline {
    /// Gives all rows of a list the time of its earliest, so that a split by time does not divide it.
    fn time_lists_whole(&mut self) {
        let mut earliest: HashMap<u64, i64> = HashMap::new();
        for (group, time) in self.groups.iter().zip(&self.times) {
            let of_list = earliest.entry(*group).or_insert(*time);
            *of_list = (*of_list).min(*time);
        }
        for (time, group) in self.times.iter_mut().zip(&self.groups) {
            *time = earliest.get(group).copied().unwrap_or(*time);
        }
    }

    fn has_label(&self, row: usize) -> bool {
        !self.labels[row].is_nan()
    }
}

struct CleanTable<'a> {
    context: &'a Context<'a>,
    clean: &'a TableVersion,
    schema: &'a Schema,
}

impl<'a> CleanTable<'a> {
    fn rows(&self, note: &'static str, columns: Option<Vec<String>>) -> Result<Rows<'a>, RunError> {
        let batches = self.context.lake.scan(self.clean, ScanOptions { columns, ..Default::default() })?;
        Ok(Rows { batches, context: self.context, total: self.clean.n_rows, seen: 0, note })
    }

    fn label(&self) -> Result<&'a str, RunError> {
        self.schema
            .label
            .as_deref()
            .ok_or_else(|| RunError::Settings("the schema names no label; add `label` under [schema]".into()))
    }

    fn outline(&self) -> Result<Outline, RunError> {
        let label = self.label()?;
        let (time, by) = (self.schema.time.as_deref(), self.stays_together());
        let mut columns: Vec<String> =
            [Some(label), time, by].into_iter().flatten().map(str::to_owned).collect();
        columns.sort();
        columns.dedup();
        let mut values = LabelValues::default();
        for batch in self.rows("reading labels", Some(vec![label.to_owned()]))? {
            values.observe(column(&batch?, label)?);
        }
        let encoder = values.encoder(label, self.context.pipeline.task)?;
        let n = self.clean.n_rows as usize;
        let mut outline =
            Outline { encoder, labels: Vec::with_capacity(n), times: Vec::new(), groups: Vec::new() };
        for batch in self.rows("splitting", Some(columns))? {
            let batch = batch?;
            outline.labels.extend(outline.encoder.encode(column(&batch, label)?));
            if let Some(time) = time {
                outline.times.extend(micros(column(&batch, time)?));
            }
            if let Some(by) = by {
                outline.groups.extend(hashes(column(&batch, by)?)?);
            }
        }
        if self.schema.group.is_some() {
            outline.time_lists_whole();
        }
        Ok(outline)
    }

    /// Column whose rows stay together: the lists of a ranking in every split, else those of a group split.
    fn stays_together(&self) -> Option<&'a str> {
        self.schema.group.as_deref().or(self.context.pipeline.split.by.as_deref())
    }

    fn split(&self, outline: &Outline) -> Result<Vec<Part>, RunError> {
        let mut config = self.context.pipeline.split.clone();
        let classes = matches!(outline.encoder.task, Task::Binary { .. } | Task::Multiclass { .. });
        config.kind = Some(config.kind.unwrap_or(match classes {
            _ if config.by.is_some() => SplitKind::Group,
            _ if self.schema.time.is_some() => SplitKind::Time,
            _ if self.schema.group.is_some() => SplitKind::Group,
            true => SplitKind::Stratified,
            false => SplitKind::Random,
        }));
        let labels: Vec<u32> =
            if classes { outline.labels.iter().map(|label| *label as u32).collect() } else { Vec::new() };
        let given = |present: bool| present.then_some(());
        let input = SplitInput {
            n_rows: outline.labels.len(),
            times: given(!outline.times.is_empty()).map(|()| outline.times.as_slice()),
            labels: given(classes).map(|()| labels.as_slice()),
            groups: given(!outline.groups.is_empty()).map(|()| outline.groups.as_slice()),
        };
        split::assign(&config, input, self.context.pipeline.train.seed).map_err(RunError::data)
    }

    fn write(&self, plan: &FittedPlan, outline: &Outline, parts: &[Part]) -> Result<TableVersion, RunError> {
        let compiled = plan.clone().compile()?;
        let (weight, group) = (self.schema.weight.as_deref(), self.schema.group.as_deref());
        let table = FeatureTable::new(plan, self.schema);
        let mut first = 0;
        let mut encoded = self.rows("computing features", None)?.map(|batch| {
            let batch = batch?;
            let range = first..first + batch.num_rows();
            first = range.end;
            let labelled: BooleanArray = range.clone().map(|row| Some(outline.has_label(row))).collect();
            let rows = filter_record_batch(&batch, &labelled).map_err(|error| failed(&error))?;
            let kept: Vec<usize> = range.filter(|row| outline.has_label(*row)).collect();
            let labels: Vec<f32> = kept.iter().map(|row| outline.labels[*row]).collect();
            let names: Vec<&str> = kept.iter().map(|row| parts[*row].name()).collect();
            let weights = weight.map(|name| weights(&rows, name)).transpose()?;
            let groups = group.map(|name| groups(&rows, name)).transpose()?;
            let features = compiled.apply(&rows).map_err(|error| failed(&error))?;
            let rows = LabelledBatch { features, labels, weights, groups };
            table.encode(&rows, &names).map_err(|error| failed(&error))
        });
        let name = format!("{}/features", self.context.pipeline.name);
        self.context
            .lake
            .overwrite(&name, table.schema(), &[FeatureTable::PART], &mut encoded)
            .map_err(RunError::from_lake)
    }
}

/// Batches of the clean table, with progress.
struct Rows<'a> {
    batches: Box<dyn Iterator<Item = Result<RecordBatch, LakeError>> + Send>,
    context: &'a Context<'a>,
    total: u64,
    seen: u64,
    note: &'static str,
}

impl<'a> Rows<'a> {
    /// Only the rows whose number passes.
    fn select(
        self,
        keep: &'a dyn Fn(usize) -> bool,
    ) -> impl Iterator<Item = Result<RecordBatch, LakeError>> + 'a {
        let mut first = 0;
        self.map(move |batch| {
            let batch = batch?;
            let mask: BooleanArray = (first..first + batch.num_rows()).map(|row| Some(keep(row))).collect();
            first += batch.num_rows();
            filter_record_batch(&batch, &mask).map_err(|error| failed(&error))
        })
    }
}

impl Iterator for Rows<'_> {
    type Item = Result<RecordBatch, LakeError>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.batches.next()?;
        self.seen += batch.as_ref().map_or(0, |batch| batch.num_rows() as u64);
        self.context.observer.progress(Stage::Features, self.seen, Some(self.total), "rows", self.note);
        Some(batch)
    }
}

fn failed(error: &dyn std::fmt::Display) -> LakeError {
    LakeError::rows(error.to_string())
}

fn column<'b>(batch: &'b RecordBatch, name: &str) -> Result<&'b dyn Array, RunError> {
    let column = batch.column_by_name(name);
    column
        .map(AsRef::as_ref)
        .ok_or_else(|| RunError::Settings(format!("the clean table has no column `{name}`")))
}

fn micros(column: &dyn Array) -> Vec<i64> {
    match column.data_type() {
        DataType::Int64 => column.as_primitive::<Int64Type>().values().to_vec(),
        DataType::Timestamp(..) => {
            let times = column.as_primitive::<TimestampMicrosecondType>();
            (0..times.len()).map(|row| if times.is_null(row) { i64::MIN } else { times.value(row) }).collect()
        }
        _ => vec![0; column.len()],
    }
}

fn hashes(column: &dyn Array) -> Result<Vec<u64>, RunError> {
    let texts = arrow::compute::cast(column, &DataType::Utf8).map_err(RunError::data)?;
    let texts = texts.as_string::<i32>();
    Ok((0..texts.len())
        .map(|row| {
            // SipHash with fixed keys: the same in every run.
            let mut hasher = DefaultHasher::new();
            texts.is_valid(row).then(|| texts.value(row)).hash(&mut hasher);
            hasher.finish()
        })
        .collect())
}

fn groups(rows: &RecordBatch, name: &str) -> Result<Vec<u64>, LakeError> {
    let column = column(rows, name).map_err(|error| failed(&error))?;
    if column.null_count() > 0 {
        return Err(failed(&format!(
            "the group `{name}` has missing values: which list a row belongs to must be known; declare the column with required = true"
        )));
    }
    hashes(column).map_err(|error| failed(&error))
}

fn weights(rows: &RecordBatch, name: &str) -> Result<Vec<f32>, LakeError> {
    let column =
        rows.column_by_name(name).ok_or_else(|| failed(&format!("there is no weight column `{name}`")))?;
    let column = arrow::compute::cast(column, &DataType::Float64).map_err(|error| failed(&error))?;
    let values = column.as_primitive::<Float64Type>();
    if values.iter().any(|weight| !weight.is_some_and(|w| w.is_finite() && w >= 0.0)) {
        return Err(failed(&format!(
            "the weight `{name}` has missing, negative or infinite values; give it min = 0 and required = true"
        )));
    }
    let narrow: Float32Array = values.unary(|weight| weight as f32);
    Ok(narrow.values().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_counts_by_its_earliest_row() {
        let mut outline = Outline {
            encoder: LabelEncoder { task: Task::Ranking },
            labels: vec![0.0; 5],
            times: vec![30, 10, 20, 5, 40],
            groups: vec![1, 2, 1, 2, 3],
        };
        outline.time_lists_whole();
        assert_eq!(outline.times, [20, 5, 20, 5, 40]);
    }
}

use std::collections::HashMap;

use arrow::array::Array;
use arrow::record_batch::RecordBatch;
use rayon::prelude::*;

use super::association::LabelValues;
use super::categories::Categories;
use super::data_profile::{ColumnProfile, ColumnRole, DataProfile};
use super::distinct::DistinctCounter;
use super::numbers::Numbers;
use super::{ProfileConfig, warning};
use crate::features::{Chosen, Reservoir, Values};
use crate::lake::LakeError;
use crate::schema::{ColumnType, Schema};

/// Classes of a string label that columns are compared with.
const CLASSES_MAX: usize = 256;

impl DataProfile {
    /// Profiles rows with the columns of `schema` in one pass and bounded memory. Counts, means,
    /// ranges and associations are of all rows.
    pub fn compute(
        rows: &mut dyn Iterator<Item = Result<RecordBatch, LakeError>>,
        schema: &Schema,
        label: Option<&str>,
    ) -> Result<Self, LakeError> {
        Self::compute_with(rows, schema, label, &ProfileConfig::default())
    }

    /// [`DataProfile::compute`] with other limits.
    pub fn compute_with(
        rows: &mut dyn Iterator<Item = Result<RecordBatch, LakeError>>,
        schema: &Schema,
        label: Option<&str>,
        config: &ProfileConfig,
    ) -> Result<Self, LakeError> {
        let mut columns: Vec<ColumnState> = schema
            .columns
            .iter()
            .map(|(name, column)| ColumnState::new(name, column.kind, role(schema, label, name), config))
            .collect();
        let mut classes = Classes::default();
        let mut reservoir = Reservoir::new(config.sample_rows_max, config.seed);
        let mut n_rows = 0;
        for batch in rows {
            let batch = batch?;
            n_rows += batch.num_rows() as u64;
            let chosen = reservoir.choose(batch.num_rows());
            let label = label.map(|name| classes.of(&batch, schema, name)).transpose()?;
            columns.par_iter_mut().try_for_each(|column| column.add(&batch, &chosen, label.as_ref()))?;
        }
        let label_squares = columns
            .iter()
            .find(|c| c.role == ColumnRole::Label && c.kind != ColumnType::String)
            .map(|c| c.numbers.squares());
        let columns: Vec<ColumnProfile> =
            columns.into_par_iter().map(|c| c.finish(label.is_some(), label_squares, config)).collect();
        let n_sampled = n_rows.min(config.sample_rows_max as u64);
        let warnings = warning::find(&columns, n_rows);
        Ok(Self { n_rows, n_sampled, label: label.map(str::to_owned), columns, warnings })
    }
}

fn role(schema: &Schema, label: Option<&str>, name: &str) -> ColumnRole {
    if label == Some(name) {
        ColumnRole::Label
    } else if schema.time.as_deref() == Some(name) {
        ColumnRole::Time
    } else if schema.weight.as_deref() == Some(name) {
        ColumnRole::Weight
    } else if schema.key.iter().chain(&schema.group).any(|k| k == name) {
        ColumnRole::Key
    } else {
        ColumnRole::Feature
    }
}

fn find<'a>(batch: &'a RecordBatch, name: &str, kind: ColumnType) -> Result<Values<'a>, LakeError> {
    let column = batch.column_by_name(name).filter(|c| c.data_type() == &kind.arrow());
    let column = column.ok_or_else(|| LakeError::Columns {
        table: "to profile".into(),
        reason: format!("it has no column {name} of type {}", kind.arrow()),
    })?;
    Ok(Values::of(column, kind))
}

/// Indices of the classes of a string label, in the order in which they appear.
#[derive(Default)]
struct Classes {
    known: HashMap<String, usize>,
}

impl Classes {
    fn of(&mut self, batch: &RecordBatch, schema: &Schema, name: &str) -> Result<LabelValues, LakeError> {
        let kind = schema.columns.get(name).map_or(ColumnType::String, |c| c.kind);
        let values = find(batch, name, kind)?;
        let Values::Text(texts) = &values else {
            let mut numbers = vec![0.0; batch.num_rows()];
            values.numbers(0, &mut numbers);
            return Ok(LabelValues::Numbers(numbers));
        };
        let class = |text: Option<&str>| {
            let text = text?;
            if let Some(class) = self.known.get(text) {
                return Some(*class);
            }
            let next = self.known.len();
            (next < CLASSES_MAX).then(|| *self.known.entry(text.to_owned()).or_insert(next))
        };
        Ok(LabelValues::Classes(texts.iter().map(class).collect()))
    }
}

struct ColumnState {
    name: String,
    kind: ColumnType,
    role: ColumnRole,
    missing: u64,
    count: u64,
    distinct: DistinctCounter,
    rises: Rises,
    numbers: Numbers,
    categories: Categories,
}

/// How often an integer is greater than the one before.
#[derive(Default)]
struct Rises {
    last: Option<i64>,
    count: u64,
}

impl Rises {
    fn add(&mut self, value: i64) {
        self.count += u64::from(self.last.is_some_and(|last| value > last));
        self.last = Some(value);
    }
}

impl ColumnState {
    fn new(name: &str, kind: ColumnType, role: ColumnRole, config: &ProfileConfig) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            role,
            missing: 0,
            count: 0,
            distinct: DistinctCounter::new(config.distinct_exact_max),
            rises: Rises::default(),
            numbers: Numbers::default(),
            categories: Categories::default(),
        }
    }

    fn add(
        &mut self,
        batch: &RecordBatch,
        chosen: &Chosen,
        label: Option<&LabelValues>,
    ) -> Result<(), LakeError> {
        let values = find(batch, &self.name, self.kind)?;
        let missing = values.array().null_count() as u64;
        self.missing += missing;
        self.count += batch.num_rows() as u64 - missing;
        match &values {
            Values::Bool(a) => a.iter().flatten().for_each(|v| self.distinct.add(&v)),
            Values::Int(a) => a.iter().flatten().for_each(|v| {
                self.distinct.add(&v);
                self.rises.add(v);
            }),
            Values::Float(a) => a.iter().flatten().for_each(|v| self.distinct.add(&v.to_bits())),
            Values::Text(a) => a.iter().flatten().for_each(|v| self.distinct.add(v)),
            Values::Time(a) => a.iter().flatten().for_each(|v| self.distinct.add(&v)),
        }
        self.categories.add(&values, label);
        if self.kind != ColumnType::String {
            let mut numbers = vec![0.0; batch.num_rows()];
            values.numbers(0, &mut numbers);
            self.numbers.add(&numbers, chosen, label);
        }
        Ok(())
    }

    fn finish(self, labelled: bool, label_squares: Option<f64>, config: &ProfileConfig) -> ColumnProfile {
        let compared =
            labelled && matches!(self.role, ColumnRole::Feature | ColumnRole::Time | ColumnRole::Key);
        let association = match self.kind {
            _ if !compared => None,
            ColumnType::String => self.categories.association(label_squares),
            _ => self.numbers.association(),
        };
        let top = self.categories.top(config.top_values);
        let has_top = !matches!(self.kind, ColumnType::Float64 | ColumnType::Timestamp);
        let listed: u64 = top.iter().map(|c| c.count).sum();
        ColumnProfile {
            name: self.name,
            kind: self.kind,
            role: self.role,
            count: self.count,
            missing: self.missing,
            distinct: self.distinct.finish(),
            rising: (self.kind == ColumnType::Int64)
                .then(|| self.rises.count as f64 / self.count.saturating_sub(1).max(1) as f64),
            numeric: self.numbers.finish(),
            other: if has_top { self.count.saturating_sub(listed) } else { 0 },
            top,
            association,
        }
    }
}

use std::collections::HashMap;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimestampMicrosecondType};
use cupola_datasets::profile::{ColumnProfile, ColumnRole, Histogram};
use cupola_datasets::schema::ColumnType;

use super::psi::psi;

/// The bins of one column or output, with the reference's counts and those of the rows seen. The
/// first bin holds missing values.
#[derive(Debug)]
pub(super) struct Bins {
    edges: Edges,
    reference: Vec<u64>,
    counts: Vec<u64>,
}

#[derive(Debug)]
enum Edges {
    /// Between the reference's deciles.
    Numbers(Histogram),
    /// The reference's most frequent values; the last bin holds all others.
    Values(HashMap<String, usize>),
}

impl Bins {
    /// None: the reference says nothing to compare with, or the column is the event time, which
    /// always moves on.
    pub fn of_column(profile: &ColumnProfile) -> Option<Self> {
        if profile.role == ColumnRole::Time {
            return None;
        }
        let all_listed = !profile.top.is_empty() && profile.other == 0;
        let by_value = matches!(profile.kind, ColumnType::String | ColumnType::Bool)
            || (profile.kind == ColumnType::Int64 && all_listed);
        let (edges, reference) = match &profile.numeric {
            Some(numbers) if !by_value => {
                let reference = [profile_missing(profile, &numbers.deciles)];
                let counts = reference.into_iter().chain(numbers.deciles.counts.iter().copied());
                (Edges::Numbers(numbers.deciles.empty()), counts.collect::<Vec<_>>())
            }
            _ if profile.top.is_empty() => return None,
            _ => {
                let places = profile.top.iter().enumerate().map(|(i, top)| (top.value.clone(), i + 1));
                let counts = [profile.missing].into_iter().chain(profile.top.iter().map(|top| top.count));
                (Edges::Values(places.collect()), counts.chain([profile.other]).collect())
            }
        };
        Some(Self { edges, counts: vec![0; reference.len()], reference })
    }

    /// Bins of scores, none of which is ever missing.
    pub fn of_scores(deciles: &Histogram) -> Self {
        let reference: Vec<u64> = [0].into_iter().chain(deciles.counts.iter().copied()).collect();
        Self { edges: Edges::Numbers(deciles.empty()), counts: vec![0; reference.len()], reference }
    }

    /// Counts a number.
    pub fn add_number(&mut self, x: f64) {
        if let Edges::Numbers(edges) = &self.edges {
            self.counts[1 + edges.bin(x)] += 1;
        }
    }

    /// Counts an array of the column's values, of the Arrow type that its kind has.
    pub fn add(&mut self, values: &ArrayRef) {
        let mut add = |i: usize, bin: usize| self.counts[if values.is_null(i) { 0 } else { bin }] += 1;
        match (&self.edges, values.data_type()) {
            (Edges::Numbers(edges), DataType::Float64) => {
                let numbers = values.as_primitive::<Float64Type>().values();
                numbers.iter().enumerate().for_each(|(i, x)| add(i, 1 + edges.bin(*x)));
            }
            (Edges::Numbers(edges), DataType::Int64) => {
                let numbers = values.as_primitive::<Int64Type>().values();
                numbers.iter().enumerate().for_each(|(i, x)| add(i, 1 + edges.bin(*x as f64)));
            }
            (Edges::Numbers(edges), DataType::Timestamp(..)) => {
                let micros = values.as_primitive::<TimestampMicrosecondType>().values();
                micros.iter().enumerate().for_each(|(i, x)| add(i, 1 + edges.bin(*x as f64 / 1e6)));
            }
            (Edges::Values(places), kind) => {
                let other = self.reference.len() - 1;
                let place = |text: &str| places.get(text).copied().unwrap_or(other);
                for i in 0..values.len() {
                    add(i, place(&text(values, kind, i)));
                }
            }
            _ => {}
        }
    }

    pub fn psi(&self) -> f64 {
        psi(&self.reference, &self.counts)
    }

    /// Halves the weight of all rows seen so far.
    pub fn fade(&mut self) {
        self.counts.iter_mut().for_each(|count| *count /= 2);
    }
}

/// Decile counts are of a sample, the missing of all rows: bring these to the sample's scale.
fn profile_missing(profile: &ColumnProfile, deciles: &Histogram) -> u64 {
    let sampled = deciles.counts.iter().sum::<u64>() as f64;
    (profile.missing as f64 * sampled / profile.count.max(1) as f64).round() as u64
}

/// A value as the profile writes it.
fn text(values: &ArrayRef, kind: &DataType, i: usize) -> String {
    match kind {
        DataType::Utf8 => values.as_string::<i32>().value(i).to_owned(),
        DataType::Boolean => values.as_boolean().value(i).to_string(),
        DataType::Int64 => values.as_primitive::<Int64Type>().value(i).to_string(),
        _ => String::new(),
    }
}

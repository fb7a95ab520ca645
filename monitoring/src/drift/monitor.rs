use arrow::record_batch::RecordBatch;

use super::bins::Bins;
use super::{DriftConfig, ReferenceProfile};

/// A population stability index, and of what.
#[derive(Clone, Debug, PartialEq)]
pub struct Psi<K> {
    /// The column's name or the output's position.
    pub of: K,
    /// The index of the rows seen against the reference.
    pub psi: f64,
}

/// How far rows and scores have moved.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Drift {
    /// Each watched column.
    pub columns: Vec<Psi<String>>,
    /// Each output of the model, where the reference knows its scores.
    pub scores: Vec<Psi<usize>>,
}

/// Compares a stream of scored rows with a reference profile. Its memory does not grow with the rows.
#[derive(Debug)]
pub struct DriftMonitor {
    columns: Vec<(String, Bins)>,
    scores: Vec<Bins>,
    window_rows: u64,
    rows_min: u64,
    n_rows: u64,
}

impl DriftMonitor {
    /// Watches those of `columns` that the reference has bins for, and the scores.
    pub fn new<'a>(
        reference: &ReferenceProfile,
        columns: impl IntoIterator<Item = &'a str>,
        config: &DriftConfig,
    ) -> Self {
        let bins = |name: &str| Some((name.to_owned(), Bins::of_column(reference.data.column(name)?)?));
        Self {
            columns: columns.into_iter().filter_map(bins).collect(),
            scores: reference.scores.iter().map(Bins::of_scores).collect(),
            window_rows: config.window_rows.max(1),
            rows_min: config.rows_min.max(1),
            n_rows: 0,
        }
    }

    /// Counts validated rows and their scores, row-major `[n_rows, n_outputs]`. Columns that the
    /// batch does not have are left out.
    pub fn observe(&mut self, rows: &RecordBatch, scores: &[f32]) {
        for (name, bins) in &mut self.columns {
            if let Some(values) = rows.column_by_name(name) {
                bins.add(values);
            }
        }
        let n_outputs = self.scores.len();
        for row in scores.chunks_exact(n_outputs.max(1)) {
            self.scores.iter_mut().zip(row).for_each(|(bins, score)| bins.add_number(f64::from(*score)));
        }
        self.n_rows += rows.num_rows() as u64;
        // Halving at twice the window keeps between one and two windows in view, newer rows the more.
        if self.n_rows >= 2 * self.window_rows {
            let columns = self.columns.iter_mut().map(|(_, bins)| bins);
            columns.chain(&mut self.scores).for_each(Bins::fade);
            self.n_rows /= 2;
        }
    }

    /// The drift of each watched column and of the scores; nothing before enough rows were seen.
    pub fn drift(&self) -> Drift {
        if self.n_rows < self.rows_min {
            return Drift::default();
        }
        let columns = self.columns.iter().map(|(name, bins)| Psi { of: name.clone(), psi: bins.psi() });
        let scores = self.scores.iter().enumerate().map(|(output, bins)| Psi { of: output, psi: bins.psi() });
        Drift { columns: columns.collect(), scores: scores.collect() }
    }
}

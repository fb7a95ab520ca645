//! The second pass: a part of the table in bins, with labels, weights and raw scores.

use cupola_datasets::FeatureBatch;
use cupola_models::trees::learner::{BinnedMatrix, FeatureBins};
use cupola_models::trees::{CpuForest, Forest};
use cupola_models::{Device, Task};

use super::input::BoostInput;
use super::losses::Judged;
use crate::lists::Lists;
use crate::split::Part;
use crate::trainer::TrainError;

/// Rows of a part as boosting reads them.
pub struct Table {
    pub matrix: BinnedMatrix,
    pub labels: Vec<f32>,
    /// Only where rows do not all count the same.
    pub weights: Option<Vec<f32>>,
    /// Raw scores by output, then by row.
    pub raw: Vec<Vec<f32>>,
    /// Row by row, where there is a base margin.
    pub offsets: Option<Vec<f32>>,
    /// Of the validation rows of a ranking, row by row.
    pub groups: Option<Vec<u64>>,
    /// Of a ranking.
    pub lists: Option<Lists>,
}

/// How rows become a [`Table`].
pub struct Binning<'a> {
    pub input: &'a BoostInput<'a>,
    pub features: &'a [FeatureBins],
    pub class_weights: &'a [f32],
    pub n_outputs: usize,
    /// Trees whose raw scores rows start from.
    pub start: Option<&'a Forest>,
}

impl Binning<'_> {
    /// Reads a part once.
    pub fn read(&self, part: Part) -> Result<Table, TrainError> {
        let n_rows = self.input.table.n_rows(part)?;
        let start = self.start.map(CpuForest::new).transpose()?;
        let margin =
            self.input.config.base_margin.as_deref().and_then(|name| self.input.features.position(name));
        let mut table = Table {
            matrix: BinnedMatrix::new(self.features.to_vec(), n_rows, self.columns_bytes_max(part)),
            labels: Vec::with_capacity(n_rows),
            weights: None,
            raw: vec![Vec::with_capacity(n_rows); self.n_outputs],
            offsets: margin.map(|_| Vec::with_capacity(n_rows)),
            groups: (*self.input.task == Task::Ranking).then(|| Vec::with_capacity(n_rows)),
            lists: None,
        };
        for batch in self.input.table.batches(part)? {
            let batch = batch?;
            table.matrix.push(&batch.features);
            if let (Some(offsets), Some(feature)) = (&mut table.offsets, margin) {
                offsets.extend(offsets_of(&batch.features, feature));
            }
            if let Some(start) = &start {
                let scores = start.raw(&batch.features)?;
                for (output, raw) in table.raw.iter_mut().enumerate() {
                    raw.extend(scores.iter().skip(output).step_by(self.n_outputs));
                }
            }
            if let Some(groups) = &mut table.groups {
                groups.extend(batch.groups.ok_or(TrainError::NoGroups)?);
            }
            self.weigh(&mut table, &batch.labels, batch.weights);
            table.labels.extend(batch.labels);
        }
        table.lists = table.groups.as_deref().map(Lists::new);
        // Only metrics of the validation rows read them again.
        table.groups = table.groups.filter(|_| part != Part::Train);
        Ok(table)
    }

    /// Only the CPU splits rows by columns, and only training rows.
    fn columns_bytes_max(&self, part: Part) -> usize {
        let config = self.input.config;
        let is_split_here =
            part == Part::Train && self.input.device == Device::Cpu && config.use_quantized_grad;
        if is_split_here { config.column_bins_mib_max.saturating_mul(1 << 20) } else { 0 }
    }

    fn weigh(&self, table: &mut Table, labels: &[f32], weights: Option<Vec<f32>>) {
        if weights.is_none() && self.class_weights.is_empty() {
            return;
        }
        let of_class = |label: &f32| self.class_weights.get(*label as usize).copied().unwrap_or(1.0);
        let weights = weights.unwrap_or_else(|| vec![1.0; labels.len()]);
        let weighed = weights.iter().zip(labels).map(|(weight, label)| weight * of_class(label));
        table.weights.get_or_insert_default().extend(weighed);
    }
}

fn offsets_of(batch: &FeatureBatch, feature: usize) -> impl Iterator<Item = f32> {
    let numbers = batch.numeric.iter().skip(feature).step_by(batch.n_numeric);
    numbers.map(|number| if number.is_nan() { 0.0 } else { *number })
}

impl Table {
    /// Rows of the part.
    pub fn n_rows(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are rows that tell a good model from a bad one.
    pub fn can_judge(&self) -> bool {
        let differs =
            |rows: &[u32]| rows.iter().any(|row| self.labels[*row as usize] != self.labels[rows[0] as usize]);
        match &self.lists {
            Some(lists) => (0..lists.len()).any(|list| differs(lists.rows(list))),
            None => !self.labels.is_empty(),
        }
    }

    /// Sets all raw scores to the base scores, on top of the margins.
    pub fn start_from(&mut self, base: &[f32]) {
        for (raw, base) in self.raw.iter_mut().zip(base) {
            raw.clear();
            match &self.offsets {
                Some(offsets) => raw.extend(offsets.iter().map(|offset| base + offset)),
                None => raw.resize(self.labels.len(), *base),
            }
        }
    }

    /// Raw scores beside what came true.
    pub fn judged(&self) -> Judged<'_> {
        Judged {
            raw: &self.raw,
            labels: &self.labels,
            weights: self.weights.as_deref(),
            lists: self.lists.as_ref(),
        }
    }
}

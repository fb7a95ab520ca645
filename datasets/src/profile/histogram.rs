use serde::{Deserialize, Serialize};

use crate::features::quantile;

/// Bins drawn per column.
const BINS: usize = 32;

/// Counts between edges. A value below the first edge counts in the first bin, one above the last
/// in the last, so that every value has a bin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Histogram {
    /// Ascending; one more than `counts`. Bin `i` holds `edges[i] <= x < edges[i + 1]`; the last
    /// also its upper edge.
    pub edges: Vec<f64>,
    /// Values per bin.
    pub counts: Vec<u64>,
}

impl Histogram {
    /// The bin of a value.
    pub fn bin(&self, x: f64) -> usize {
        let last = self.counts.len().saturating_sub(1);
        self.edges.partition_point(|e| *e <= x).saturating_sub(1).min(last)
    }

    /// Share of each bin; of nothing, all 0.
    pub fn shares(&self) -> Vec<f64> {
        let total = self.counts.iter().sum::<u64>().max(1) as f64;
        self.counts.iter().map(|c| *c as f64 / total).collect()
    }

    /// The same bins without counts, to count other data into.
    pub fn empty(&self) -> Self {
        Self { edges: self.edges.clone(), counts: vec![0; self.counts.len()] }
    }

    /// Counts a value.
    pub fn add(&mut self, x: f64) {
        let bin = self.bin(x);
        if let Some(count) = self.counts.get_mut(bin) {
            *count += 1;
        }
    }

    fn of(edges: Vec<f64>, values: &[f64]) -> Self {
        let mut histogram = Self { counts: vec![0; edges.len().saturating_sub(1)], edges };
        values.iter().for_each(|x| histogram.add(*x));
        histogram
    }

    /// Bins for the eye, of sorted values, not none.
    pub(super) fn for_eyes(sorted: &[f64], min: f64, max: f64) -> Self {
        let whole = sorted.iter().all(|x| x.fract() == 0.0);
        if whole && max - min < BINS as f64 {
            let n = (max - min) as usize + 1;
            return Self::of((0..=n).map(|i| min - 0.5 + i as f64).collect(), sorted);
        }
        let (low, high) = (quantile(sorted, 0.005), quantile(sorted, 0.995));
        let (low, high) = if low < high { (low, high) } else { (min, max) };
        // A tail that is no longer than the middle is wide is shown to scale.
        let width = (high - low) / BINS as f64;
        let start = if low - min <= 4.0 * width { min } else { low - width };
        let end = if max - high <= 4.0 * width { max } else { high + width };
        let step = (end - start) / BINS as f64;
        let mut edges: Vec<f64> = (0..=BINS).map(|i| start + step * i as f64).collect();
        edges[0] = min;
        edges[BINS] = max;
        edges.dedup();
        if edges.len() < 2 || !edges.is_sorted() {
            edges = vec![min, max];
        }
        Self::of(edges, sorted)
    }

    /// Up to 10 bins of about equal counts; none of nothing. Values that are no numbers are left out.
    pub fn of_deciles(mut values: Vec<f64>) -> Option<Self> {
        values.retain(|x| x.is_finite());
        values.sort_unstable_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        Some(Self::deciles(&values, min, max))
    }

    /// Bins of about equal counts, of sorted values, not none. Ties make fewer.
    pub(super) fn deciles(sorted: &[f64], min: f64, max: f64) -> Self {
        let mut edges: Vec<f64> = (1..10).map(|i| quantile(sorted, f64::from(i) / 10.0)).collect();
        edges.insert(0, min);
        edges.push(max);
        edges.dedup();
        if edges.len() == 1 {
            edges.push(min);
        }
        Self::of(edges, sorted)
    }
}

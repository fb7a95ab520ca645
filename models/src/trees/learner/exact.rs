//! Rows whose gradients are summed as they are, for `use_quantized_grad = false`: shows what 16 bits cost. Written to
//! be obvious, not fast.

use std::ops::Range;

use rayon::prelude::*;

use super::gpu::GpuError;
use super::gradient::{Draw, Gradients, Units};
use super::histogram::{Histogram, Sums};
use super::matrix::BinnedMatrix;
use super::rows::{Done, Order, Segments, Side};
use super::store::{Added, NodeHistogram, Root, RowStore};
use super::tree::Leaf;

/// Levels of the largest gradient: more than an `f32` tells apart, and sums of 2^27 rows stay within 63 bits. More rows
/// have fewer levels.
const LEVELS: f64 = (1_u64 << 35) as f64;
/// Largest sum of levels.
const SUM_MAX: f64 = (1_u64 << 62) as f64;
/// Rows summed by one thread at a time.
const TASK_ROWS: usize = 65_536;

/// All rows, those of a node in one stretch.
pub struct ExactRows {
    rows: Vec<u32>,
    /// By row.
    sums: Vec<Sums>,
}

impl ExactRows {
    pub fn new(n_rows: usize) -> Self {
        Self { rows: Vec::with_capacity(n_rows), sums: vec![Sums::default(); n_rows] }
    }

    fn histogram(&self, matrix: &BinnedMatrix, rows: Range<usize>) -> Histogram {
        let empty = || Histogram { bins: vec![Sums::default(); matrix.layout.n_bins] };
        let add_row = |mut histogram: Histogram, row: &u32| {
            for (place, slot) in matrix.layout.slots.iter().enumerate() {
                let bin = &mut histogram.bins[slot.first_bin + usize::from(matrix.bin(*row as usize, place))];
                *bin = *bin + self.sums[*row as usize];
            }
            histogram
        };
        let parts = self.rows[rows].par_chunks(TASK_ROWS).map(|rows| rows.iter().fold(empty(), add_row));
        parts.reduce(empty, |mut a, b| {
            a.add(&b);
            a
        })
    }

    fn carry_out(&mut self, matrix: &BinnedMatrix, order: &Order) -> Done {
        let all = stretch(&order.segments);
        let rows = &mut self.rows[all.clone()];
        let goes_left = |row: &u32| order.goes_left[usize::from(matrix.bin(*row as usize, order.place))];
        let (left, right): (Vec<u32>, Vec<u32>) = rows.iter().partition(|row| goes_left(row));
        let middle = all.start + left.len();
        rows.copy_from_slice(&[left, right].concat());
        let (left, right) = (all.start..middle, middle..all.end);
        let wanted = order.build.map(|side| if side == Side::Left { left.clone() } else { right.clone() });
        let histogram = wanted.map(|rows| NodeHistogram::Here(self.histogram(matrix, rows)));
        Done { left: vec![left], right: vec![right], histogram }
    }
}

impl RowStore for ExactRows {
    fn start(&mut self, draw: Draw, loss: &dyn Gradients) -> Result<Option<Units>, GpuError> {
        let n = self.sums.len();
        let (mut gradients, mut hessians) = (vec![0.0; n], vec![0.0; n]);
        loss.block(0, &mut gradients, &mut hessians);
        let largest = |of: &[f32]| of.iter().fold(0.0_f64, |max, x| max.max(f64::from(x.abs())));
        let is_finite = |of: &[f32]| of.iter().all(|x| x.is_finite());
        if !is_finite(&gradients) || !is_finite(&hessians) {
            return Ok(None);
        }
        let levels = LEVELS.min(SUM_MAX / n as f64);
        let unit = |max: f64| if max > 0.0 { max / levels } else { 1.0 };
        let units = Units { gradient: unit(largest(&gradients)), hessian: unit(largest(&hessians)) };
        let level = |x: f32, unit: f64| (f64::from(x) / unit).round() as i64;
        for (sums, (g, h)) in self.sums.iter_mut().zip(gradients.into_iter().zip(hessians)) {
            *sums = Sums { gradient: level(g, units.gradient), hessian: level(h, units.hessian) };
        }
        self.rows = (0..n as u32).filter(|row| draw.takes(*row)).collect();
        Ok(Some(units))
    }

    fn root(&mut self, matrix: &BinnedMatrix) -> Result<Root, GpuError> {
        let all = 0..self.rows.len();
        let histogram = self.histogram(matrix, all.clone());
        let total = histogram.total(&matrix.layout);
        Ok(Root { segments: vec![all], total, histogram: NodeHistogram::Here(histogram) })
    }

    fn split(&mut self, matrix: &BinnedMatrix, orders: &[Order]) -> Result<Vec<Done>, GpuError> {
        Ok(orders.iter().map(|order| self.carry_out(matrix, order)).collect())
    }

    fn add_values(&mut self, leaves: &[Leaf], values: &[f32], to: &mut [f32]) -> Result<Added, GpuError> {
        for leaf in leaves {
            self.rows[stretch(&leaf.segments)].iter().for_each(|row| to[*row as usize] += values[leaf.node]);
        }
        Ok(Added::Here)
    }

    fn holds_all(&self) -> bool {
        self.rows.len() == self.sums.len()
    }

    fn rows_of(&self, leaf: &Leaf) -> Result<Vec<u32>, GpuError> {
        Ok(self.rows[stretch(&leaf.segments)].to_vec())
    }
}

fn stretch(segments: &Segments) -> Range<usize> {
    segments.first().cloned().unwrap_or(0..0)
}

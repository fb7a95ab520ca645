use rayon::prelude::*;

use super::loss::RowScores;

/// Gradients and hessians of a loss at the present raw scores.
pub trait Gradients: Sync {
    /// Those of the rows from `first` on; both slices have the same length. Called twice at most, in any order;
    /// must give the same numbers.
    fn block(&self, first: usize, gradients: &mut [f32], hessians: &mut [f32]);

    /// The same as scores and a loss of each row by itself, if it is one: a device can follow those by itself.
    fn rows(&self) -> Option<RowScores<'_>> {
        None
    }
}

/// A row on its way through a tree: its number and its quantised gradient and hessian.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Record {
    pub row: u32,
    /// Gradient as `i16` in the upper half, hessian as `u16` in the lower.
    pub pair: u32,
}

impl Record {
    /// Both in one number whose halves sum up by themselves, for up to [`FLUSH_ROWS`] rows.
    #[inline(always)]
    pub fn packed(self) -> u64 {
        let gradient = i64::from((self.pair as i32) >> 16);
        ((gradient as u64) << 32) | u64::from(self.pair & 0xFFFF)
    }
}

/// What a quantised unit stands for.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Units {
    /// Of gradients.
    pub gradient: f64,
    /// Of hessians.
    pub hessian: f64,
}

/// Largest quantised gradient and hessian.
pub const LEVELS: f32 = 32_767.0;
/// Bits of a level behind the point, when it is rounded.
pub const FRACTION: u32 = 15;
/// The lowest of them.
pub const NOISE: u32 = (1 << FRACTION) - 1;
/// Rows whose packed sums cannot overflow.
pub const FLUSH_ROWS: usize = 65_536;
/// Rows of a task.
const BLOCK: usize = 16_384;
/// Rows whose floats are on the stack.
const PIECE: usize = 512;

/// Which rows take part, and how gradients are rounded.
#[derive(Clone, Copy, Debug)]
pub struct Draw {
    pub seed: u64,
    /// Share of the rows that take part.
    pub subsample: f64,
}

impl Draw {
    /// Whether all rows take part.
    pub fn takes_all(self) -> bool {
        self.subsample >= 1.0
    }

    /// Whether a row takes part.
    #[inline(always)]
    pub fn takes(self, row: u32) -> bool {
        let (seed, limit) = self.lot();
        self.takes_all() || hash(seed, row) <= limit
    }

    /// Seed of the rows' lots, and the largest one that takes part.
    pub fn lot(self) -> (u64, u32) {
        (self.seed ^ 0x5EED_0F50_B5A3_11E5, (self.subsample * f64::from(u32::MAX)) as u32)
    }
}

/// Quantises gradients and hessians to integers, each rounded up or down at random by seed and row: sums are
/// unbiased to within 2^-16 of a unit a row, and the same for rows in any order. `None` where the loss has no finite
/// gradient.
///
/// With 2^15 levels, a sum over n rows is off by at most about 0.3 sqrt(n) units, where a unit is a 32,767th of
/// the largest gradient.
pub fn quantise(records: &mut [Record], seed: u64, loss: &dyn Gradients) -> Option<Units> {
    // The floats wait where the records will be.
    let largest = records
        .par_chunks_mut(BLOCK)
        .enumerate()
        .map(|(block, records)| floats(records, block * BLOCK, loss))
        .reduce(|| [0.0; 2], |a, b| [larger(a[0], b[0]), larger(a[1], b[1])]);
    if !largest.iter().all(|x| x.is_finite()) {
        return None;
    }
    let (scales, units) = scales(largest);
    let blocks = records.par_chunks_mut(BLOCK).enumerate();
    blocks.for_each(|(block, records)| integers(records, block * BLOCK, seed, scales));
    Some(units)
}

/// What makes levels with [`FRACTION`] bits behind the point of the numbers whose largest are these, and what levels
/// stand for.
pub fn scales(largest: [f32; 2]) -> ([f32; 2], Units) {
    // Numbers so small that their scale is none are all 0.
    let scale = |max: f32| Some(LEVELS / max * (1 << FRACTION) as f32).filter(|scale| scale.is_finite());
    let scales = largest.map(|max| scale(max).unwrap_or(0.0));
    let [gradient, hessian] = largest.map(|max| f64::from(max) / f64::from(LEVELS));
    (scales, Units { gradient, hessian })
}

/// The larger of two numbers; infinity where one is none.
#[inline(always)]
fn larger(a: f32, b: f32) -> f32 {
    let b = if b.is_nan() { f32::INFINITY } else { b };
    if b > a { b } else { a }
}

/// Writes gradients and hessians as bits into the records; returns the largest of each.
fn floats(records: &mut [Record], first: usize, loss: &dyn Gradients) -> [f32; 2] {
    let mut largest = [0.0_f32; 2];
    let (mut gradients, mut hessians) = ([0.0; PIECE], [0.0; PIECE]);
    for (piece, records) in records.chunks_mut(PIECE).enumerate() {
        let (g, h) = (&mut gradients[..records.len()], &mut hessians[..records.len()]);
        loss.block(first + piece * PIECE, g, h);
        for ((record, g), h) in records.iter_mut().zip(g).zip(h) {
            largest = [larger(largest[0], g.abs()), larger(largest[1], *h)];
            *record = Record { row: g.to_bits(), pair: h.to_bits() };
        }
    }
    largest
}

fn integers(records: &mut [Record], first: usize, seed: u64, scales: [f32; 2]) {
    for (i, record) in records.iter_mut().enumerate() {
        let row = (first + i) as u32;
        let noise = hash(seed, row);
        let g = round(f32::from_bits(record.row) * scales[0], noise & NOISE);
        let h = round(f32::from_bits(record.pair) * scales[1], noise >> (32 - FRACTION));
        *record = Record { row, pair: ((g as u32) << 16) | h.max(0) as u32 };
    }
}

/// Up or down at random, in proportion. `value` is a level with its fraction. In integers: a device might fuse a product
/// and a sum of floats.
#[inline(always)]
fn round(value: f32, noise: u32) -> i32 {
    // SAFETY: gradients are finite, and so are scales: a level is at most 32,767 in size, and this at most 2^30.
    let value: i32 = unsafe { value.to_int_unchecked() };
    ((value + noise as i32) >> FRACTION).min(32_767)
}

/// 32 bits by seed and row: two rounds of MurmurHash3's finaliser.
#[inline(always)]
pub fn hash(seed: u64, row: u32) -> u32 {
    let mut x = row ^ seed as u32;
    x = (x ^ (x >> 16)).wrapping_mul(0x85EB_CA6B);
    x = (x ^ (x >> 13)).wrapping_mul(0xC2B2_AE35) ^ (seed >> 32) as u32;
    x = (x ^ (x >> 16)).wrapping_mul(0x9E37_79B1);
    x ^ (x >> 15)
}

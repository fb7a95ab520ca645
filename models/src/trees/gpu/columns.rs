//! Numbers become integers of the same order: the kernel compares no floats, since drivers may take NaN for
//! impossible and subnormal numbers for 0.

use std::ops::Range;

use cupola_datasets::FeatureBatch;
use rayon::prelude::*;

/// Key of a missing number, above those of all others.
pub(super) const MISSING: u32 = u32::MAX;
/// Flips the sign.
pub(super) const SIGN: u32 = 1 << 31;

/// A number's place in the order of all numbers. -0 is below 0, so that a key tells the number's bits.
pub(super) fn key(number: f32) -> u32 {
    let bits = number.to_bits();
    if number.is_nan() {
        MISSING
    } else if bits & SIGN == 0 {
        bits | SIGN
    } else {
        !bits
    }
}

/// Key from which on numbers are not below a threshold. Neither zero is below the other.
pub(super) fn threshold_key(threshold: f32) -> u32 {
    key(if threshold == 0.0 { -0.0 } else { threshold })
}

/// Rows that are turned at once: few enough that they stay in a core's cache.
const BLOCK_ROWS: usize = 1_024;

/// Keys and codes of some rows, feature by feature: neighbouring threads read neighbouring words.
pub(super) fn columns(batch: &FeatureBatch, rows: Range<usize>) -> Vec<u32> {
    let n_features = batch.n_numeric + batch.n_categorical;
    let mut data = vec![0; rows.len() * n_features];
    let mut blocks: Vec<Block> =
        rows.clone().step_by(BLOCK_ROWS).map(|first| Block { first, columns: Vec::new() }).collect();
    for column in data.chunks_mut(rows.len().max(1)) {
        let parts = blocks.iter_mut().zip(column.chunks_mut(BLOCK_ROWS));
        parts.for_each(|(block, part)| block.columns.push(part));
    }
    blocks.into_par_iter().for_each(|block| block.fill(batch));
    data
}

/// Some rows of all columns.
struct Block<'a> {
    first: usize,
    columns: Vec<&'a mut [u32]>,
}

impl Block<'_> {
    fn fill(mut self, batch: &FeatureBatch) {
        let (numeric, categorical) = self.columns.split_at_mut(batch.n_numeric);
        turn(&batch.numeric[self.first * batch.n_numeric..], numeric, key);
        turn(&batch.categorical[self.first * batch.n_categorical..], categorical, |code| code);
    }
}

/// Writes column by column what is row by row.
fn turn<T: Copy>(rows: &[T], columns: &mut [&mut [u32]], word: impl Fn(T) -> u32) {
    let width = columns.len();
    for (feature, column) in columns.iter_mut().enumerate() {
        let values = rows[feature..].iter().step_by(width);
        column.iter_mut().zip(values).for_each(|(to, value)| *to = word(*value));
    }
}

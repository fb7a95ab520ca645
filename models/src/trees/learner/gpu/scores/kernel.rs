use cubecl::prelude::*;

use super::super::records::RecordArrays;
use crate::trees::learner::gradient::{FRACTION, NOISE};
use crate::trees::learner::loss::{ENTRIES, HESSIAN_MIN, PARTS, UNIT_PARTS};

/// Units of a workgroup.
pub(super) const UNITS: u32 = 256;
/// Rows of a unit when the largest are looked for: few workgroups, since all of them meet in two words.
pub(super) const ROWS: u32 = 16;

/// What the lowest bit of a probability is worth.
const STEP: f32 = 1.0 / 1_073_741_824.0;
const ENTRIES_WORD: u32 = ENTRIES as u32;

/// A loss at the present raw scores, row by row.
#[derive(CubeType, CubeLaunch)]
pub(super) struct Loss {
    pub raw: Array<f32>,
    pub labels: Array<f32>,
    /// Of any length where rows have none.
    pub weights: Array<f32>,
    pub sigmoid: Array<u32>,
    pub n_rows: u32,
    #[cube(comptime)]
    pub is_logistic: bool,
    #[cube(comptime)]
    pub has_weights: bool,
}

#[derive(CubeType, Clone, Copy)]
struct Gradient {
    gradient: f32,
    hessian: f32,
}

/// How rows are rounded, and which take part.
#[derive(CubeType, CubeLaunch)]
pub(super) struct Drawing {
    pub seed_low: u32,
    pub seed_high: u32,
    pub lot_low: u32,
    pub lot_high: u32,
    /// Largest lot that takes part.
    pub limit: u32,
    pub gradient_scale: f32,
    pub hessian_scale: f32,
    /// First row of the device among all.
    pub first_row: u32,
}

/// Bits of the largest gradient (by size) and hessian. Those of numbers that are not negative have their order, and NaN
/// is above all.
#[cube(launch_unchecked)]
pub(super) fn largest(loss: &Loss, found: &mut Array<Atomic<u32>>) {
    let both = SharedMemory::<Atomic<u32>>::new(2usize);
    if UNIT_POS < 2 {
        both[UNIT_POS as usize].store(0);
    }
    let first = (CUBE_POS_Y * CUBE_COUNT_X + CUBE_POS_X) * UNITS * ROWS + UNIT_POS;
    let mut gradient = 0u32;
    let mut hessian = 0u32;
    for step in 0..ROWS {
        let row = first + step * UNITS;
        if row < loss.n_rows {
            let of_row = gradient_of(loss, row);
            gradient = max(gradient, u32::reinterpret(of_row.gradient) & 0x7FFF_FFFF);
            hessian = max(hessian, u32::reinterpret(of_row.hessian) & 0x7FFF_FFFF);
        }
    }
    sync_cube();
    both[0].fetch_max(gradient);
    both[1].fetch_max(hessian);
    sync_cube();
    if UNIT_POS < 2 {
        found[UNIT_POS as usize].fetch_max(both[UNIT_POS as usize].load());
    }
}

/// All rows in natural order, in the first buffer, with their quantised gradients; those that do not take part weigh
/// nothing.
#[cube(launch_unchecked)]
pub(super) fn quantise(loss: &Loss, drawing: &Drawing, records: &mut RecordArrays) {
    let row = (CUBE_POS_Y * CUBE_COUNT_X + CUBE_POS_X) * UNITS + UNIT_POS;
    if row < loss.n_rows {
        let of_row = gradient_of(loss, row);
        let number = drawing.first_row + row;
        let noise = hash(drawing.seed_low, drawing.seed_high, number);
        let gradient = round(of_row.gradient * drawing.gradient_scale, noise & NOISE);
        let hessian = round(of_row.hessian * drawing.hessian_scale, noise >> (32 - FRACTION));
        let pair = (u32::reinterpret(gradient) << 16) | u32::reinterpret(max(hessian, 0));
        let is_taken = hash(drawing.lot_low, drawing.lot_high, number) <= drawing.limit;
        records.rows[row as usize] = row;
        records.pairs[row as usize] = select(is_taken, pair, 0u32);
    }
}

#[cube]
fn gradient_of(loss: &Loss, row: u32) -> Gradient {
    let row = row as usize;
    let raw = loss.raw[row];
    let label = loss.labels[row];
    let mut gradient = raw - label;
    let mut hessian = f32::new(1.0);
    if comptime!(loss.is_logistic) {
        let p = probability(&loss.sigmoid, raw);
        gradient = p - label;
        hessian = max(p * (1.0 - p), f32::new(HESSIAN_MIN));
    }
    if comptime!(loss.has_weights) {
        gradient *= loss.weights[row];
        hessian *= loss.weights[row];
    }
    Gradient { gradient, hessian }
}

/// As `loss::sigmoid` has it.
#[cube]
fn probability(table: &Array<u32>, x: f32) -> f32 {
    let size = abs_of(x);
    let size = select(size < 16.0, size, f32::new(16.0));
    let at = u32::cast_from(size * UNIT_PARTS + 0.5);
    let entry = min(at / PARTS, ENTRIES_WORD - 1);
    let part = at - entry * PARTS;
    let above = table[entry as usize];
    let below = table[entry as usize + 1];
    let tail = above - (above - below) * part / PARTS;
    let bits = select(tail < 1 << 24, tail, (tail + 32) & 0xFFFF_FFC0u32);
    let tail = f32::cast_from(bits) * f32::new(STEP);
    let p = select(x < 0.0, tail, 1.0 - tail);
    // Drivers may take NaN for impossible, not its bits.
    let is_number = u32::reinterpret(x) & 0x7FFF_FFFF <= 0x7F80_0000u32;
    f32::reinterpret(select(is_number, u32::reinterpret(p), u32::reinterpret(x)))
}

#[cube]
fn abs_of(x: f32) -> f32 {
    f32::reinterpret(u32::reinterpret(x) & 0x7FFF_FFFF)
}

/// As `gradient::round` has it.
#[cube]
fn round(value: f32, noise: u32) -> i32 {
    min((i32::cast_from(value) + i32::reinterpret(noise)) >> i32::cast_from(FRACTION), 32_767)
}

/// As `gradient::hash` has it.
#[cube]
fn hash(seed_low: u32, seed_high: u32, row: u32) -> u32 {
    let x = row ^ seed_low;
    let x = (x ^ (x >> 16)) * 0x85EB_CA6Bu32;
    let x = ((x ^ (x >> 13)) * 0xC2B2_AE35u32) ^ seed_high;
    let x = (x ^ (x >> 16)) * 0x9E37_79B1u32;
    x ^ (x >> 15)
}

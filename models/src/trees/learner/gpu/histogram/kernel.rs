//! A workgroup sums a chunk of a node's rows: into 32-bit sums in shared memory, which 65,536 rows
//! cannot overflow, then into 64-bit sums in device memory. Those are pairs of 32-bit limbs, low
//! first: 64-bit atomics are not on every device. Integer sums are the same in any order.
//!
//! All units of a workgroup take the same number of steps and skip what is not theirs: lavapipe of
//! Mesa 22.3 loses work that follows a loop which units leave one after the other.

use cubecl::prelude::*;

use super::super::records::RecordArrays;
use super::tile;

const TILE_BINS: u32 = tile::TILE_BINS as u32;
/// Words of shared memory: a gradient and a hessian for each bin of a tile.
const SUMS: usize = 2 * tile::TILE_BINS;
/// Features of one byte in a workgroup's words.
const GROUP: u32 = 4 * tile::GROUP_WORDS as u32;
/// Units of a workgroup.
pub(super) const UNITS: u32 = 256;

/// Workgroups take a task by their place on the first two axes: a node and a chunk of its rows.
#[derive(CubeType, CubeLaunch)]
pub(super) struct Work {
    /// Node and chunk of each task.
    pub tasks: Array<u32>,
    /// By node: first record of its parent (or its own), end, where the buffer begins, side (0 all,
    /// 1 left, 2 right), and its place in `placed`.
    pub nodes: Array<u32>,
    /// By order, rows that went left and right.
    pub placed: Array<u32>,
    pub n_tasks: u32,
    /// Rows of a chunk, at most 65,536.
    pub chunk_rows: u32,
    /// Bins of a histogram.
    pub n_bins: u32,
}

/// Records of a task, and the first bin of its node's histogram.
#[derive(CubeType)]
struct Chunk {
    first: u32,
    n_rows: u32,
    histogram: u32,
}

#[cube]
fn chunk(work: &Work) -> Chunk {
    let task = CUBE_POS_Y * CUBE_COUNT_X + CUBE_POS_X;
    let mut first = 0u32;
    let mut n_rows = 0u32;
    let mut histogram = 0u32;
    if task < work.n_tasks {
        let node = work.tasks[2 * task as usize];
        let at = node as usize * 5;
        let side = work.nodes[at + 3];
        let n_left = work.placed[2 * work.nodes[at + 4] as usize];
        let mut end = work.nodes[at + 1];
        first = work.nodes[at];
        if side == 1 {
            end = first + n_left;
        } else if side == 2 {
            first += n_left;
        }
        first += work.tasks[2 * task as usize + 1] * work.chunk_rows;
        if first < end {
            n_rows = select(end - first < work.chunk_rows, end - first, work.chunk_rows);
        }
        first += work.nodes[at + 2];
        histogram = node * work.n_bins;
    }
    Chunk { first, n_rows, histogram }
}

/// Features of one byte, eight to a workgroup: groups along the third axis.
#[cube(launch_unchecked)]
pub(super) fn narrow(
    work: &Work,
    records: &RecordArrays,
    words: &Array<u32>,
    groups: &Array<u32>,
    limbs: &mut Array<Atomic<u32>>,
) {
    let sums = SharedMemory::<Atomic<u32>>::new(SUMS);
    let chunk = chunk(work);
    let group = CUBE_POS_Z as usize * 4;
    let low_column = groups[group] * records.n_rows;
    let high_column = groups[group + 1] * records.n_rows;
    let n_features = groups[group + 3];
    clear(&sums);
    sync_cube();
    for step in 0..chunk.n_rows.div_ceil(UNITS) {
        let i = step * UNITS + UNIT_POS;
        if i < chunk.n_rows {
            let row = records.rows[(chunk.first + i) as usize];
            let pair = records.pairs[(chunk.first + i) as usize];
            let low = words[(low_column + row) as usize];
            let high = words[(high_column + row) as usize];
            #[unroll]
            for k in 0..GROUP {
                // Units side by side begin with different features: they seldom wait for one
                // another, even where most rows are in one bin.
                let feature = (k + UNIT_POS) % GROUP;
                if feature < n_features {
                    let word = select(feature < 4, low, high);
                    add_shared(&sums, feature * 256 + ((word >> ((feature & 3) * 8)) & 0xFF), pair);
                }
            }
        }
    }
    sync_cube();
    flush(&sums, 256 * n_features, chunk.histogram + groups[group + 2], limbs);
}

/// Stretches of up to 2,048 bins of features of two bytes, along the third axis.
#[cube(launch_unchecked)]
pub(super) fn tiled(
    work: &Work,
    records: &RecordArrays,
    words: &Array<u32>,
    tiles: &Array<u32>,
    limbs: &mut Array<Atomic<u32>>,
) {
    let sums = SharedMemory::<Atomic<u32>>::new(SUMS);
    let chunk = chunk(work);
    let tile = CUBE_POS_Z as usize * 5;
    let column = tiles[tile] * records.n_rows;
    let first_bin = tiles[tile + 3];
    let n_bins = tiles[tile + 4];
    clear(&sums);
    sync_cube();
    for step in 0..chunk.n_rows.div_ceil(UNITS) {
        let i = step * UNITS + UNIT_POS;
        if i < chunk.n_rows {
            let word = words[(column + records.rows[(chunk.first + i) as usize]) as usize];
            let bin = (word >> tiles[tile + 1]) & 0xFFFF;
            if bin >= first_bin && bin < first_bin + n_bins {
                add_shared(&sums, bin - first_bin, records.pairs[(chunk.first + i) as usize]);
            }
        }
    }
    sync_cube();
    flush(&sums, n_bins, chunk.histogram + tiles[tile + 2], limbs);
}

/// Features of two bytes with many bins, along the third axis: without shared memory.
#[cube(launch_unchecked)]
pub(super) fn direct(
    work: &Work,
    records: &RecordArrays,
    words: &Array<u32>,
    tiles: &Array<u32>,
    limbs: &mut Array<Atomic<u32>>,
) {
    let chunk = chunk(work);
    let tile = CUBE_POS_Z as usize * 5;
    let column = tiles[tile] * records.n_rows;
    for step in 0..chunk.n_rows.div_ceil(UNITS) {
        let i = step * UNITS + UNIT_POS;
        if i < chunk.n_rows {
            let word = words[(column + records.rows[(chunk.first + i) as usize]) as usize];
            let bin = chunk.histogram + tiles[tile + 2] + ((word >> tiles[tile + 1]) & 0xFFFF);
            let pair = records.pairs[(chunk.first + i) as usize];
            add(limbs, bin, gradient(pair), hessian(pair));
        }
    }
}

/// All bins empty.
#[cube(launch_unchecked)]
pub(super) fn zero(limbs: &mut Array<u32>, n_words: u32) {
    let at = (CUBE_POS_Y * CUBE_COUNT_X + CUBE_POS_X) * UNITS + UNIT_POS;
    if at < n_words {
        limbs[at as usize] = 0;
    }
}

/// The upper half, with its sign.
#[cube]
fn gradient(pair: u32) -> u32 {
    (pair >> 16) | ((pair >> 31) * 0xFFFF_0000u32)
}

#[cube]
fn hessian(pair: u32) -> u32 {
    pair & 0xFFFF
}

/// A loop, not a sequence: CubeCL 0.10 takes equal stores for one.
#[cube]
fn clear(sums: &SharedMemory<Atomic<u32>>) {
    for step in 0..2 * TILE_BINS / UNITS {
        sums[(step * UNITS + UNIT_POS) as usize].store(0);
    }
}

#[cube]
fn add_shared(sums: &SharedMemory<Atomic<u32>>, bin: u32, pair: u32) {
    sums[2 * bin as usize].fetch_add(gradient(pair));
    sums[2 * bin as usize + 1].fetch_add(hessian(pair));
}

#[cube]
fn flush(sums: &SharedMemory<Atomic<u32>>, n_bins: u32, first_bin: u32, limbs: &mut Array<Atomic<u32>>) {
    for step in 0..n_bins.div_ceil(UNITS) {
        let bin = step * UNITS + UNIT_POS;
        if bin < n_bins {
            let gradient = sums[2 * bin as usize].load();
            let hessian = sums[2 * bin as usize + 1].load();
            add(limbs, first_bin + bin, gradient, hessian);
        }
    }
}

/// Adds to the sums of a bin: a gradient with sign, a hessian without.
#[cube]
fn add(limbs: &mut Array<Atomic<u32>>, bin: u32, gradient: u32, hessian: u32) {
    let at = 4 * bin as usize;
    if gradient != 0 {
        add_limbs(limbs, at, gradient, select(gradient >> 31 == 1, u32::MAX, 0u32));
    }
    if hessian != 0 {
        add_limbs(limbs, at + 2, hessian, 0u32);
    }
}

/// Each addition sees whether it was the one that wrapped the low limb around, whatever others do
/// meanwhile: in the end the high limb has all carries.
#[cube]
fn add_limbs(limbs: &mut Array<Atomic<u32>>, at: usize, low: u32, high: u32) {
    let before = limbs[at].fetch_add(low);
    let carried = high + select(before > u32::MAX - low, 1u32, 0u32);
    if carried != 0 {
        limbs[at + 1].fetch_add(carried);
    }
}

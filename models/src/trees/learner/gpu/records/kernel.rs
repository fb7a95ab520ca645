use cubecl::prelude::*;

/// Both buffers of records: `2 * n_rows` words each, those of parity 1 behind those of parity 0.
#[derive(CubeType, CubeLaunch)]
pub(in super::super) struct RecordArrays {
    /// Numbers of rows.
    pub rows: Array<u32>,
    /// Quantised gradient as `i16` in the upper half, hessian as `u16` in the lower.
    pub pairs: Array<u32>,
    /// Records of one buffer.
    pub n_rows: u32,
}

/// All rows in natural order, in the first buffer. `pairs` has one word a row.
#[cube(launch_unchecked)]
pub(super) fn reset(records: &mut RecordArrays, pairs: &Array<u32>) {
    let row = (CUBE_POS_Y * CUBE_COUNT_X + CUBE_POS_X) * CUBE_DIM + UNIT_POS;
    if row < records.n_rows {
        records.rows[row as usize] = row;
        records.pairs[row as usize] = pairs[row as usize];
    }
}

/// Gives each row of some leaves its leaf's value, or adds it to the number the row has. A leaf is four words: first
/// record, end, where its buffer begins, and the value.
#[cube(launch_unchecked)]
pub(super) fn assign(
    records: &RecordArrays,
    leaves: &Array<u32>,
    tasks: &Array<u32>,
    n_tasks: u32,
    chunk_rows: u32,
    of_row: &mut Array<u32>,
    #[comptime] adds: bool,
) {
    let task = CUBE_POS_Y * CUBE_COUNT_X + CUBE_POS_X;
    if task < n_tasks {
        let leaf = tasks[2 * task as usize] as usize * 4;
        let first = leaves[leaf] + tasks[2 * task as usize + 1] * chunk_rows;
        let end = leaves[leaf + 1];
        // All units take the same number of steps, see the kernels of histograms.
        for step in 0..chunk_rows.div_ceil(CUBE_DIM) {
            let at = first + step * CUBE_DIM + UNIT_POS;
            if at < end {
                let row = records.rows[(leaves[leaf + 2] + at) as usize];
                let value = leaves[leaf + 3];
                if comptime!(adds) {
                    let sum = f32::reinterpret(of_row[row as usize]) + f32::reinterpret(value);
                    of_row[row as usize] = u32::reinterpret(sum);
                } else {
                    of_row[row as usize] = value;
                }
            }
        }
    }
}

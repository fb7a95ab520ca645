//! A workgroup takes a chunk of a node's records, sorts them by side in shared memory, reserves room
//! at both ends of the node's stretch in the other buffer, and writes left and right ones in one
//! piece each. Order within a chunk is kept, so that neighbours in memory stay neighbours; that of
//! chunks is as it happens.

use cubecl::prelude::*;

use super::super::records::RecordArrays;

/// Units of a workgroup.
pub(super) const UNITS: u32 = 256;
/// Doublings from one unit to all.
const STEPS: u32 = UNITS.ilog2();
/// Records of a unit.
const OWN: u32 = 4;
/// Records of a workgroup; as few as fit in 16 KiB of shared memory.
pub(super) const CHUNK_ROWS: u32 = OWN * UNITS;

/// Workgroups take a task by their place on the first two axes: an order and a chunk of its rows.
#[derive(CubeType, CubeLaunch)]
pub(super) struct Work {
    /// Order and chunk of each task.
    pub tasks: Array<u32>,
    /// By order: first record, end, where the buffers begin that are read and written, where its
    /// sides begin, and the column, shift and mask of its bins.
    pub orders: Array<u32>,
    /// A bit for each bin, set if it goes left.
    pub goes_left: Array<u32>,
    pub n_tasks: u32,
}

/// `placed` counts left and right rows by order.
#[cube(launch_unchecked)]
pub(super) fn partition(
    work: &Work,
    records: &mut RecordArrays,
    words: &Array<u32>,
    placed: &mut Array<Atomic<u32>>,
) {
    let mut scan = SharedMemory::<u32>::new(UNITS as usize);
    let mut rows = SharedMemory::<u32>::new(CHUNK_ROWS as usize);
    let mut pairs = SharedMemory::<u32>::new(CHUNK_ROWS as usize);
    let mut room = SharedMemory::<u32>::new(2usize);
    let task = CUBE_POS_Y * CUBE_COUNT_X + CUBE_POS_X;
    let task = select(task < work.n_tasks, task, 0);
    let order = work.tasks[2 * task as usize];
    let at = order as usize * 8;
    let end = work.orders[at + 1];
    let first = work.orders[at] + work.tasks[2 * task as usize + 1] * CHUNK_ROWS;
    let n = select(end - first < CHUNK_ROWS, end - first, CHUNK_ROWS);
    // Workgroups beyond the last task have nothing, but wait with the others.
    let n = select(CUBE_POS_Y * CUBE_COUNT_X + CUBE_POS_X < work.n_tasks, n, 0);
    let from = work.orders[at + 2] + first;

    let own = UNIT_POS * OWN;
    let mut sides = 0u32;
    #[unroll]
    for k in 0..OWN {
        if own + k < n {
            let row = records.rows[(from + own + k) as usize];
            let word = words[(work.orders[at + 5] * records.n_rows + row) as usize];
            let bin = (word >> work.orders[at + 6]) & work.orders[at + 7];
            let bits = work.goes_left[(work.orders[at + 4] + (bin >> 5)) as usize];
            sides |= ((bits >> (bin & 31)) & 1) << k;
        }
    }
    let n_own = sides.count_ones();
    scan[UNIT_POS as usize] = n_own;
    sync_cube();
    #[unroll]
    for step in 0..STEPS {
        let back = 1u32 << step;
        let mut before = 0u32;
        if UNIT_POS >= back {
            before = scan[(UNIT_POS - back) as usize];
        }
        sync_cube();
        scan[UNIT_POS as usize] += before;
        sync_cube();
    }
    let n_left = scan[UNITS as usize - 1];
    let n_right = n - n_left;
    let mut left = scan[UNIT_POS as usize] - n_own;
    let mut right = n_left + own - left;
    #[unroll]
    for k in 0..OWN {
        if own + k < n {
            let goes_left = (sides >> k) & 1;
            let to = select(goes_left == 1, left, right) as usize;
            rows[to] = records.rows[(from + own + k) as usize];
            pairs[to] = records.pairs[(from + own + k) as usize];
            left += goes_left;
            right += 1 - goes_left;
        }
    }
    if UNIT_POS == 0 && n > 0 {
        room[0] = placed[2 * order as usize].fetch_add(n_left);
        room[1] = placed[2 * order as usize + 1].fetch_add(n_right);
    }
    sync_cube();
    let to_left = work.orders[at + 3] + work.orders[at] + room[0];
    let to_right = work.orders[at + 3] + end - room[1] - n;
    #[unroll]
    for k in 0..OWN {
        let i = k * UNITS + UNIT_POS;
        if i < n {
            let to = select(i < n_left, to_left, to_right) + i;
            records.rows[to as usize] = rows[i as usize];
            records.pairs[to as usize] = pairs[i as usize];
        }
    }
}

use std::ops::Range;

use cubecl::CubeDim;
use cubecl::client::ComputeClient;
use cubecl::prelude::Runtime;

use super::super::GpuError;
use super::super::buffer::Buffer;
use super::super::tasks::{Tasks, grid, stretch};
use super::kernel::{RecordArraysLaunch, assign, reset};
use crate::trees::learner::gradient::Record;

/// Records of all rows on the device, in two buffers: a partition reads one and writes the other.
pub(in super::super) struct Records {
    rows: Buffer,
    pairs: Buffer,
    n_rows: usize,
}

/// Records of a leaf and the value its rows get.
pub(in super::super) struct Leaf {
    pub rows: Range<usize>,
    pub parity: usize,
    pub value: u32,
}

const UNITS: u32 = 256;
/// Rows of a workgroup, a multiple of its units.
const ASSIGN_ROWS: usize = 8_192;

impl Records {
    pub fn new<R: Runtime>(client: &ComputeClient<R>, n_rows: usize) -> Self {
        Self { rows: Buffer::empty(client, 2 * n_rows), pairs: Buffer::empty(client, 2 * n_rows), n_rows }
    }

    pub fn n_rows(&self) -> usize {
        self.n_rows
    }

    pub fn arg<R: Runtime>(&self) -> RecordArraysLaunch<R> {
        RecordArraysLaunch::new(self.rows.arg(), self.pairs.arg(), self.n_rows as u32)
    }

    /// All rows in natural order, in buffer 0.
    pub fn reset<R: Runtime>(&self, client: &ComputeClient<R>, pairs: Vec<u32>) {
        let fresh = Buffer::upload(client, pairs);
        let cubes = grid(self.n_rows.div_ceil(UNITS as usize), 1);
        // SAFETY: `reset` looks at its unit's row if there is one, and ends.
        unsafe {
            reset::launch_unchecked::<R>(client, cubes, CubeDim::new_1d(UNITS), self.arg(), fresh.arg())
        }
    }

    /// The value of each row's leaf. Each row must be in one leaf.
    pub fn assign<R: Runtime>(
        &self,
        client: &ComputeClient<R>,
        leaves: &[Leaf],
    ) -> Result<Vec<u32>, GpuError> {
        let of_row = Buffer::empty(client, self.n_rows);
        self.give(client, leaves, &of_row, false);
        of_row.download(client)
    }

    /// Adds the value of each row's leaf, the bits of a number, to the row's number.
    pub fn add<R: Runtime>(&self, client: &ComputeClient<R>, leaves: &[Leaf], to: &Buffer) {
        self.give(client, leaves, to, true);
    }

    fn give<R: Runtime>(&self, client: &ComputeClient<R>, leaves: &[Leaf], of_row: &Buffer, adds: bool) {
        let tasks = Tasks::new(leaves.iter().map(|leaf| leaf.rows.len()).enumerate(), ASSIGN_ROWS);
        let described = leaves.iter().flat_map(|leaf| {
            let [first, end, base] = stretch(&leaf.rows, leaf.parity, self.n_rows);
            [first, end, base, leaf.value]
        });
        let described = Buffer::upload(client, described.collect());
        let (cubes, n_tasks) = (tasks.grid(1), tasks.len() as u32);
        let task_words = Buffer::upload(client, tasks.words);
        // SAFETY: leaves lie within the buffers, and records name rows below `n_rows`.
        unsafe {
            assign::launch_unchecked::<R>(
                client,
                cubes,
                CubeDim::new_1d(UNITS),
                self.arg(),
                described.arg(),
                task_words.arg(),
                n_tasks,
                ASSIGN_ROWS as u32,
                of_row.arg(),
                adds,
            );
        }
    }

    /// Records of a stretch.
    pub fn download<R: Runtime>(
        &self,
        client: &ComputeClient<R>,
        rows: &Range<usize>,
        parity: usize,
    ) -> Result<Vec<Record>, GpuError> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let first = parity * self.n_rows + rows.start;
        let both = [self.rows.slice(first, rows.len()), self.pairs.slice(first, rows.len())];
        let both = Buffer::download_all(client, &[&both[0], &both[1]])?;
        let records = both[0].iter().zip(&both[1]);
        Ok(records.map(|(&row, &pair)| Record { row, pair }).collect())
    }
}

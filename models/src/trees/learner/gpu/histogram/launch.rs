use std::ops::Range;

use cubecl::CubeDim;
use cubecl::client::ComputeClient;
use cubecl::prelude::{ArrayArg, Runtime};

use super::super::buffer::Buffer;
use super::super::matrix::GpuMatrix;
use super::super::records::Records;
use super::super::tasks::{Tasks, grid, stretch};
use super::kernel::{UNITS, WorkLaunch, direct, narrow, tiled, zero};
use super::tile::GROUP_WORDS;
use crate::trees::learner::histogram::{Histogram, Sums};

/// Records whose histogram is wanted.
pub(in super::super) struct Node {
    pub rows: Range<usize>,
    pub parity: usize,
    pub part: Part,
}

/// Which of a stretch of records.
#[derive(Clone, Copy)]
pub(in super::super) enum Part {
    Whole,
    /// The rows that went left by the order of this number: as many as the device counted.
    Left(usize),
    /// The other ones.
    Right(usize),
}

/// Workgroups that keep the largest GPUs busy to the end of a launch.
const CUBES: usize = 4_096;
/// Rows for which setting up and adding up a workgroup's sums is a small part of the work.
const CHUNK_ROWS_MIN: usize = 8_192;
/// Rows whose 32-bit sums cannot overflow.
const CHUNK_ROWS_MAX: usize = 65_536;
pub(in super::super) const LIMBS: usize = 4;

/// A histogram on the device, in limbs.
#[derive(Clone)]
pub struct GpuHistogram {
    /// With those of other nodes.
    limbs: Buffer,
    first_bin: usize,
    n_bins: usize,
}

impl GpuHistogram {
    pub(in super::super) fn new(limbs: &Buffer, number: usize, n_bins: usize) -> Self {
        Self { limbs: limbs.clone(), first_bin: number * n_bins, n_bins }
    }

    pub(in super::super) fn arg<R: Runtime>(&self) -> ArrayArg<R> {
        self.limbs.arg()
    }

    pub(in super::super) fn first_bin(&self) -> usize {
        self.first_bin
    }

    pub(in super::super) fn n_bins(&self) -> usize {
        self.n_bins
    }

    /// Limbs of some bins.
    pub(in super::super) fn slice(&self, first: usize, n_bins: usize) -> Buffer {
        self.limbs.slice((self.first_bin + first) * LIMBS, n_bins * LIMBS)
    }
}

/// Histograms of nodes, one after the other, in limbs. `placed` has the rows that went left and right
/// by each order.
pub(in super::super) fn histograms<R: Runtime>(
    client: &ComputeClient<R>,
    matrix: &GpuMatrix,
    records: &Records,
    nodes: &[Node],
    placed: &Buffer,
) -> Buffer {
    let n_bins = matrix.layout.n_bins;
    let limbs = zeros(client, nodes.len() * n_bins * LIMBS);
    let tasks = Tasks::new(nodes.iter().map(|node| node.rows.len()).enumerate(), chunk_rows(matrix, nodes));
    if tasks.len() == 0 {
        return limbs;
    }
    let described =
        Buffer::upload(client, nodes.iter().flat_map(|node| node.words(records.n_rows())).collect());
    let task_words = Buffer::upload(client, tasks.words.clone());
    let work = || {
        let (n_tasks, chunk_rows) = (tasks.len() as u32, tasks.chunk_rows as u32);
        WorkLaunch::<R>::new(
            task_words.arg(),
            described.arg(),
            placed.arg(),
            n_tasks,
            chunk_rows,
            n_bins as u32,
        )
    };
    let units = CubeDim::new_1d(UNITS);
    for part in &matrix.parts {
        // SAFETY: nodes lie within the records, records name rows below `n_rows`, the matrix has no
        // bins beyond a feature's, and `limbs` has all bins of all nodes.
        unsafe {
            if part.narrow.len > 0 {
                let (cubes, groups) = (tasks.grid(part.narrow.len), part.narrow.data.arg());
                narrow::launch_unchecked::<R>(
                    client,
                    cubes,
                    units,
                    work(),
                    records.arg(),
                    part.data.arg(),
                    groups,
                    limbs.arg(),
                );
            }
            if part.tiles.len > 0 {
                let (cubes, tiles) = (tasks.grid(part.tiles.len), part.tiles.data.arg());
                tiled::launch_unchecked::<R>(
                    client,
                    cubes,
                    units,
                    work(),
                    records.arg(),
                    part.data.arg(),
                    tiles,
                    limbs.arg(),
                );
            }
            if part.direct.len > 0 {
                let (cubes, tiles) = (tasks.grid(part.direct.len), part.direct.data.arg());
                direct::launch_unchecked::<R>(
                    client,
                    cubes,
                    units,
                    work(),
                    records.arg(),
                    part.data.arg(),
                    tiles,
                    limbs.arg(),
                );
            }
        }
    }
    limbs
}

/// Sums of downloaded limbs, `n_bins` to a histogram; none without bins.
pub(in super::super) fn sums(limbs: &[u32], n_bins: usize) -> Vec<Histogram> {
    if n_bins == 0 {
        return Vec::new();
    }
    limbs.chunks_exact(n_bins * LIMBS).map(|limbs| Histogram { bins: bins(limbs) }).collect()
}

/// Sums of downloaded limbs.
pub(in super::super) fn bins(limbs: &[u32]) -> Vec<Sums> {
    limbs.as_chunks().0.iter().map(|words| Sums::from_words(*words)).collect()
}

impl Node {
    fn words(&self, n_rows: usize) -> [u32; 5] {
        let [first, end, base] = stretch(&self.rows, self.parity, n_rows);
        let (side, order) = match self.part {
            Part::Whole => (0, 0),
            Part::Left(order) => (1, order as u32),
            Part::Right(order) => (2, order as u32),
        };
        [first, end, base, side, order]
    }
}

fn chunk_rows(matrix: &GpuMatrix, nodes: &[Node]) -> usize {
    let n_rows: usize = nodes.iter().map(|node| node.rows.len()).sum();
    let layout = &matrix.layout;
    let n_deep = layout.n_narrow.div_ceil(4 * GROUP_WORDS) + layout.slots.len() - layout.n_narrow;
    n_rows.saturating_mul(n_deep).div_ceil(CUBES).clamp(CHUNK_ROWS_MIN, CHUNK_ROWS_MAX)
}

fn zeros<R: Runtime>(client: &ComputeClient<R>, len: usize) -> Buffer {
    let limbs = Buffer::empty(client, len);
    let cubes = grid(len.div_ceil(UNITS as usize), 1);
    // SAFETY: `zero` looks at its unit's word if there is one, and ends.
    unsafe { zero::launch_unchecked::<R>(client, cubes, CubeDim::new_1d(UNITS), limbs.arg(), len as u32) }
    limbs
}

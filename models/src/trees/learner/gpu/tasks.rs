use std::ops::Range;

use cubecl::CubeCount;

/// Work of a launch, a workgroup each: pairs of a node's number and the number of a chunk of its rows.
///
/// A chunk may turn out to be empty where only the device knows how many rows a node has.
pub(super) struct Tasks {
    pub words: Vec<u32>,
    pub chunk_rows: usize,
}

impl Tasks {
    /// Chunks of nodes by number, with the rows each has at most.
    pub fn new(nodes: impl Iterator<Item = (usize, usize)>, chunk_rows: usize) -> Self {
        let chunks = |(node, n_rows): (usize, usize)| {
            (0..n_rows.div_ceil(chunk_rows)).flat_map(move |chunk| [node as u32, chunk as u32])
        };
        Self { words: nodes.flat_map(chunks).collect(), chunk_rows }
    }

    pub fn len(&self) -> usize {
        self.words.len() / 2
    }

    pub fn grid(&self, n_deep: usize) -> CubeCount {
        grid(self.len(), n_deep)
    }
}

const AXIS: usize = 32_768;

/// Workgroups of a launch: `n` over the first two axes, since one axis alone ends at 65,535, `n_deep`
/// over the third. The last of the first two axes may be beyond the end, and so is the one of nothing: CUDA refuses a
/// launch without workgroups.
pub(super) fn grid(n: usize, n_deep: usize) -> CubeCount {
    let width = n.clamp(1, AXIS);
    CubeCount::Static(width as u32, n.div_ceil(width).max(1) as u32, n_deep as u32)
}

/// A node's stretch of one of the two record buffers, as kernels read it: first row, end, and where
/// the buffer begins.
pub(super) fn stretch(rows: &Range<usize>, parity: usize, n_rows: usize) -> [u32; 3] {
    [rows.start as u32, rows.end as u32, (parity * n_rows) as u32]
}

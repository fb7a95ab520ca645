use std::ops::Range;

use cubecl::client::ComputeClient;
use cubecl::prelude::Runtime;
use cubecl::{CubeCount, CubeDim};
use cupola_datasets::FeatureBatch;

use super::super::learner::gpu::GpuError;
use super::super::learner::gpu::buffer::Buffer;
use super::super::learner::gpu::guard::guarded;
use super::super::{Forest, ForestShape};
use super::columns::columns;
use super::kernel::{ForestArraysLaunch, UNITS, scores};
use super::packed::Packed;

/// A forest on a GPU. Exact: scores are the bits of [`Forest::raw`] in any batch, unless a driver takes the
/// subnormal ones among the leaf values, margins and sums for 0.
pub struct GpuForest<R: Runtime> {
    client: ComputeClient<R>,
    shape: ForestShape,
    n_trees: u32,
    margin: Option<u32>,
    nodes: Buffer,
    trees: Buffer,
    sets: Buffer,
    base: Buffer,
}

/// Bytes of a buffer of features or scores, at most: larger batches are scored in pieces. Enough rows for the
/// largest GPUs; more would cost host memory, and pools reserve several times a buffer's size.
const PIECE_BYTES_MAX: u64 = 1 << 26;
/// Workgroups of a launch on one axis, at most: what every device takes.
const AXIS: usize = 65_535;

impl<R: Runtime> GpuForest<R> {
    /// Packs a forest and puts it on the device of a client.
    ///
    /// # Errors
    /// [`GpuError::Input`] if [`CpuForest`](super::super::CpuForest) refuses the forest, it has more than 65,535
    /// outputs, or its nodes are more than one buffer of the device takes. [`GpuError::Device`] if that fails.
    pub fn new(client: ComputeClient<R>, forest: &Forest) -> Result<Self, GpuError> {
        let packed = Packed::new(forest).map_err(|error| GpuError::Input { what: error.to_string() })?;
        check_size(&packed, client.properties().memory.max_page_size)?;
        let upload = |words| Buffer::upload(&client, words);
        guarded(|| {
            Ok(Self {
                shape: forest.shape.clone(),
                n_trees: forest.n_trees() as u32,
                margin: packed.margin,
                nodes: upload(packed.nodes),
                trees: upload(packed.trees),
                sets: upload(packed.sets),
                base: upload(packed.base),
                client: client.clone(),
            })
        })
    }

    /// Raw scores of a batch, row-major `[n_rows, n_outputs]`.
    ///
    /// # Errors
    /// [`GpuError::Input`] if the batch has other features than the forest, [`GpuError::Device`] if the device
    /// fails.
    pub fn raw(&self, batch: &FeatureBatch) -> Result<Vec<f32>, GpuError> {
        self.check_batch(batch)?;
        let mut raw = Vec::with_capacity(batch.n_rows * self.shape.n_outputs);
        let at_once = self.rows_at_once();
        for first in (0..batch.n_rows).step_by(at_once) {
            let rows = first..(first + at_once).min(batch.n_rows);
            let words = guarded(|| self.piece(batch, rows))?;
            raw.extend(words.into_iter().map(f32::from_bits));
        }
        Ok(raw)
    }

    /// Bits of the scores of some rows, at least one.
    fn piece(&self, batch: &FeatureBatch, rows: Range<usize>) -> Result<Vec<u32>, GpuError> {
        let n_rows = rows.len();
        let features = Buffer::upload(&self.client, columns(batch, rows));
        let raw = Buffer::empty(&self.client, n_rows * self.shape.n_outputs);
        let n_cubes = n_rows.div_ceil(UNITS as usize);
        // SAFETY: `Packed` has nodes whose children, features and sets are there, `check_batch` saw codes of
        // those sets only, and there is a feature for each row and a score for each row and output. The length
        // of `nodes` counts words, not nodes; the kernel does not ask for it.
        unsafe {
            scores::launch_unchecked::<R>(
                &self.client,
                CubeCount::Static(n_cubes as u32, self.shape.n_outputs as u32, 1),
                CubeDim::new_1d(UNITS),
                self.arg(),
                features.arg(),
                n_rows as u32,
                raw.arg(),
            );
        }
        raw.download(&self.client)
    }

    fn arg(&self) -> ForestArraysLaunch<R> {
        ForestArraysLaunch::new(
            self.nodes.arg(),
            self.trees.arg(),
            self.sets.arg(),
            self.base.arg(),
            self.n_trees,
            self.shape.n_outputs as u32,
            self.margin,
            !self.shape.cardinalities.is_empty(),
        )
    }

    /// Rows of a piece. The kernel counts its words with 32 bits.
    fn rows_at_once(&self) -> usize {
        let bytes_max = PIECE_BYTES_MAX.min(self.client.properties().memory.max_page_size);
        let of_row = self.shape.n_features().max(self.shape.n_outputs) * size_of::<u32>();
        (bytes_max as usize / of_row).clamp(1, AXIS * UNITS as usize)
    }

    fn check_batch(&self, batch: &FeatureBatch) -> Result<(), GpuError> {
        self.shape.check_batch(batch).map_err(|error| GpuError::Input { what: error.to_string() })?;
        let expected = [batch.n_numeric, batch.n_categorical].map(|n| n * batch.n_rows);
        let found = [batch.numeric.len(), batch.categorical.len()];
        if found != expected {
            let what = format!("{found:?} numbers and codes in {} rows, not {expected:?}", batch.n_rows);
            return Err(GpuError::Input { what });
        }
        Ok(())
    }
}

fn check_size(packed: &Packed, bytes_max: u64) -> Result<(), GpuError> {
    let largest = packed.nodes.len().max(packed.trees.len()).max(packed.sets.len());
    if (largest * size_of::<u32>()) as u64 > bytes_max {
        return Err(GpuError::Input {
            what: format!(
                "a forest of {} nodes, more than a buffer of the device takes",
                packed.nodes.len() / 2
            ),
        });
    }
    if packed.base.len() > AXIS {
        return Err(GpuError::Input { what: format!("{} outputs, more than {AXIS}", packed.base.len()) });
    }
    Ok(())
}

use std::ops::Range;

use cubecl::CubeDim;
use cubecl::client::ComputeClient;
use cubecl::prelude::Runtime;

use super::super::GpuError;
use super::super::buffer::Buffer;
use super::super::records::Records;
use super::super::tasks::grid;
use super::kernel::{DrawingLaunch, LossLaunch, ROWS, UNITS, largest, quantise};
use crate::trees::learner::gradient::Draw;
use crate::trees::learner::loss::{RowLoss, RowScores, sigmoid_table};

/// Raw scores, labels and weights of all rows on the device.
pub(in super::super) struct Scores {
    raw: Buffer,
    labels: Buffer,
    weights: Option<Buffer>,
    sigmoid: Buffer,
    loss: RowLoss,
    n_rows: usize,
}

impl Scores {
    /// Puts a stretch of the rows on the device.
    pub fn upload<R: Runtime>(
        client: &ComputeClient<R>,
        rows: &RowScores<'_>,
        stretch: Range<usize>,
    ) -> Self {
        let upload = |numbers: &[f32]| Buffer::upload_floats(client, &numbers[stretch.clone()]);
        Self {
            raw: upload(rows.raw),
            labels: upload(rows.labels),
            weights: rows.weights.map(upload),
            sigmoid: Buffer::upload(client, sigmoid_table().to_vec()),
            loss: rows.loss,
            n_rows: stretch.len(),
        }
    }

    /// Where the raw scores are.
    pub fn raw(&self) -> &Buffer {
        &self.raw
    }

    fn arg<R: Runtime>(&self) -> LossLaunch<R> {
        let weights = self.weights.as_ref().unwrap_or(&self.labels);
        LossLaunch::new(
            self.raw.arg(),
            self.labels.arg(),
            weights.arg(),
            self.sigmoid.arg(),
            self.n_rows as u32,
            self.loss == RowLoss::Logistic,
            self.weights.is_some(),
        )
    }

    /// Largest gradient, by size, and hessian; not finite where one is not.
    pub fn largest<R: Runtime>(&self, client: &ComputeClient<R>) -> Result<[f32; 2], GpuError> {
        let found = Buffer::upload(client, vec![0; 2]);
        let cubes = grid(self.n_rows.div_ceil((UNITS * ROWS) as usize), 1);
        // SAFETY: the kernel looks at rows below `n_rows` only, and there are two words.
        unsafe {
            largest::launch_unchecked::<R>(client, cubes, CubeDim::new_1d(UNITS), self.arg(), found.arg())
        }
        let found = found.download(client)?;
        Ok([found[0], found[1]].map(f32::from_bits))
    }

    /// Begins a tree: records of all rows. `first_row` is the number of the first one here among all.
    pub fn quantise<R: Runtime>(
        &self,
        client: &ComputeClient<R>,
        records: &Records,
        (draw, scales): (Draw, [f32; 2]),
        first_row: usize,
    ) {
        let (lot, limit) = draw.lot();
        let limit = if draw.takes_all() { u32::MAX } else { limit };
        let halves = |seed: u64| [seed as u32, (seed >> 32) as u32];
        let ([seed_low, seed_high], [lot_low, lot_high]) = (halves(draw.seed), halves(lot));
        let drawing = DrawingLaunch::<R>::new(
            seed_low,
            seed_high,
            lot_low,
            lot_high,
            limit,
            scales[0],
            scales[1],
            first_row as u32,
        );
        let cubes = grid(self.n_rows.div_ceil(UNITS as usize), 1);
        // SAFETY: the kernel looks at its unit's row if there is one, and ends.
        unsafe {
            quantise::launch_unchecked::<R>(
                client,
                cubes,
                CubeDim::new_1d(UNITS),
                self.arg(),
                drawing,
                records.arg(),
            )
        }
    }
}

use std::ops::Range;

use burn::DispatchDevice;
use cubecl::client::ComputeClient;
use cubecl::cuda::CudaRuntime;
use cubecl::prelude::Runtime;
use cubecl::wgpu::WgpuRuntime;

use super::guard::guarded;
use super::{GpuError, GpuRows, Order};
use crate::device::Device;
use crate::trees::learner::gradient::{Draw, Gradients, Record, Units, quantise};
use crate::trees::learner::histogram::Histogram;
use crate::trees::learner::matrix::BinnedMatrix;
use crate::trees::learner::rows::{Done, Order as RowOrder, Segments};
use crate::trees::learner::store::RowStore;
use crate::trees::learner::tree::Leaf;

/// Rows on a GPU. Gradients are computed and quantised on the host, whose arithmetic has one answer, and go up
/// once for each tree.
struct GpuStore<R: Runtime> {
    rows: GpuRows<R>,
    records: Vec<Record>,
}

/// Puts a matrix on a device; `None` where that is the CPU.
pub fn open(matrix: &BinnedMatrix, device: Device) -> Result<Option<Box<dyn RowStore>>, GpuError> {
    Ok(match device.burn() {
        DispatchDevice::Cuda(device) => Some(on(matrix, || CudaRuntime::client(&device))?),
        DispatchDevice::Vulkan(device) => Some(on(matrix, || WgpuRuntime::client(&device))?),
        _ => None,
    })
}

fn on<R: Runtime>(
    matrix: &BinnedMatrix,
    client: impl FnOnce() -> ComputeClient<R>,
) -> Result<Box<dyn RowStore>, GpuError> {
    let client = guarded(|| Ok(client()))?;
    let n_rows = matrix.n_rows();
    let bins = &matrix.data()[..n_rows * matrix.layout.stride];
    let rows = GpuRows::new(client, matrix.layout.clone(), bins)?;
    Ok(Box::new(GpuStore { rows, records: vec![Record::default(); n_rows] }))
}

impl<R: Runtime> RowStore for GpuStore<R> {
    fn start(&mut self, draw: Draw, loss: &dyn Gradients) -> Result<Option<Units>, GpuError> {
        let Some(units) = quantise(&mut self.records, draw, loss) else { return Ok(None) };
        self.rows.start(self.records.iter().map(|record| record.pair).collect())?;
        Ok(Some(units))
    }

    fn root(&mut self, _: &BinnedMatrix) -> Result<(Segments, Histogram), GpuError> {
        let all = 0..self.rows.n_rows();
        let histogram = self.rows.histogram(all.clone(), 0)?;
        Ok((segments(all), histogram))
    }

    fn split(&mut self, matrix: &BinnedMatrix, orders: &[RowOrder]) -> Result<Vec<Done>, GpuError> {
        let order = |order: &RowOrder| Order {
            rows: stretch(&order.segments),
            parity: order.parity,
            place: order.place,
            goes_left: order.goes_left[..matrix.layout.slots[order.place].n_bins].to_vec(),
            build: order.build,
        };
        let orders: Vec<Order> = orders.iter().map(order).collect();
        let done = self.rows.split(&orders)?;
        let children = orders.into_iter().zip(done).map(|(order, done)| {
            let middle = order.rows.start + done.n_left;
            let (left, right) = (segments(order.rows.start..middle), segments(middle..order.rows.end));
            Done { left, right, histogram: done.histogram }
        });
        Ok(children.collect())
    }

    fn add_values(&self, leaves: &[Leaf], values: &[f32], to: &mut [f32]) -> Result<(), GpuError> {
        let stretches: Vec<(Range<usize>, usize, u32)> =
            leaves.iter().map(|leaf| (stretch(&leaf.segments), leaf.parity, leaf.node as u32)).collect();
        let nodes = self.rows.assign(&stretches)?;
        to.iter_mut().zip(nodes).for_each(|(to, node)| *to += values[node as usize]);
        Ok(())
    }

    fn rows_of(&self, leaf: &Leaf) -> Result<Vec<u32>, GpuError> {
        self.rows.rows(stretch(&leaf.segments), leaf.parity)
    }
}

/// A node's rows are one stretch here.
fn stretch(segments: &Segments) -> Range<usize> {
    segments.first().cloned().unwrap_or(0..0)
}

fn segments(rows: Range<usize>) -> Segments {
    if rows.is_empty() { Vec::new() } else { vec![rows] }
}

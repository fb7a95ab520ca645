use std::ops::{Add, Range};

use burn::DispatchDevice;
use cubecl::client::ComputeClient;
use cubecl::cuda::CudaRuntime;
use cubecl::prelude::Runtime;
use cubecl::wgpu::WgpuRuntime;
use rayon::prelude::*;

use super::guard::guarded;
use super::{Found, GpuError, GpuRows, Order, Question};
use crate::device::{self, Device, DeviceChoice, DeviceError};
use crate::trees::learner::gradient::{Draw, Gradients, Record, Units, quantise, scales};
use crate::trees::learner::grow::Growth;
use crate::trees::learner::histogram::Sums;
use crate::trees::learner::loss::RowScores;
use crate::trees::learner::matrix::BinnedMatrix;
use crate::trees::learner::rows::{Done as RowDone, Order as RowOrder, Segments};
use crate::trees::learner::split::Regularisation;
use crate::trees::learner::store::{Added, NodeHistogram, Root, RowStore};
use crate::trees::learner::tree::Leaf;

/// Rows on one GPU or shared by several, whose integer sums add up to the same histograms; those come to the host to be
/// added, one GPU's stay where they are. Raw scores are on the devices where the loss has one answer on all of them; else
/// gradients are computed and quantised on the host, and go up once for each tree.
struct GpuStore<R: Runtime> {
    shares: Vec<Share<R>>,
    /// Of all rows, where the host computes gradients.
    records: Vec<Record>,
}

/// A stretch of the rows on one GPU.
struct Share<R: Runtime> {
    all: Range<usize>,
    rows: GpuRows<R>,
}

/// Puts a matrix on the devices from this one on that are to grow trees; `None` where it is the CPU.
pub fn open(
    matrix: &BinnedMatrix,
    growth: &Growth,
    device: Device,
) -> Result<Option<Box<dyn RowStore>>, GpuError> {
    if device == Device::Cpu {
        return Ok(None);
    }
    let missing = |error: DeviceError| GpuError::Device { reason: error.to_string() };
    let next = |i: usize| match device {
        Device::Cpu => Device::Cpu,
        Device::Cuda(index) => Device::Cuda(index + i),
        Device::Vulkan(index) => Device::Vulkan(index + i),
    };
    for i in 1..growth.n_gpus() {
        device::choose(DeviceChoice::Fixed(next(i))).map_err(missing)?;
    }
    let (mut cuda, mut vulkan) = (Vec::new(), Vec::new());
    for device in (0..growth.n_gpus()).map(|i| next(i).burn()) {
        match device {
            DispatchDevice::Cuda(device) => cuda.push(device),
            DispatchDevice::Vulkan(device) => vulkan.push(device),
            _ => return Ok(None),
        }
    }
    if !cuda.is_empty() {
        return shared(matrix, growth, guarded(|| Ok(cuda.iter().map(CudaRuntime::client).collect()))?)
            .map(Some);
    }
    shared(matrix, growth, guarded(|| Ok(vulkan.iter().map(WgpuRuntime::client).collect()))?).map(Some)
}

/// Puts a matrix on the devices of these clients, each with its share of the rows.
pub(in super::super) fn shared<R: Runtime>(
    matrix: &BinnedMatrix,
    growth: &Growth,
    clients: Vec<ComputeClient<R>>,
) -> Result<Box<dyn RowStore>, GpuError> {
    Ok(Box::new(GpuStore::new(matrix, growth, clients)?))
}

impl<R: Runtime> GpuStore<R> {
    fn new(matrix: &BinnedMatrix, growth: &Growth, clients: Vec<ComputeClient<R>>) -> Result<Self, GpuError> {
        let (n_rows, stride) = (matrix.n_rows(), matrix.layout.stride);
        let share = n_rows.div_ceil(clients.len()).max(1);
        let firsts = (0..n_rows).step_by(share);
        let open = |(first, client): (usize, ComputeClient<R>)| {
            let all = first..(first + share).min(n_rows);
            let bins = &matrix.data()[all.start * stride..all.end * stride];
            Ok(Share { rows: GpuRows::new(client, matrix.layout.clone(), bins)?, all })
        };
        let mut shares = firsts.zip(clients).map(open).collect::<Result<Vec<_>, GpuError>>()?;
        if let ([only], true) = (shares.as_mut_slice(), growth.is_plain()) {
            only.rows.keep_histograms(growth.n_open_max(), |place| growth.is_cut(place))?;
        }
        Ok(Self { shares, records: Vec::new() })
    }

    fn n_rows(&self) -> usize {
        self.shares.last().map_or(0, |share| share.all.end)
    }

    /// Gradients of scores that are on the devices, or go there for the first tree.
    fn start_from_scores(&mut self, draw: Draw, rows: &RowScores<'_>) -> Result<Option<Units>, GpuError> {
        let take = |share: &mut Share<R>| {
            let is_there = share.rows.has_scores();
            if is_there { Ok(()) } else { share.rows.take_scores(rows, share.all.clone()) }
        };
        self.shares.par_iter_mut().try_for_each(take)?;
        let largest = self.each(|share| share.rows.largest())?;
        // Bits of numbers that are not negative have their order, and NaN is above all.
        let largest =
            [0, 1].map(|i| largest.iter().map(|of| of[i].to_bits()).max().map_or(0.0, f32::from_bits));
        if !largest.iter().all(|number| number.is_finite()) {
            return Ok(None);
        }
        let (scales, units) = scales(largest);
        let quantise = |share: &mut Share<R>| share.rows.quantise(draw, scales, share.all.start);
        self.shares.par_iter_mut().try_for_each(quantise)?;
        Ok(Some(units))
    }

    /// What each share answers, all at work at the same time.
    fn each<T: Send>(
        &self,
        ask: impl Fn(&Share<R>) -> Result<T, GpuError> + Send + Sync,
    ) -> Result<Vec<T>, GpuError> {
        self.shares.par_iter().map(ask).collect()
    }
}

impl<R: Runtime> Share<R> {
    /// A node's rows here are one stretch.
    fn stretch(&self, segments: &Segments) -> Range<usize> {
        let here = segments.iter().find(|segment| self.all.contains(&segment.start));
        here.map_or(0..0, |segment| segment.start - self.all.start..segment.end - self.all.start)
    }

    /// The same as a part of a node's rows.
    fn segment(&self, rows: Range<usize>) -> Option<Range<usize>> {
        (!rows.is_empty()).then(|| self.all.start + rows.start..self.all.start + rows.end)
    }

    fn split(&mut self, matrix: &BinnedMatrix, orders: &[RowOrder]) -> Result<Vec<RowDone>, GpuError> {
        let order = |order: &RowOrder| Order {
            rows: self.stretch(&order.segments),
            parity: order.parity,
            place: order.place,
            goes_left: order.goes_left[..matrix.layout.slots[order.place].n_bins].to_vec(),
            build: order.build,
        };
        let orders: Vec<Order> = orders.iter().map(order).collect();
        let done = self.rows.split(&orders)?;
        let children = orders.into_iter().zip(done).map(|(order, done)| {
            let middle = order.rows.start + done.n_left;
            let (left, right) =
                (self.segment(order.rows.start..middle), self.segment(middle..order.rows.end));
            RowDone {
                left: left.into_iter().collect(),
                right: right.into_iter().collect(),
                histogram: done.histogram,
            }
        });
        Ok(children.collect())
    }
}

impl<R: Runtime> RowStore for GpuStore<R> {
    fn start(&mut self, draw: Draw, loss: &dyn Gradients) -> Result<Option<Units>, GpuError> {
        if let Some(rows) = loss.rows() {
            return self.start_from_scores(draw, &rows);
        }
        self.records.resize(self.n_rows(), Record::default());
        let Some(units) = quantise(&mut self.records, draw.seed, loss) else { return Ok(None) };
        // Rows that do not take part weigh nothing.
        let pair = |record: &Record| if draw.takes(record.row) { record.pair } else { 0 };
        let records = &self.records;
        let start = |share: &mut Share<R>| {
            share.rows.start(records[share.all.clone()].par_iter().map(pair).collect())
        };
        self.shares.par_iter_mut().try_for_each(start)?;
        Ok(Some(units))
    }

    fn root(&mut self, _: &BinnedMatrix) -> Result<Root, GpuError> {
        let segments = self.shares.iter().map(|share| share.all.clone()).collect();
        let (totals, histograms): (Vec<Sums>, Vec<NodeHistogram>) =
            self.each(|share| share.rows.root())?.into_iter().unzip();
        let histogram = sum(histograms).ok_or_else(|| GpuError::Input { what: "no rows".into() })?;
        Ok(Root { segments, total: totals.into_iter().fold(Sums::default(), Sums::add), histogram })
    }

    fn split(&mut self, matrix: &BinnedMatrix, orders: &[RowOrder]) -> Result<Vec<RowDone>, GpuError> {
        let split = |share: &mut Share<R>| share.split(matrix, orders);
        let mut by_share: Vec<std::vec::IntoIter<RowDone>> = self
            .shares
            .par_iter_mut()
            .map(|share| split(share).map(Vec::into_iter))
            .collect::<Result<_, GpuError>>()?;
        let join = |_: &RowOrder| {
            let mut whole = RowDone::default();
            for done in by_share.iter_mut().filter_map(Iterator::next) {
                whole.left.extend(done.left);
                whole.right.extend(done.right);
                whole.histogram = sum(whole.histogram.into_iter().chain(done.histogram));
            }
            whole
        };
        Ok(orders.iter().map(join).collect())
    }

    fn add_values(&mut self, leaves: &[Leaf], values: &[f32], to: &mut [f32]) -> Result<Added, GpuError> {
        if self.shares.iter().all(|share| share.rows.has_scores()) {
            let add = |share: &mut Share<R>| {
                let stretch = |leaf: &Leaf| (share.stretch(&leaf.segments), leaf.parity, values[leaf.node]);
                let leaves: Vec<_> = leaves.iter().map(stretch).collect();
                share.rows.add_to_scores(&leaves)
            };
            self.shares.par_iter_mut().try_for_each(add)?;
            return Ok(Added::OnDevice);
        }
        let nodes = self.each(|share| {
            let stretch = |leaf: &Leaf| (share.stretch(&leaf.segments), leaf.parity, leaf.node as u32);
            share.rows.assign(&leaves.iter().map(stretch).collect::<Vec<_>>())
        })?;
        let nodes = nodes.concat();
        to.par_iter_mut().zip(nodes).for_each(|(to, node)| *to += values[node as usize]);
        Ok(Added::Here)
    }

    fn subtract(&self, whole: NodeHistogram, part: &NodeHistogram) -> Result<NodeHistogram, GpuError> {
        match (whole, part, self.shares.as_slice()) {
            (NodeHistogram::There(whole), NodeHistogram::There(part), [only]) => {
                only.rows.subtract(&whole, part)?;
                Ok(NodeHistogram::There(whole))
            }
            (whole, part, _) => whole.less(part),
        }
    }

    fn search(
        &self,
        penalised: (Units, &Regularisation),
        questions: &[Question<'_>],
    ) -> Result<Vec<Found>, GpuError> {
        let found = self.each(|share| share.rows.search(penalised, questions))?;
        Ok(found.into_iter().next().unwrap_or_default())
    }

    fn rows_of(&self, leaf: &Leaf) -> Result<Vec<u32>, GpuError> {
        let rows = self.each(|share| {
            let rows = share.rows.rows(share.stretch(&leaf.segments), leaf.parity)?;
            Ok(rows.into_iter().map(|row| row + share.all.start as u32).collect::<Vec<_>>())
        })?;
        Ok(rows.concat())
    }
}

/// Histograms of several devices are all here.
fn sum(histograms: impl IntoIterator<Item = NodeHistogram>) -> Option<NodeHistogram> {
    histograms.into_iter().reduce(|mut a, b| {
        if let (NodeHistogram::Here(a), NodeHistogram::Here(b)) = (&mut a, &b) {
            a.add(b);
        }
        a
    })
}

use std::ops::{Add, Range};

use cubecl::client::ComputeClient;
use cubecl::features::AtomicUsage;
use cubecl::ir::{ElemType, StorageType, Type, UIntKind};
use cubecl::prelude::Runtime;
use cubecl::stream_id::StreamId;

use super::super::gradient::{Draw, Record, Units};
use super::super::histogram::{Histogram, Sums};
use super::super::layout::Layout;
use super::super::loss::RowScores;
use super::super::rows::Side;
use super::super::split::Regularisation;
use super::super::store::NodeHistogram;
use super::buffer::Buffer;
use super::guard::guarded;
use super::histogram::{GpuHistogram, Node, Part, bins, histograms, sums};
use super::matrix::GpuMatrix;
use super::orders::check_stretch;
use super::partition::partition;
use super::records::{Leaf, Records};
use super::scores::Scores;
use super::search::{Found, Question, Search, search, subtract};
use super::{Done, GpuError, Order};

/// The rows of a tree under construction on a GPU.
///
/// Records are in two buffers of one a row each: a split reads a node's stretch in one and writes its
/// children to the same stretch in the other, left ones from the front, right ones from the back. The
/// order of rows within a node is not always the same; the histograms are, to the bit.
pub struct GpuRows<R: Runtime> {
    client: ComputeClient<R>,
    /// The order of work: by itself every thread would have a stream of its own, and see what others wrote too early.
    stream: StreamId,
    matrix: GpuMatrix,
    records: Records,
    /// Where histograms stay on the device.
    search: Option<Search>,
    /// Where raw scores do.
    scores: Option<Scores>,
    /// Last, so that what the fields above held is free by then.
    _cleanup: Cleanup<R>,
}

/// Bytes of histograms that are computed at once, unless a single one is larger.
const HISTOGRAM_BYTES_MAX: u64 = 1 << 28;
/// Bytes of histograms that stay on the device; those of larger trees come to the host.
const KEPT_BYTES_MAX: u64 = 1 << 32;
/// Nodes that are looked through at once: cuts of so many are a megabyte.
const QUESTIONS_MAX: usize = 1_024;
/// Shared memory of a workgroup of the histogram, which needs most.
const SHARED_BYTES: usize = 16_384;

impl<R: Runtime> GpuRows<R> {
    /// Puts a matrix on the device, row-major: rows of `layout.stride` bytes, one for each of the
    /// first `layout.n_narrow` features, two (little-endian) for the others.
    ///
    /// # Errors
    /// If the device lacks something or memory, or a bin is beyond those of its feature.
    pub fn new(client: ComputeClient<R>, layout: Layout, bins: &[u8]) -> Result<Self, GpuError> {
        check_device(&client, &layout)?;
        check_n_rows(&client, bins.len() / layout.stride.max(1))?;
        let (matrix, records) = guarded(|| {
            // Pools would round buffers of this size up to a quarter of the device's memory.
            let made = client.memory_persistent_allocation((), |()| {
                let matrix = GpuMatrix::upload(&client, layout, bins)?;
                let records = Records::new(&client, matrix.n_rows);
                Ok((matrix, records))
            });
            made.map_err(|error| GpuError::Device { reason: error.to_string() })?
        })?;
        let stream = StreamId::current();
        Ok(Self {
            _cleanup: Cleanup(client.clone(), stream),
            client,
            stream,
            matrix,
            records,
            search: None,
            scores: None,
        })
    }

    /// From now on histograms stay on the device, unless those of `n_nodes` are too many for it. It looks through them for
    /// splits by the places of which `is_cut` says that they are cut between bins and without further conditions.
    pub fn keep_histograms(&mut self, n_nodes: u64, is_cut: impl Fn(usize) -> bool) -> Result<(), GpuError> {
        if n_nodes.saturating_mul(histogram_bytes(&self.matrix.layout)) > KEPT_BYTES_MAX {
            return Ok(());
        }
        self.search = Some(self.run(|| Ok(Search::new(&self.client, &self.matrix.layout, is_cut)))?);
        Ok(())
    }

    /// Work for the device, behind all that it was given before.
    fn run<T>(&self, work: impl FnOnce() -> Result<T, GpuError>) -> Result<T, GpuError> {
        guarded(|| self.stream.executes(work))
    }

    /// Rows of the matrix.
    pub fn n_rows(&self) -> usize {
        self.matrix.n_rows
    }

    /// Begins a tree: all rows in natural order in buffer 0, with one pair each (gradient as `i16` in
    /// the upper half, hessian as `u16` in the lower).
    pub fn start(&mut self, pairs: Vec<u32>) -> Result<(), GpuError> {
        if pairs.len() != self.n_rows() {
            return Err(GpuError::Input {
                what: format!("{} pairs for {} rows", pairs.len(), self.n_rows()),
            });
        }
        let (client, records) = (&self.client, &self.records);
        self.run(|| {
            let done = client.memory_persistent_allocation(pairs, |pairs| records.reset(client, pairs));
            done.map_err(|error| GpuError::Device { reason: error.to_string() })
        })
    }

    /// From now on these rows' raw scores are on the device.
    pub fn take_scores(&mut self, rows: &RowScores<'_>, stretch: Range<usize>) -> Result<(), GpuError> {
        let client = &self.client;
        self.scores = Some(self.run(|| {
            let made = client.memory_persistent_allocation((), |()| Scores::upload(client, rows, stretch));
            made.map_err(|error| GpuError::Device { reason: error.to_string() })
        })?);
        Ok(())
    }

    /// Whether raw scores are on the device.
    pub fn has_scores(&self) -> bool {
        self.scores.is_some()
    }

    /// Largest gradient, by size, and hessian of the scores on the device.
    pub fn largest(&self) -> Result<[f32; 2], GpuError> {
        self.run(|| self.scores()?.largest(&self.client))
    }

    /// Begins a tree with the gradients of the scores on the device, in levels of these scales. `first_row` is the number
    /// of the first row here among all.
    pub fn quantise(&mut self, draw: Draw, scales: [f32; 2], first_row: usize) -> Result<(), GpuError> {
        self.run(|| {
            self.scores()?.quantise(&self.client, &self.records, (draw, scales), first_row);
            Ok(())
        })
    }

    /// Adds to each row's score on the device the value of the leaf it ended in.
    pub fn add_to_scores(&mut self, leaves: &[(Range<usize>, usize, f32)]) -> Result<(), GpuError> {
        let bits =
            |(rows, parity, value): &(Range<usize>, usize, f32)| (rows.clone(), *parity, value.to_bits());
        let leaves = self.leaves(&leaves.iter().map(bits).collect::<Vec<_>>())?;
        self.run(|| {
            self.records.add(&self.client, &leaves, self.scores()?.raw());
            Ok(())
        })
    }

    fn scores(&self) -> Result<&Scores, GpuError> {
        self.scores.as_ref().ok_or_else(|| GpuError::Input { what: "no scores are on the device".into() })
    }

    /// Sums over a stretch of records.
    pub fn histogram(&self, rows: Range<usize>, parity: usize) -> Result<Histogram, GpuError> {
        check_stretch(&rows, parity, self.n_rows())?;
        self.run(|| {
            let limbs = self.limbs(rows, parity).download(&self.client)?;
            Ok(sums(&limbs, self.matrix.layout.n_bins).pop().unwrap_or_default())
        })
    }

    fn limbs(&self, rows: Range<usize>, parity: usize) -> Buffer {
        let placed = Buffer::upload(&self.client, vec![0; 2]);
        let nodes = [Node { rows, parity, part: Part::Whole }];
        histograms(&self.client, &self.matrix, &self.records, &nodes, &placed)
    }

    /// Sums over all rows at the start of a tree, in total and by bin.
    pub fn root(&self) -> Result<(Sums, NodeHistogram), GpuError> {
        let GpuMatrix { layout, n_rows, .. } = &self.matrix;
        if self.search.is_none() {
            let histogram = self.histogram(0..*n_rows, 0)?;
            return Ok((histogram.total(layout), NodeHistogram::Here(histogram)));
        }
        self.run(|| {
            let histogram = GpuHistogram::new(&self.limbs(0..*n_rows, 0), 0, layout.n_bins);
            let first = layout.slots.first().map(|slot| histogram.slice(slot.first_bin, slot.n_bins));
            let limbs = first.map_or(Ok(Vec::new()), |first| first.download(&self.client))?;
            let total = bins(&limbs).into_iter().fold(Sums::default(), Sums::add);
            Ok((total, NodeHistogram::There(histogram)))
        })
    }

    /// What can be the best split of nodes whose histograms were kept.
    pub fn search(
        &self,
        penalised: (Units, &Regularisation),
        questions: &[Question<'_>],
    ) -> Result<Vec<Found>, GpuError> {
        let Some(kept) = &self.search else { return Ok(Vec::new()) };
        let found = |questions: &[Question<'_>]| {
            self.run(|| search(&self.client, kept, &self.matrix.layout, penalised, questions))
        };
        questions.chunks(QUESTIONS_MAX).map(found).collect::<Result<Vec<_>, _>>().map(|all| all.concat())
    }

    /// Turns the kept histogram of a whole into that of what a part leaves.
    pub fn subtract(&self, whole: &GpuHistogram, part: &GpuHistogram) -> Result<(), GpuError> {
        self.run(|| {
            subtract(&self.client, whole, part);
            Ok(())
        })
    }

    /// Carries out splits of nodes that do not overlap: partitions their rows, and sums those of the
    /// wanted sides. One wait for the device, unless there are very many bins.
    pub fn split(&mut self, orders: &[Order]) -> Result<Vec<Done>, GpuError> {
        for order in orders {
            order.check(&self.matrix.layout, self.n_rows())?;
        }
        self.run(|| {
            let placed = partition(&self.client, &self.matrix, &self.records, orders);
            let mut done: Vec<Done> = orders.iter().map(|_| Done::default()).collect();
            let n_bins = self.matrix.layout.n_bins;
            let at_once = self.histograms_at_once();
            let wanted: Vec<usize> = (0..orders.len()).filter(|&i| orders[i].build.is_some()).collect();
            let mut counts = Vec::new();
            for wanted in wanted.chunks(at_once) {
                let nodes: Vec<Node> = wanted.iter().map(|&order| child(orders, order)).collect();
                let limbs = histograms(&self.client, &self.matrix, &self.records, &nodes, &placed);
                if self.search.is_some() {
                    for (number, &order) in wanted.iter().enumerate() {
                        let kept = GpuHistogram::new(&limbs, number, n_bins);
                        done[order].histogram = Some(NodeHistogram::There(kept));
                    }
                    continue;
                }
                let mut both = Buffer::download_all(&self.client, &[&placed, &limbs])?;
                let limbs = both.pop().unwrap_or_default();
                for (&order, histogram) in wanted.iter().zip(sums(&limbs, n_bins)) {
                    done[order].histogram = Some(NodeHistogram::Here(histogram));
                }
                counts = both.pop().unwrap_or_default();
            }
            if counts.is_empty() {
                counts = placed.download(&self.client)?;
            }
            done.iter_mut().zip(counts.chunks(2)).for_each(|(done, counts)| done.n_left = counts[0] as usize);
            Ok(done)
        })
    }

    fn histograms_at_once(&self) -> usize {
        let bytes_max = HISTOGRAM_BYTES_MAX.min(self.client.properties().memory.max_page_size);
        (bytes_max / histogram_bytes(&self.matrix.layout).max(1)).max(1) as usize
    }

    /// The leaf of each row, from the leaves' stretches of records. Together they have all rows.
    pub fn assign(&self, leaves: &[(Range<usize>, usize, u32)]) -> Result<Vec<u32>, GpuError> {
        let leaves = self.leaves(leaves)?;
        self.run(|| self.records.assign(&self.client, &leaves))
    }

    /// Checked; all rows are in them.
    fn leaves(&self, leaves: &[(Range<usize>, usize, u32)]) -> Result<Vec<Leaf>, GpuError> {
        for (rows, parity, _) in leaves {
            check_stretch(rows, *parity, self.n_rows())?;
        }
        let n_rows: usize = leaves.iter().map(|(rows, ..)| rows.len()).sum();
        if n_rows != self.n_rows() {
            return Err(GpuError::Input { what: format!("leaves with {n_rows} of {} rows", self.n_rows()) });
        }
        Ok(leaves
            .iter()
            .map(|(rows, parity, value)| Leaf { rows: rows.clone(), parity: *parity, value: *value })
            .collect())
    }

    /// Records of a stretch.
    pub fn records(&self, rows: Range<usize>, parity: usize) -> Result<Vec<Record>, GpuError> {
        check_stretch(&rows, parity, self.n_rows())?;
        self.run(|| self.records.download(&self.client, &rows, parity))
    }

    /// Row numbers of a stretch.
    pub fn rows(&self, rows: Range<usize>, parity: usize) -> Result<Vec<u32>, GpuError> {
        Ok(self.records(rows, parity)?.into_iter().map(|record| record.row).collect())
    }
}

/// The wanted side of an order, after the partition.
fn child(orders: &[Order], number: usize) -> Node {
    let order = &orders[number];
    let part = match order.build {
        Some(Side::Left) => Part::Left(number),
        Some(Side::Right) => Part::Right(number),
        None => Part::Whole,
    };
    Node { rows: order.rows.clone(), parity: 1 - order.parity, part }
}

fn histogram_bytes(layout: &Layout) -> u64 {
    (layout.n_bins * size_of::<Sums>()) as u64
}

fn check_device<R: Runtime>(client: &ComputeClient<R>, layout: &Layout) -> Result<(), GpuError> {
    let properties = client.properties();
    let word = Type::new(StorageType::Atomic(ElemType::UInt(UIntKind::U32)));
    let usage = properties.atomic_type_usage(word);
    let needed = [AtomicUsage::Add, AtomicUsage::LoadStore, AtomicUsage::MinMax];
    if !needed.into_iter().all(|needed| usage.contains(needed)) {
        return Err(GpuError::Unsupported { what: "atomic addition and maximum of 32-bit integers" });
    }
    if properties.hardware.max_shared_memory_size < SHARED_BYTES {
        return Err(GpuError::Unsupported { what: "16 KiB of memory for a workgroup" });
    }
    if histogram_bytes(layout) > properties.memory.max_page_size {
        return Err(GpuError::Unsupported { what: "buffer large enough for the bins of all features" });
    }
    Ok(())
}

/// Both buffers of row numbers are one array on the device, whose words are counted with 32 bits.
fn check_n_rows<R: Runtime>(client: &ComputeClient<R>, n_rows: usize) -> Result<(), GpuError> {
    let bytes_max = client.properties().memory.max_page_size.min(u64::from(u32::MAX) * 4);
    let n_rows_max = (bytes_max / 8) as usize;
    if n_rows > n_rows_max { Err(GpuError::TooManyRows { n_rows, n_rows_max }) } else { Ok(()) }
}

/// Gives the memory of a matrix back to the driver, not only to the pool.
struct Cleanup<R: Runtime>(ComputeClient<R>, StreamId);

impl<R: Runtime> Drop for Cleanup<R> {
    fn drop(&mut self) {
        // A device that was lost panics here too.
        let _ = guarded(|| {
            self.1.executes(|| self.0.memory_cleanup());
            Ok(())
        });
    }
}

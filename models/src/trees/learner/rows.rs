//! The rows of a tree under construction, partitioned by leaf within fixed blocks.
//!
//! A row never leaves its block, so threads share nothing, a block's bins stay near in memory, and the order
//! of rows does not matter to sums of integers.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;

use super::gpu::GpuError;
use super::gradient::{Draw, Gradients, Record, Units, quantise};
use super::histogram::{AHEAD, Collector, Histogram, prefetch};
use super::matrix::{BinnedMatrix, BinsOf};
use super::store::{Added, NodeHistogram, Root, RowStore};
use super::tree::Leaf;

/// Stretches of rows of one node, at most one for each block, ascending.
pub type Segments = Vec<Range<usize>>;

/// Side of a split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Left,
    Right,
}

/// A split to be carried out.
pub struct Order {
    pub segments: Segments,
    /// Of the node's depth: which buffer its rows are in, where a store has two.
    pub parity: usize,
    /// Place of the feature in the row.
    pub place: usize,
    /// Whether rows of a bin go left.
    pub goes_left: Vec<bool>,
    /// Side whose histogram is wanted.
    pub build: Option<Side>,
}

#[derive(Default)]
pub struct Done {
    pub left: Segments,
    pub right: Segments,
    pub histogram: Option<NodeHistogram>,
}

/// Rows of a task, at least, unless the node has fewer.
const TASK_ROWS: usize = 16_384;
/// Rows decided on before those of the wanted side are summed, while they are still near.
const RUN_ROWS: usize = 4_096;

/// All rows. A node's rows keep their place in each block: its left child's come to the front of it, the right one's
/// behind them.
pub struct RowSet {
    pub records: Vec<Record>,
    /// Rows of a block; a row's block is its number divided by this.
    pub block_rows: usize,
    /// Rows of each block that take part; they come first.
    n_taken: Vec<usize>,
    collectors: Pool<Collector>,
    histograms: Pool<Histogram>,
    /// Where right rows wait while left ones move to the front.
    waiting: Pool<Vec<Record>>,
}

/// Memory that is used again.
struct Pool<T>(Mutex<Vec<T>>);

impl<T: Default> Pool<T> {
    fn take(&self) -> T {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    fn give(&self, item: T) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(item);
    }
}

impl RowSet {
    pub fn new(n_rows: usize) -> Self {
        let block_rows = n_rows.div_ceil(4 * rayon::current_num_threads()).clamp(1_024, 65_536);
        Self {
            records: vec![Record::default(); n_rows],
            block_rows,
            n_taken: Vec::new(),
            collectors: Pool(Mutex::default()),
            histograms: Pool(Mutex::default()),
            waiting: Pool(Mutex::default()),
        }
    }

    fn collector(&self, matrix: &BinnedMatrix) -> Collector {
        let mut collector = self.collectors.take();
        collector.start(matrix.layout.n_bins, self.histograms.take());
        collector
    }

    fn collected(&self, mut collector: Collector) -> Histogram {
        let histogram = collector.finish();
        self.collectors.give(collector);
        histogram
    }

    fn histogram(&self, matrix: &BinnedMatrix, segments: &Segments) -> Histogram {
        let n_rows: usize = segments.iter().map(|s| s.len()).sum();
        let tasks = groups(segments, n_rows);
        let parts: Vec<Histogram> = tasks
            .into_par_iter()
            .map(|task| {
                let mut collector = self.collector(matrix);
                for segment in &segments[task] {
                    collector.add(matrix, &self.records[segment.clone()]);
                }
                self.collected(collector)
            })
            .collect();
        let mut parts = parts.into_iter();
        let mut whole = parts.next().unwrap_or_else(|| self.collected(self.collector(matrix)));
        for part in parts {
            self.join(&mut whole, part);
        }
        whole
    }

    fn join(&self, whole: &mut Histogram, part: Histogram) {
        whole.add(&part);
        self.histograms.give(part);
    }

    fn carry_out(&mut self, matrix: &BinnedMatrix, orders: &[Order]) -> Vec<Done> {
        let mut records = std::mem::take(&mut self.records);
        let done = self.split_in(&mut records, matrix, orders);
        self.records = records;
        done
    }

    fn split_in(&self, records: &mut [Record], matrix: &BinnedMatrix, orders: &[Order]) -> Vec<Done> {
        let tasks = tasks(records, orders);
        let carry_out = |task: Task<'_>| (task.order, self.part(matrix, &orders[task.order], task.pieces));
        let parts: Vec<(usize, Done)> = tasks.into_par_iter().map(carry_out).collect();
        let mut done: Vec<Done> = orders.iter().map(|_| Done::default()).collect();
        for (order, part) in parts {
            let whole = &mut done[order];
            whole.left.extend(part.left);
            whole.right.extend(part.right);
            match (&mut whole.histogram, part.histogram) {
                (Some(NodeHistogram::Here(whole)), Some(NodeHistogram::Here(part))) => self.join(whole, part),
                (whole, part) => *whole = part,
            }
        }
        done
    }

    fn part(&self, matrix: &BinnedMatrix, order: &Order, pieces: Vec<Piece<'_>>) -> Done {
        let mut done = Done::default();
        let mut collector = order.build.map(|_| self.collector(matrix));
        let mut waiting = self.waiting.take();
        for Piece { first, rows } in pieces {
            if waiting.len() < rows.len() {
                waiting.resize(rows.len(), Record::default());
            }
            let (mut left, mut right) = (0, 0);
            for run in (0..rows.len()).step_by(RUN_ROWS) {
                let (left_before, right_before) = (left, right);
                let run = run..(run + RUN_ROWS).min(rows.len());
                partition(matrix, order, Halves { rows, waiting: &mut waiting }, run, &mut left, &mut right);
                match (&mut collector, order.build) {
                    (Some(collector), Some(Side::Left)) => collector.add(matrix, &rows[left_before..left]),
                    (Some(collector), Some(Side::Right)) => {
                        collector.add(matrix, &waiting[right_before..right])
                    }
                    _ => {}
                }
            }
            rows[left..].copy_from_slice(&waiting[..right]);
            if left > 0 {
                done.left.push(first..first + left);
            }
            if left < rows.len() {
                done.right.push(first + left..first + rows.len());
            }
        }
        self.waiting.give(waiting);
        done.histogram = collector.map(|collector| NodeHistogram::Here(self.collected(collector)));
        done
    }
}

impl RowStore for RowSet {
    fn start(&mut self, draw: Draw, loss: &dyn Gradients) -> Result<Option<Units>, GpuError> {
        let units = quantise(&mut self.records, draw.seed, loss);
        let blocks = self.records.par_chunks_mut(self.block_rows);
        self.n_taken = blocks.map(|records| to_front(records, draw)).collect();
        Ok(units)
    }

    fn root(&mut self, matrix: &BinnedMatrix) -> Result<Root, GpuError> {
        let blocks = self.n_taken.iter().enumerate().filter(|(_, n)| **n > 0);
        let segments = blocks.map(|(i, n)| i * self.block_rows..i * self.block_rows + n).collect();
        let histogram = self.histogram(matrix, &segments);
        Ok(Root {
            segments,
            total: histogram.total(&matrix.layout),
            histogram: NodeHistogram::Here(histogram),
        })
    }

    fn split(&mut self, matrix: &BinnedMatrix, orders: &[Order]) -> Result<Vec<Done>, GpuError> {
        Ok(self.carry_out(matrix, orders))
    }

    fn add_values(&mut self, leaves: &[Leaf], values: &[f32], to: &mut [f32]) -> Result<Added, GpuError> {
        let block_rows = self.block_rows;
        to.par_chunks_mut(block_rows).enumerate().for_each(|(block, to)| {
            let first = block * block_rows;
            for leaf in leaves {
                let at = leaf.segments.partition_point(|segment| segment.start < first);
                let Some(segment) = leaf.segments.get(at).filter(|s| s.start < first + block_rows) else {
                    continue;
                };
                for record in &self.records[segment.clone()] {
                    to[record.row as usize - first] += values[leaf.node];
                }
            }
        });
        Ok(Added::Here)
    }

    fn holds_all(&self) -> bool {
        self.n_taken.iter().sum::<usize>() == self.records.len()
    }

    fn rows_of(&self, leaf: &Leaf) -> Result<Vec<u32>, GpuError> {
        let records = leaf.segments.iter().flat_map(|segment| &self.records[segment.clone()]);
        Ok(records.map(|record| record.row).collect())
    }

    fn recycle(&self, histogram: NodeHistogram) {
        if let NodeHistogram::Here(histogram) = histogram {
            self.histograms.give(histogram);
        }
    }
}

/// Moves the rows that take part to the front, in their order; returns how many they are.
fn to_front(records: &mut [Record], draw: Draw) -> usize {
    if draw.takes_all() {
        return records.len();
    }
    let mut n = 0;
    for i in 0..records.len() {
        let taken = draw.takes(records[i].row);
        records.swap(n, i);
        n += usize::from(taken);
    }
    n
}

/// A node's rows of a block while they are split.
struct Halves<'a> {
    /// Left ones at the front, then those that were not looked at yet.
    rows: &'a mut [Record],
    /// Right ones.
    waiting: &'a mut [Record],
}

/// Moves the rows of a run to the ends of both halves, and the ends with them.
fn partition(
    matrix: &BinnedMatrix,
    order: &Order,
    halves: Halves<'_>,
    run: Range<usize>,
    left: &mut usize,
    right: &mut usize,
) {
    let left_of = |bin: usize| order.goes_left[bin];
    match matrix.bins_of(order.place) {
        BinsOf::Narrow(bins) => {
            partition_by(|row| left_of(usize::from(bins[row])), |_| {}, halves, run, left, right)
        }
        BinsOf::Wide(bins) => {
            partition_by(|row| left_of(usize::from(bins[row])), |_| {}, halves, run, left, right)
        }
        BinsOf::InRows { rows, slot, is_narrow } => {
            let at = |row: usize| row * matrix.layout.stride + slot.byte;
            let ask = |row: usize| prefetch(rows, at(row));
            if is_narrow {
                partition_by(|row| left_of(usize::from(rows[at(row)])), ask, halves, run, left, right)
            } else {
                let wide = |at: usize| usize::from(u16::from_le_bytes([rows[at], rows[at + 1]]));
                partition_by(|row| left_of(wide(at(row))), ask, halves, run, left, right)
            }
        }
    }
}

#[inline(always)]
fn partition_by(
    goes_left: impl Fn(usize) -> bool,
    ask: impl Fn(usize),
    Halves { rows, waiting }: Halves<'_>,
    run: Range<usize>,
    left: &mut usize,
    right: &mut usize,
) {
    // Both ends are written and one of them moves: no branch to be mispredicted.
    for i in run {
        if let Some(ahead) = rows.get(i + AHEAD) {
            ask(ahead.row as usize);
        }
        let record = rows[i];
        let goes_left = goes_left(record.row as usize);
        rows[*left] = record;
        waiting[*right] = record;
        *left += usize::from(goes_left);
        *right += usize::from(!goes_left);
    }
}

/// A segment's rows.
struct Piece<'a> {
    first: usize,
    rows: &'a mut [Record],
}

struct Task<'a> {
    order: usize,
    pieces: Vec<Piece<'a>>,
}

/// Lends every segment its stretch of the records.
fn tasks<'a>(records: &'a mut [Record], orders: &[Order]) -> Vec<Task<'a>> {
    let mut found = Vec::new();
    let mut wanted: Vec<(Range<usize>, usize)> = Vec::new();
    for (i, order) in orders.iter().enumerate() {
        let n_rows = order.segments.iter().map(|segment| segment.len()).sum();
        for group in groups(&order.segments, n_rows) {
            wanted.extend(order.segments[group].iter().map(|segment| (segment.clone(), found.len())));
            found.push(Task { order: i, pieces: Vec::new() });
        }
    }
    wanted.sort_unstable_by_key(|(segment, _)| segment.start);
    let (mut rest, mut at) = (records, 0);
    for (segment, task) in wanted {
        let rows;
        (rows, rest) = rest[segment.start - at..].split_at_mut(segment.len());
        at = segment.end;
        found[task].pieces.push(Piece { first: segment.start, rows });
    }
    found
}

/// Ranges of segments with about equal numbers of rows, as many as threads can use.
fn groups(segments: &Segments, n_rows: usize) -> Vec<Range<usize>> {
    let rows_min = TASK_ROWS.max(n_rows.div_ceil(4 * rayon::current_num_threads()));
    let mut found = Vec::new();
    let (mut first, mut rows) = (0, 0);
    for (i, segment) in segments.iter().enumerate() {
        rows += segment.len();
        if rows >= rows_min || i + 1 == segments.len() {
            found.push(first..i + 1);
            (first, rows) = (i + 1, 0);
        }
    }
    found
}

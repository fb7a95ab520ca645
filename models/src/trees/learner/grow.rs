use std::time::Instant;

use rayon::prelude::*;

use super::bins::FeatureBins;
use super::columns::{ColumnRules, TreeColumns};
use super::exact::ExactRows;
use super::gpu::{self, Found, GpuError, Question};
use super::gradient::{Draw, Gradients, Units};
use super::histogram::{Histogram, Sums};
use super::matrix::BinnedMatrix;
use super::rows::{Done, Order, RowSet, Segments, Side};
use super::scan::Scan;
use super::split::{Limits, Regularisation, Rule, Split};
use super::store::{Added, NodeHistogram, Root, RowStore};
use super::tree::{Grown, GrownNode, Leaf};
use crate::device::Device;
use crate::trees::{GbdtConfig, GrowPolicy};

/// How trees grow: the configuration with features by their place in a row of bins.
pub struct Growth {
    depth_max: usize,
    leaves_max: usize,
    policy: GrowPolicy,
    subsample: f64,
    is_quantised: bool,
    n_gpus: usize,
    penalties: Regularisation,
    columns: ColumnRules,
    monotone: Vec<i8>,
    is_categorical: Vec<bool>,
}

impl Growth {
    /// `place` finds a feature by its name; constraints on features that are not there are left out.
    pub fn new(config: &GbdtConfig, matrix: &BinnedMatrix, feature: &dyn Fn(&str) -> Option<usize>) -> Self {
        let slots = &matrix.layout.slots;
        let place = |name: &String| {
            let feature = feature(name)?;
            slots.iter().position(|slot| slot.feature == feature)
        };
        let mut monotone = vec![0; slots.len()];
        for (name, direction) in &config.monotone_constraints {
            place(name).into_iter().for_each(|place| monotone[place] = *direction);
        }
        let group = |names: &Vec<String>| names.iter().filter_map(place).collect();
        let unlimited = |n: usize| if n == 0 { usize::MAX } else { n };
        let categorical =
            |feature: usize| matches!(matrix.features[feature], FeatureBins::Categorical { .. });
        Self {
            depth_max: unlimited(config.max_depth),
            leaves_max: unlimited(config.max_leaves),
            policy: config.grow_policy,
            subsample: config.subsample,
            is_quantised: config.use_quantized_grad,
            n_gpus: config.n_gpus,
            penalties: Regularisation {
                lambda: config.reg_lambda,
                alpha: config.reg_alpha,
                gamma: config.gamma,
                min_child_weight: config.min_child_weight,
                max_delta_step: config.max_delta_step,
                cat_smooth: config.cat_smooth,
                cat_l2: config.cat_l2,
                max_cat_to_onehot: config.max_cat_to_onehot,
                max_cat_threshold: config.max_cat_threshold,
            },
            columns: ColumnRules {
                by_tree: config.colsample_bytree,
                by_level: config.colsample_bylevel,
                by_node: config.colsample_bynode,
                interactions: config.interaction_constraints.iter().map(group).collect(),
            },
            monotone,
            is_categorical: slots.iter().map(|slot| categorical(slot.feature)).collect(),
        }
    }

    /// Devices that share the rows.
    pub(super) fn n_gpus(&self) -> usize {
        self.n_gpus
    }

    /// Most nodes of a tree that wait for their split.
    pub(super) fn n_open_max(&self) -> u64 {
        let by_depth = 1_u64.checked_shl(self.depth_max.min(64) as u32).unwrap_or(u64::MAX);
        by_depth.min(self.leaves_max as u64)
    }

    /// Whether gains are those of L2 alone.
    pub(super) fn is_plain(&self) -> bool {
        self.penalties.alpha == 0.0 && self.penalties.max_delta_step == 0.0
    }

    /// Whether the feature at a place is cut between bins, in any direction.
    pub(super) fn is_cut(&self, place: usize) -> bool {
        !self.is_categorical[place] && self.monotone[place] == 0
    }
}

/// Grows trees on the rows of a matrix, one after the other.
pub struct TreeLearner<'a> {
    matrix: &'a BinnedMatrix,
    growth: &'a Growth,
    rows: Box<dyn RowStore>,
    /// Of the last tree.
    draw: Draw,
}

/// Why a tree cannot be grown.
#[derive(Debug, thiserror::Error)]
pub enum GrowError {
    /// A gradient or hessian is not finite.
    #[error("the loss has a gradient that is not finite")]
    NotFinite,
    /// The device failed.
    #[error(transparent)]
    Device(#[from] GpuError),
}

/// A node that may still be split.
struct Open {
    node: usize,
    depth: usize,
    segments: Segments,
    histogram: Option<NodeHistogram>,
    limits: Limits,
    /// Places that its ancestors split by.
    path: Vec<usize>,
    split: Option<Split>,
}

impl<'a> TreeLearner<'a> {
    /// A learner with all rows of a matrix, at most 4,294,967,295, on a device.
    ///
    /// # Errors
    /// The device is no longer there, or too small for the matrix.
    pub fn new(matrix: &'a BinnedMatrix, growth: &'a Growth, device: Device) -> Result<Self, GpuError> {
        let rows: Box<dyn RowStore> = if !growth.is_quantised {
            Box::new(ExactRows::new(matrix.n_rows()))
        } else if let Some(rows) = gpu::open(matrix, growth, device)? {
            rows
        } else {
            Box::new(RowSet::new(matrix.n_rows()))
        };
        Ok(Self::with(matrix, growth, rows))
    }

    pub(super) fn with(matrix: &'a BinnedMatrix, growth: &'a Growth, rows: Box<dyn RowStore>) -> Self {
        Self { matrix, growth, rows, draw: Draw { seed: 0, subsample: 1.0 } }
    }

    /// Grows a tree that takes as much of the loss away as it can. The same gradients and seed give the same
    /// tree on any device.
    pub fn grow(&mut self, loss: &dyn Gradients, seed: u64) -> Result<Grown, GrowError> {
        let units = self.start(loss, seed)?;
        let columns = TreeColumns::new(&self.growth.columns, self.matrix.layout.slots.len(), seed);
        let Self { matrix, growth, rows, .. } = self;
        let grower = Grower { matrix, growth, columns, units, row_hessian: 0.0, grown: Grown::new(units) };
        Ok(grower.run(&mut **rows)?)
    }

    fn start(&mut self, loss: &dyn Gradients, seed: u64) -> Result<Units, GrowError> {
        self.draw = Draw { seed, subsample: self.growth.subsample };
        self.rows.start(self.draw, loss)?.ok_or(GrowError::NotFinite)
    }

    /// Seconds that the histogram of all rows takes, for benchmarks.
    pub fn histogram_seconds(&mut self, loss: &dyn Gradients) -> Result<f64, GrowError> {
        self.start(loss, 0)?;
        let started = Instant::now();
        let root = self.rows.root(self.matrix)?;
        let seconds = started.elapsed().as_secs_f64();
        self.rows.recycle(root.histogram);
        Ok(seconds)
    }

    /// Numbers of the rows that a leaf of the last tree was made of, in no particular order.
    pub fn rows_of(&self, leaf: &Leaf) -> Result<Vec<u32>, GpuError> {
        let mut rows = self.rows.rows_of(leaf)?;
        rows.retain(|row| self.draw.takes(*row));
        Ok(rows)
    }

    /// Adds to each row's number the value of the leaf it ended in; `values` is by node. Where a device follows the scores
    /// by itself ([`Gradients::rows`]), only every `step`-th number is kept up to date here.
    pub fn add_values(
        &mut self,
        grown: &Grown,
        values: &[f32],
        to: &mut [f32],
        step: usize,
    ) -> Result<(), GpuError> {
        let (draw, matrix) = (self.draw, self.matrix);
        match self.rows.add_values(&grown.leaves, values, to)? {
            Added::OnDevice => grown.add_values_where(matrix, values, to, |row| row % step == 0),
            Added::Here if self.rows.holds_all() => {}
            Added::Here => grown.add_values_where(matrix, values, to, |row| !draw.takes(row as u32)),
        }
        Ok(())
    }
}

struct Grower<'a> {
    matrix: &'a BinnedMatrix,
    growth: &'a Growth,
    columns: TreeColumns<'a>,
    units: Units,
    /// Mean hessian of a row.
    row_hessian: f64,
    grown: Grown,
}

impl Grower<'_> {
    fn run(mut self, rows: &mut dyn RowStore) -> Result<Grown, GpuError> {
        let Root { segments, total, histogram } = rows.root(self.matrix)?;
        // By the share of rows that takes part, not by their number: stores keep those left out in other places.
        let n_rows = self.matrix.n_rows() as f64 * self.growth.subsample;
        self.row_hessian = total.hessian as f64 * self.units.hessian / n_rows;
        self.push(total, 0.0, Limits::NONE);
        let histogram = Some(histogram);
        let root = Open {
            node: 0,
            depth: 0,
            segments,
            histogram,
            limits: Limits::NONE,
            path: Vec::new(),
            split: None,
        };
        let mut open = vec![root];
        self.find_splits(rows, &mut open)?;
        let mut n_leaves = 1;
        loop {
            let chosen = self.choose(rows, &mut open, n_leaves);
            if chosen.is_empty() {
                break;
            }
            n_leaves += chosen.len();
            let mut children = self.expand(rows, chosen, n_leaves)?;
            self.find_splits(rows, &mut children)?;
            open.extend(children);
        }
        Ok(self.grown)
    }

    fn push(&mut self, total: Sums, l2: f64, limits: Limits) {
        let value = self.growth.penalties.value(self.units, total, l2, limits);
        self.grown.nodes.push(GrownNode { split: None, left: 0, value, total });
    }

    /// Takes out the nodes that are split next. Those that cannot be split become leaves.
    fn choose(&mut self, rows: &dyn RowStore, open: &mut Vec<Open>, n_leaves: usize) -> Vec<Open> {
        let (mut chosen, finished): (Vec<Open>, Vec<Open>) =
            std::mem::take(open).into_iter().partition(|node| node.split.is_some());
        let gain = |node: &Open| node.split.as_ref().map_or(0.0, |split| split.gain);
        chosen.sort_by(|a, b| gain(b).total_cmp(&gain(a)).then(a.node.cmp(&b.node)));
        let room = self.growth.leaves_max - n_leaves;
        let rest = chosen.split_off(chosen.len().min(match self.growth.policy {
            GrowPolicy::Depthwise => room,
            GrowPolicy::Lossguide => room.min(1),
        }));
        finished.into_iter().for_each(|node| self.close(rows, node));
        if chosen.is_empty() {
            rest.into_iter().for_each(|node| self.close(rows, node));
        } else {
            *open = rest;
        }
        chosen
    }

    fn close(&mut self, rows: &dyn RowStore, node: Open) {
        node.histogram.into_iter().for_each(|histogram| rows.recycle(histogram));
        self.grown.leaves.push(Leaf { node: node.node, segments: node.segments, parity: node.depth % 2 });
    }

    fn expand(
        &mut self,
        rows: &mut dyn RowStore,
        chosen: Vec<Open>,
        n_leaves: usize,
    ) -> Result<Vec<Open>, GpuError> {
        let is_full = n_leaves >= self.growth.leaves_max;
        let mut parents = Vec::with_capacity(chosen.len());
        let mut orders = Vec::with_capacity(chosen.len());
        for mut open in chosen {
            let Some(split) = open.split.take() else { continue };
            let segments = std::mem::take(&mut open.segments);
            let lighter = if split.left.hessian <= split.right.hessian { Side::Left } else { Side::Right };
            let is_last = is_full || open.depth + 1 >= self.growth.depth_max;
            orders.push(Order {
                segments,
                parity: open.depth % 2,
                place: split.place,
                goes_left: goes_left(&split.rule, self.matrix.layout.slots[split.place].n_bins),
                build: (!is_last).then_some(lighter),
            });
            parents.push((open, split));
        }
        let done = rows.split(self.matrix, &orders)?;
        let mut children = Vec::with_capacity(2 * parents.len());
        for (((open, split), order), done) in parents.into_iter().zip(orders).zip(done) {
            children.extend(self.children(rows, open, split, order.build, done)?);
        }
        Ok(children)
    }

    fn children(
        &mut self,
        rows: &dyn RowStore,
        of: Open,
        split: Split,
        built: Option<Side>,
        done: Done,
    ) -> Result<[Open; 2], GpuError> {
        let left = self.grown.nodes.len();
        let (low, high) = self.limits(&split, of.limits);
        self.push(split.left, split.l2, low);
        self.push(split.right, split.l2, high);
        let (of_left, of_right) = match (of.histogram, done.histogram) {
            (Some(whole), Some(part)) => {
                let rest = rows.subtract(whole, &part)?;
                if built == Some(Side::Left) { (Some(part), Some(rest)) } else { (Some(rest), Some(part)) }
            }
            (whole, _) => {
                whole.into_iter().for_each(|histogram| rows.recycle(histogram));
                (None, None)
            }
        };
        let mut path = of.path;
        if !path.contains(&split.place) {
            path.push(split.place);
        }
        let node = &mut self.grown.nodes[of.node];
        (node.left, node.split) = (left, Some(split));
        let child = |node, segments, histogram, limits, path| Open {
            node,
            depth: of.depth + 1,
            segments,
            histogram,
            limits,
            path,
            split: None,
        };
        Ok([
            child(left, done.left, of_left, low, path.clone()),
            child(left + 1, done.right, of_right, high, path),
        ])
    }

    /// Values below a monotone split stay on their side of the middle.
    fn limits(&self, split: &Split, of: Limits) -> (Limits, Limits) {
        let direction = self.growth.monotone[split.place];
        if direction == 0 {
            return (of, of);
        }
        let value = |sums| self.growth.penalties.value(self.units, sums, split.l2, of);
        let middle = (value(split.left) + value(split.right)) / 2.0;
        let (below, above) = (Limits { high: middle, ..of }, Limits { low: middle, ..of });
        if direction > 0 { (below, above) } else { (above, below) }
    }

    /// Finds the best split of each node that has a histogram.
    fn find_splits(&self, rows: &dyn RowStore, open: &mut [Open]) -> Result<(), GpuError> {
        let allowed = |node: &Open| self.columns.of_node(node.node, node.depth, &node.path);
        let allowed: Vec<Vec<bool>> = open
            .iter()
            .map(|node| if node.histogram.is_some() { allowed(node) } else { Vec::new() })
            .collect();
        let mut splits = self.splits_here(open, &allowed);
        self.splits_there(rows, open, &allowed, &mut splits)?;
        open.iter_mut().zip(splits).for_each(|(open, split)| open.split = split);
        Ok(())
    }

    /// Those of nodes whose histograms are in this machine's memory.
    fn splits_here(&self, open: &[Open], allowed: &[Vec<bool>]) -> Vec<Option<Split>> {
        /// Features of a task.
        const PLACES: usize = 8;
        let n_places = self.matrix.layout.slots.len();
        let histogram = |i: usize| match &open[i].histogram {
            Some(NodeHistogram::Here(histogram)) => Some(histogram),
            _ => None,
        };
        let tasks: Vec<(usize, &Histogram, usize)> = (0..open.len())
            .filter_map(|i| Some((i, histogram(i)?)))
            .flat_map(|(i, histogram)| (0..n_places).step_by(PLACES).map(move |place| (i, histogram, place)))
            .collect();
        let find = |(i, histogram, first): (usize, &Histogram, usize)| {
            let places = (first..(first + PLACES).min(n_places)).filter(|place| allowed[i][*place]);
            let splits = places.map(|place| {
                let slot = self.matrix.layout.slots[place];
                let bins = &histogram.bins[slot.first_bin..slot.first_bin + slot.n_bins];
                self.best_split(&open[i], place, bins)
            });
            (i, splits.fold(None, Split::better))
        };
        let found: Vec<(usize, Option<Split>)> = tasks.into_par_iter().map(find).collect();
        let mut splits = vec![None; open.len()];
        for (i, split) in found {
            splits[i] = Split::better(splits[i].take(), split);
        }
        splits
    }

    /// Those of nodes whose histograms are on a device: it names the cuts that can be the best.
    fn splits_there(
        &self,
        rows: &dyn RowStore,
        open: &[Open],
        allowed: &[Vec<bool>],
        splits: &mut [Option<Split>],
    ) -> Result<(), GpuError> {
        let question = |i: usize| match &open[i].histogram {
            Some(NodeHistogram::There(histogram)) => {
                let total = self.grown.nodes[open[i].node].total;
                Some((i, Question { histogram, total, limits: open[i].limits, allowed: &allowed[i] }))
            }
            _ => None,
        };
        let (asked, questions): (Vec<usize>, Vec<Question<'_>>) =
            (0..open.len()).filter_map(question).unzip();
        let found = rows.search((self.units, &self.growth.penalties), &questions)?;
        for (i, Found { cuts, bins }) in asked.into_iter().zip(found) {
            let of_cuts = cuts
                .chunk_by(|(a, _), (b, _)| a == b)
                .map(|cuts| self.scan(&open[i], cuts[0].0, &[]).among(cuts.iter().map(|(_, cut)| *cut)));
            let of_bins = bins.iter().map(|(place, bins)| self.best_split(&open[i], *place, bins));
            splits[i] = of_cuts.chain(of_bins).fold(None, Split::better);
        }
        Ok(())
    }

    fn best_split(&self, open: &Open, place: usize, bins: &[Sums]) -> Option<Split> {
        let scan = self.scan(open, place, bins);
        if self.growth.is_categorical[place] { scan.codes() } else { scan.numbers() }
    }

    fn scan<'b>(&'b self, open: &Open, place: usize, bins: &'b [Sums]) -> Scan<'b> {
        Scan {
            place,
            bins,
            total: self.grown.nodes[open.node].total,
            units: self.units,
            row_hessian: self.row_hessian,
            limits: open.limits,
            monotone: self.growth.monotone[place],
            penalties: &self.growth.penalties,
        }
    }
}

/// Whether rows of a bin go left, by bin. Bins that a byte can hold all have an entry.
fn goes_left(rule: &Rule, n_bins: usize) -> Vec<bool> {
    let mut left = vec![false; n_bins.max(256)];
    match rule {
        Rule::UpTo { bin, missing_left } => {
            left[..=usize::from(*bin)].fill(true);
            left[0] = *missing_left;
        }
        Rule::Codes(codes) => codes.iter().for_each(|code| left[usize::from(*code)] = true),
    }
    left
}

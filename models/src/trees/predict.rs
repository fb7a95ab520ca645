use std::cell::RefCell;

use cupola_datasets::FeatureBatch;
use rayon::prelude::*;

use super::forest::margin;
use super::{Forest, ForestError, ForestShape, NodeRule};
use crate::mlp::Link;
use crate::predict::{PredictError, Predictor, Scores};

/// A forest on this machine's cores. Exact: scores are the bits of [`Forest::raw`] in any batch.
///
/// Rows go down a tree eight at a time, or one row down eight trees, so that the loads of one overlap those of
/// the others. A leaf leads to itself: every row takes as many steps as the tree is deep, without a branch.
pub struct CpuForest {
    shape: ForestShape,
    link: Link,
    base: Vec<f32>,
    trees: Vec<Tree>,
    nodes: Vec<Packed>,
    /// What each node adds if rows end there.
    values: Vec<f32>,
    words: Vec<u32>,
}

struct Tree {
    first: u32,
    depth: u32,
    has_codes: bool,
}

/// Eight bytes, so that a tree of 64 leaves takes a kilobyte.
#[derive(Clone, Copy)]
struct Packed {
    /// Numbers below it go left. NaN at a leaf: nothing is above it. First word of the set of a category.
    threshold: f32,
    /// Feature, and two flags.
    feature: u16,
    /// Left child, counted from the root.
    left: u16,
}

const MISSING_RIGHT: u16 = 0x8000;
const CODES: u16 = 0x4000;
/// Rows or trees on their way at the same time.
const LANES: usize = 8;
/// Rows that pass all trees together: they stay in the first-level cache.
const BLOCK_ROWS: usize = 64;
/// Steps from which a batch is spread over all cores; below, waking another costs more than it brings.
const PARALLEL_STEPS_MIN: usize = 100_000;

/// Scores from which links are applied on all cores.
const LINK_PARALLEL_MIN: usize = 16_384;

thread_local! {
    /// Rows with their codes as numbers.
    static ROWS: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

impl CpuForest {
    /// Packs a forest.
    ///
    /// # Errors
    /// The forest is damaged, has no feature or more than 16,383, or a tree of more than 65,535 nodes.
    pub fn new(forest: &Forest) -> Result<Self, ForestError> {
        forest.check_packable()?;
        let mut packed = Self {
            shape: forest.shape.clone(),
            link: forest.shape.objective.link(),
            base: forest.base.clone(),
            trees: Vec::with_capacity(forest.n_trees()),
            nodes: Vec::with_capacity(forest.nodes.len()),
            values: forest.nodes.iter().map(|node| node.value).collect(),
            words: forest.words.clone(),
        };
        for tree in 0..forest.n_trees() {
            packed.add(forest, tree);
        }
        Ok(packed)
    }

    fn add(&mut self, forest: &Forest, tree: usize) {
        let root = forest.roots[tree];
        let mut has_codes = false;
        for (i, node) in forest.tree(tree).iter().enumerate() {
            self.nodes.push(match node.rule {
                None => Packed { threshold: f32::NAN, feature: 0, left: i as u16 },
                Some(NodeRule::Below { feature, threshold, missing_left, left }) => {
                    let flag = if missing_left { 0 } else { MISSING_RIGHT };
                    Packed { threshold, feature: feature as u16 | flag, left: (left - root) as u16 }
                }
                Some(NodeRule::In { feature, words, left }) => {
                    has_codes = true;
                    let threshold = f32::from_bits(words);
                    Packed { threshold, feature: feature as u16 | CODES, left: (left - root) as u16 }
                }
            });
        }
        self.trees.push(Tree { first: root, depth: forest.depth(tree), has_codes });
    }

    /// Scores one row, without allocating. `row` holds the numbers, then the codes as numbers.
    pub fn score_row(&self, row: &[f32], out: &mut [f32]) {
        let has_missing = row[..self.shape.n_numeric].iter().any(|x| x.is_nan());
        self.start(row, out);
        self.one_row(row, has_missing, out);
        self.link.apply(out, self.shape.n_outputs);
    }

    /// Raw scores of a batch, row-major `[n_rows, n_outputs]`.
    ///
    /// # Errors
    /// The batch has other features than the forest.
    pub fn raw(&self, batch: &FeatureBatch) -> Result<Vec<f32>, PredictError> {
        self.shape.check_batch(batch)?;
        let n_outputs = self.shape.n_outputs;
        let mut values = vec![0.0; batch.n_rows * n_outputs];
        let score = |(i, out): (usize, &mut [f32])| self.block(batch, i * BLOCK_ROWS, out);
        if batch.n_rows * self.steps_per_row() < PARALLEL_STEPS_MIN {
            values.chunks_mut(BLOCK_ROWS * n_outputs).enumerate().for_each(score);
        } else {
            values.par_chunks_mut(BLOCK_ROWS * n_outputs).enumerate().for_each(score);
        }
        Ok(values)
    }

    /// Scores of raw scores.
    pub(super) fn scores(&self, mut values: Vec<f32>) -> Scores {
        let n_outputs = self.shape.n_outputs;
        let link = |values: &mut [f32]| self.link.apply(values, n_outputs);
        if values.len() < LINK_PARALLEL_MIN {
            link(&mut values);
        } else {
            values.par_chunks_mut(LINK_PARALLEL_MIN / 4 / n_outputs * n_outputs + n_outputs).for_each(link);
        }
        Scores { n_outputs, values }
    }

    fn steps_per_row(&self) -> usize {
        self.trees.iter().map(|tree| tree.depth as usize).sum()
    }

    fn width(&self) -> usize {
        self.shape.n_features()
    }

    /// Base scores and margin of a row.
    fn start(&self, row: &[f32], out: &mut [f32]) {
        let offset = self.shape.base_margin.map_or(0.0, |feature| margin(row[feature]));
        out.iter_mut().zip(&self.base).for_each(|(out, base)| *out = base + offset);
    }

    /// Scores the rows from `first` on, as many as `out` has room for.
    fn block(&self, batch: &FeatureBatch, first: usize, out: &mut [f32]) {
        let n_rows = out.len() / self.shape.n_outputs;
        if batch.n_categorical == 0 {
            return self.rows(&batch.numeric[first * batch.n_numeric..][..n_rows * batch.n_numeric], out);
        }
        ROWS.with_borrow_mut(|rows| {
            rows.clear();
            for row in first..first + n_rows {
                rows.extend_from_slice(&batch.numeric[row * batch.n_numeric..][..batch.n_numeric]);
                let codes = &batch.categorical[row * batch.n_categorical..][..batch.n_categorical];
                rows.extend(codes.iter().map(|code| *code as f32));
            }
            self.rows(rows, out);
        });
    }

    fn rows(&self, rows: &[f32], out: &mut [f32]) {
        let (width, n_outputs) = (self.width(), self.shape.n_outputs);
        let n_rows = out.len() / n_outputs;
        let has_missing = rows.iter().any(|x| x.is_nan());
        for (row, out) in rows.chunks_exact(width).zip(out.chunks_exact_mut(n_outputs)) {
            self.start(row, out);
        }
        let whole = n_rows / LANES * LANES;
        let (many, few) = out.split_at_mut(whole * n_outputs);
        if whole > 0 {
            for (t, tree) in self.trees.iter().enumerate() {
                let output = t % n_outputs;
                for (rows, out) in
                    rows.chunks_exact(LANES * width).zip(many.chunks_exact_mut(LANES * n_outputs))
                {
                    let leaves =
                        self.walk([tree; LANES], std::array::from_fn(|i| i * width), rows, has_missing);
                    for (i, leaf) in leaves.into_iter().enumerate() {
                        out[i * n_outputs + output] += self.values[leaf];
                    }
                }
            }
        }
        let rest = rows[whole * width..].chunks_exact(width);
        for (row, out) in rest.zip(few.chunks_exact_mut(n_outputs)) {
            self.one_row(row, has_missing, out);
        }
    }

    fn one_row(&self, row: &[f32], has_missing: bool, out: &mut [f32]) {
        let n_outputs = self.shape.n_outputs;
        let (groups, rest) = self.trees.as_chunks::<LANES>();
        let mut output = 0;
        let mut add = |leaf: usize| {
            out[output] += self.values[leaf];
            output = if output + 1 == n_outputs { 0 } else { output + 1 };
        };
        for group in groups {
            self.walk(group.each_ref(), [0; LANES], row, has_missing).into_iter().for_each(&mut add);
        }
        for tree in rest {
            self.walk([tree], [0], row, has_missing).into_iter().for_each(&mut add);
        }
    }

    /// The leaves that lanes end in: lane `i` goes down `trees[i]` with the row that starts at `rows[i]`.
    #[inline(always)]
    fn walk<const N: usize>(
        &self,
        trees: [&Tree; N],
        rows: [usize; N],
        values: &[f32],
        missing: bool,
    ) -> [usize; N] {
        let depth = trees.iter().map(|tree| tree.depth).max().unwrap_or(0);
        let first = trees.map(|tree| tree.first as usize);
        if trees.iter().any(|tree| tree.has_codes) {
            return self.descend::<N, true, true>(first, depth, rows, values);
        }
        if missing {
            self.descend::<N, true, false>(first, depth, rows, values)
        } else {
            self.descend::<N, false, false>(first, depth, rows, values)
        }
    }

    #[inline(always)]
    fn descend<const N: usize, const MISSING: bool, const IN_SETS: bool>(
        &self,
        first: [usize; N],
        depth: u32,
        rows: [usize; N],
        values: &[f32],
    ) -> [usize; N] {
        let mut at = [0_usize; N];
        for _ in 0..depth {
            for i in 0..N {
                // SAFETY: `new` checked that children are nodes of the same tree and features are within a row,
                // and callers give rows of `width` numbers.
                let (node, value) = unsafe {
                    let node = *self.nodes.get_unchecked(first[i] + at[i]);
                    let feature = usize::from(node.feature & (CODES - 1));
                    debug_assert!(rows[i] + feature < values.len());
                    (node, *values.get_unchecked(rows[i] + feature))
                };
                let mut right = value >= node.threshold;
                if MISSING {
                    right |= value.is_nan() && node.feature & MISSING_RIGHT != 0;
                }
                if IN_SETS && node.feature & CODES != 0 {
                    let code = value as usize;
                    let word = self.words.get(node.threshold.to_bits() as usize + code / 32);
                    right = word.is_none_or(|word| word >> (code % 32) & 1 == 0);
                }
                at[i] = usize::from(node.left) + usize::from(right);
            }
        }
        std::array::from_fn(|i| first[i] + at[i])
    }
}

impl Predictor for CpuForest {
    fn predict(&self, batch: &FeatureBatch) -> Result<Scores, PredictError> {
        Ok(self.scores(self.raw(batch)?))
    }
}

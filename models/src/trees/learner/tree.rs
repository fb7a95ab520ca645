use rayon::prelude::*;

use super::bins::FeatureBins;
use super::gradient::Units;
use super::histogram::Sums;
use super::matrix::BinnedMatrix;
use super::rows::Segments;
use super::split::{Rule, Split};
use crate::trees::{Forest, Node, NodeRule};

/// A grown tree, in bins.
#[derive(Clone, Debug)]
pub struct Grown {
    pub(super) nodes: Vec<GrownNode>,
    /// Its leaves with their rows.
    pub leaves: Vec<Leaf>,
    units: Units,
}

#[derive(Clone, Debug)]
pub(super) struct GrownNode {
    pub split: Option<Split>,
    /// Left child; the right one follows it.
    pub left: usize,
    pub value: f64,
    pub total: Sums,
}

/// A leaf and where its rows are.
#[derive(Clone, Debug)]
pub struct Leaf {
    /// Its node.
    pub node: usize,
    pub(super) segments: Segments,
    pub(super) parity: usize,
}

/// Rows of a task.
const BLOCK_ROWS: usize = 4_096;

impl Grown {
    pub(super) fn new(units: Units) -> Self {
        Self { nodes: Vec::new(), leaves: Vec::new(), units }
    }

    /// Best value of each node by its gradients.
    pub fn values(&self) -> Vec<f64> {
        self.nodes.iter().map(|node| node.value).collect()
    }

    /// Whether it is a single leaf.
    pub fn is_stump(&self) -> bool {
        self.nodes.len() == 1
    }

    /// Adds to each number the value of the leaf that the row of other rows' bins ends in; `values` is by node.
    /// The matrix has the same features and bins.
    pub fn add_values(&self, matrix: &BinnedMatrix, values: &[f32], to: &mut [f32]) {
        self.add_values_where(matrix, values, to, |_| true);
    }

    /// The same for some rows.
    pub(super) fn add_values_where(
        &self,
        matrix: &BinnedMatrix,
        values: &[f32],
        to: &mut [f32],
        is_wanted: impl Fn(usize) -> bool + Sync,
    ) {
        to.par_chunks_mut(BLOCK_ROWS).enumerate().for_each(|(block, to)| {
            for (row, to) in (block * BLOCK_ROWS..).zip(to).filter(|(row, _)| is_wanted(*row)) {
                *to += values[self.leaf(matrix, row)];
            }
        });
    }

    fn leaf(&self, matrix: &BinnedMatrix, row: usize) -> usize {
        let mut at = 0;
        while let Some(split) = &self.nodes[at].split {
            let bin = matrix.bin(row, split.place);
            let goes_left = match &split.rule {
                Rule::UpTo { missing_left, .. } if bin == 0 => *missing_left,
                Rule::UpTo { bin: last, .. } => bin <= *last,
                Rule::Codes(codes) => codes.binary_search(&bin).is_ok(),
            };
            at = self.nodes[at].left + usize::from(!goes_left);
        }
        at
    }

    /// Appends the tree to a forest, with these values by node.
    pub fn append_to(&self, forest: &mut Forest, matrix: &BinnedMatrix, values: &[f32]) {
        let root = forest.nodes.len() as u32;
        forest.roots.push(root);
        for (node, value) in self.nodes.iter().zip(values) {
            let rule = node.split.as_ref().map(|split| {
                let feature = matrix.layout.slots[split.place].feature;
                rule(forest, &matrix.features[feature], feature as u32, &split.rule, root + node.left as u32)
            });
            forest.nodes.push(Node {
                rule,
                value: if rule.is_some() { 0.0 } else { *value },
                gain: node.split.as_ref().map_or(0.0, |split| split.gain as f32),
                cover: (node.total.hessian as f64 * self.units.hessian) as f32,
            });
        }
    }
}

fn rule(forest: &mut Forest, bins: &FeatureBins, feature: u32, rule: &Rule, left: u32) -> NodeRule {
    match (rule, bins) {
        (Rule::Codes(codes), _) => {
            let words = forest.words.len();
            forest.words.resize(words + bins.n_bins().div_ceil(32), 0);
            for code in codes {
                forest.words[words + usize::from(*code) / 32] |= 1 << (code % 32);
            }
            NodeRule::In { feature, words: words as u32, left }
        }
        (Rule::UpTo { bin, missing_left }, FeatureBins::Numeric { cuts }) => {
            // After the last bin there are only missing numbers.
            let threshold = cuts.get(usize::from(*bin) - 1).copied().unwrap_or(f32::INFINITY);
            NodeRule::Below { feature, threshold, missing_left: *missing_left, left }
        }
        (Rule::UpTo { missing_left, .. }, _) => {
            NodeRule::Below { feature, threshold: f32::INFINITY, missing_left: *missing_left, left }
        }
    }
}

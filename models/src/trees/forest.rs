use cupola_datasets::FeatureBatch;
use serde::{Deserialize, Serialize};

use super::Objective;
use crate::predict::PredictError;

/// What a forest reads and writes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForestShape {
    /// Numeric features; NaN is missing.
    pub n_numeric: usize,
    /// Codes of each categorical feature; they are numbered after the numeric ones.
    pub cardinalities: Vec<usize>,
    /// Scores per row. Tree `t` adds to score `t % n_outputs`.
    pub n_outputs: usize,
    /// What was minimised; says what raw scores mean.
    pub objective: Objective,
    /// Numeric feature that is added to the raw scores.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_margin: Option<usize>,
}

impl ForestShape {
    /// Features of both kinds.
    pub fn n_features(&self) -> usize {
        self.n_numeric + self.cardinalities.len()
    }

    /// Whether a batch has the right features, with codes that the forest knows.
    pub fn check_batch(&self, batch: &FeatureBatch) -> Result<(), PredictError> {
        let n_categorical = self.cardinalities.len();
        if batch.n_numeric != self.n_numeric || batch.n_categorical != n_categorical {
            let found = batch.n_numeric + batch.n_categorical;
            return Err(PredictError::Shape { expected: self.n_features(), found });
        }
        if n_categorical == 0 {
            return Ok(());
        }
        for codes in batch.categorical.chunks_exact(n_categorical) {
            for (feature, (&code, &cardinality)) in codes.iter().zip(&self.cardinalities).enumerate() {
                if code as usize >= cardinality {
                    return Err(PredictError::Code { feature, code, cardinality });
                }
            }
        }
        Ok(())
    }
}

/// Trees that add up, over one base score for each output. All nodes stand in one list, each tree's from its
/// root on.
#[derive(Clone, Debug, PartialEq)]
pub struct Forest {
    /// What it reads and writes.
    pub shape: ForestShape,
    /// Raw score of each output before any tree.
    pub base: Vec<f32>,
    /// First node of each tree.
    pub roots: Vec<u32>,
    /// Nodes of all trees.
    pub nodes: Vec<Node>,
    /// Bit sets of codes, 32 to a word.
    pub words: Vec<u32>,
}

/// An inner node or a leaf.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Node {
    /// Where rows go; `None` at a leaf.
    pub rule: Option<NodeRule>,
    /// What a leaf adds to the raw score, learning rate included; 0 at inner nodes.
    pub value: f32,
    /// What its split gained; 0 at leaves.
    pub gain: f32,
    /// Sum of hessians of the training rows that came by.
    pub cover: f32,
}

/// Where a node's rows go. The right child follows the left one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum NodeRule {
    /// Left where the number is below the threshold.
    Below {
        /// Numeric feature.
        feature: u32,
        /// Numbers below it go left.
        threshold: f32,
        /// Whether missing numbers do.
        missing_left: bool,
        /// Left child.
        left: u32,
    },
    /// Left where the code is in the set.
    In {
        /// Feature, counted over both kinds.
        feature: u32,
        /// First word of the set, which has a bit for each code of the feature.
        words: u32,
        /// Left child.
        left: u32,
    },
}

/// Why a forest cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ForestError {
    /// Not a safetensors file, or not a forest's.
    #[error("the trees cannot be read: {reason}; restore the file or train again")]
    Format {
        /// What is wrong with it.
        reason: String,
    },
}

/// Most features of a packed forest.
const FEATURES_MAX: usize = 0x3FFF;

impl Forest {
    /// A forest without trees.
    pub fn new(shape: ForestShape, base: Vec<f32>) -> Self {
        Self { shape, base, roots: Vec::new(), nodes: Vec::new(), words: Vec::new() }
    }

    /// Number of trees.
    pub fn n_trees(&self) -> usize {
        self.roots.len()
    }

    /// Nodes of a tree, from its root on.
    pub fn tree(&self, tree: usize) -> &[Node] {
        let end = self.roots.get(tree + 1).map_or(self.nodes.len(), |next| *next as usize);
        &self.nodes[self.roots[tree] as usize..end]
    }

    /// Steps from a tree's root to its deepest leaf.
    pub(super) fn depth(&self, tree: usize) -> u32 {
        let (root, nodes) = (self.roots[tree], self.tree(tree));
        let mut depth = vec![0; nodes.len()];
        for (at, node) in nodes.iter().enumerate() {
            if let Some(NodeRule::Below { left, .. } | NodeRule::In { left, .. }) = node.rule {
                let (left, below) = ((left - root) as usize, depth[at] + 1);
                depth[left..left + 2].fill(below);
            }
        }
        depth.into_iter().max().unwrap_or(0)
    }

    /// Whether the packed forms, whose nodes have 14 bits for a feature and 16 for a child, can hold it.
    pub(super) fn check_packable(&self) -> Result<(), ForestError> {
        self.check()?;
        let n_features = self.shape.n_features();
        if n_features == 0 || n_features > FEATURES_MAX {
            return Err(ForestError::Format { reason: format!("{n_features} features, not 1 to 16,383") });
        }
        let sizes = (0..self.n_trees()).map(|tree| self.tree(tree).len());
        match sizes.enumerate().find(|(_, n_nodes)| *n_nodes > usize::from(u16::MAX)) {
            Some((tree, n_nodes)) => {
                let reason = format!("tree {tree} has {n_nodes} nodes, more than 65,535");
                Err(ForestError::Format { reason })
            }
            None => Ok(()),
        }
    }

    /// Keeps the first trees.
    pub fn truncate(&mut self, n_trees: usize) {
        if let Some(end) = self.roots.get(n_trees) {
            self.nodes.truncate(*end as usize);
            self.roots.truncate(n_trees);
            let in_use = self.nodes.iter().filter_map(|node| self.words_end(node)).max();
            self.words.truncate(in_use.unwrap_or(0));
        }
    }

    /// End of the words of a node's set.
    fn words_end(&self, node: &Node) -> Option<usize> {
        match node.rule {
            Some(NodeRule::In { feature, words, .. }) => {
                let code = self.shape.cardinalities[feature as usize - self.shape.n_numeric];
                Some(words as usize + code.div_ceil(32))
            }
            _ => None,
        }
    }

    /// Adds a tree's leaf value to every output of a row, one after the other. The plain form that the fast
    /// ones are tested against. `numeric` may hold NaN.
    pub fn raw(&self, numeric: &[f32], codes: &[u32]) -> Vec<f32> {
        let offset = self.shape.base_margin.map_or(0.0, |feature| margin(numeric[feature]));
        let mut raw: Vec<f32> = self.base.iter().map(|base| base + offset).collect();
        for tree in 0..self.n_trees() {
            raw[tree % self.shape.n_outputs] += self.leaf(tree, numeric, codes).value;
        }
        raw
    }

    /// The leaf of a tree that a row ends in.
    pub fn leaf(&self, tree: usize, numeric: &[f32], codes: &[u32]) -> &Node {
        let mut node = &self.nodes[self.roots[tree] as usize];
        while let Some(rule) = node.rule {
            let (left, goes_left) = match rule {
                NodeRule::Below { feature, threshold, missing_left, left } => {
                    let number = numeric[feature as usize];
                    (left, if number.is_nan() { missing_left } else { number < threshold })
                }
                NodeRule::In { feature, words, left } => {
                    let code = codes[feature as usize - self.shape.n_numeric];
                    (left, self.words[words as usize + code as usize / 32] >> (code % 32) & 1 == 1)
                }
            };
            node = &self.nodes[left as usize + usize::from(!goes_left)];
        }
        node
    }

    /// Checks everything that reading a forest relies on.
    pub fn check(&self) -> Result<(), ForestError> {
        let fail = |reason: String| Err(ForestError::Format { reason });
        let shape = &self.shape;
        if self.base.len() != shape.n_outputs || shape.n_outputs == 0 {
            return fail(format!("{} base scores for {} outputs", self.base.len(), shape.n_outputs));
        }
        if shape.base_margin.is_some_and(|feature| feature >= shape.n_numeric) {
            return fail("the base margin is no numeric feature".into());
        }
        if !self.base.iter().all(|base| base.is_finite()) {
            return fail("a base score is not finite".into());
        }
        let ends = self.roots.iter().skip(1).copied().chain([self.nodes.len() as u32]);
        let mut expected = 0;
        for (tree, (first, end)) in self.roots.iter().copied().zip(ends).enumerate() {
            if first != expected || end <= first || end as usize > self.nodes.len() {
                return fail(format!("tree {tree} has nodes from {first} to {end}"));
            }
            for at in first..end {
                self.check_node(at, end).or_else(|reason| fail(format!("node {at}: {reason}")))?;
            }
            expected = end;
        }
        if expected as usize != self.nodes.len() {
            fail("some nodes belong to no tree".into())
        } else {
            Ok(())
        }
    }

    fn check_node(&self, at: u32, end: u32) -> Result<(), String> {
        let node = &self.nodes[at as usize];
        if !node.value.is_finite() {
            return Err("its value is not finite".into());
        }
        let (feature, left) = match node.rule {
            None => return Ok(()),
            Some(NodeRule::Below { feature, threshold, left, .. }) => {
                if feature as usize >= self.shape.n_numeric || threshold.is_nan() {
                    return Err(format!("it compares feature {feature} with {threshold}"));
                }
                (feature, left)
            }
            Some(NodeRule::In { feature, left, .. }) => (feature, left),
        };
        let is_categorical = (self.shape.n_numeric..self.shape.n_features()).contains(&(feature as usize));
        if matches!(node.rule, Some(NodeRule::In { .. }))
            && !(is_categorical && self.words_end(node).is_some_and(|end| end <= self.words.len()))
        {
            return Err(format!("it reads codes of feature {feature} beyond those there are"));
        }
        // Children after their parent: following them always ends.
        if left <= at || left + 1 >= end {
            Err(format!("its children are {left} and {}", left + 1))
        } else {
            Ok(())
        }
    }
}

/// The offset that a feature stands for; a missing one is none.
pub(super) fn margin(number: f32) -> f32 {
    if number.is_nan() { 0.0 } else { number }
}

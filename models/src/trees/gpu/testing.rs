//! Random forests, and rows for them.

#![allow(clippy::unwrap_used)]

use cupola_datasets::FeatureBatch;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::super::{Forest, ForestShape, Node, NodeRule, Objective};

/// What a random forest is like.
pub(super) struct Form {
    pub seed: u64,
    pub n_numeric: usize,
    pub cardinalities: Vec<usize>,
    pub n_outputs: usize,
    pub n_trees: usize,
    /// Steps to the deepest leaf; the first tree has as many.
    pub depth_max: u32,
    /// Whether one child of each node is a leaf.
    pub is_lopsided: bool,
    pub margin: Option<usize>,
}

impl Form {
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            n_numeric: 4,
            cardinalities: vec![70, 2],
            n_outputs: 1,
            n_trees: 15,
            depth_max: 6,
            is_lopsided: false,
            margin: None,
        }
    }
}

pub(super) fn random_forest(form: &Form) -> Forest {
    let mut random = StdRng::seed_from_u64(form.seed);
    let mut shape = shape(form.n_numeric, &form.cardinalities, form.n_outputs);
    shape.base_margin = form.margin;
    let base = (0..form.n_outputs).map(|_| random.random_range(-2.0..2.0)).collect();
    let mut forest = Forest::new(shape, base);
    for tree in 0..form.n_trees {
        let depth_max = if tree == 0 { form.depth_max } else { random.random_range(0..=form.depth_max) };
        grow(&mut forest, &mut random, depth_max, form.is_lopsided);
    }
    forest.check().unwrap();
    forest
}

/// Adds a tree that is deepest at one leaf at least.
fn grow(forest: &mut Forest, random: &mut StdRng, depth_max: u32, is_lopsided: bool) {
    let root = forest.nodes.len();
    forest.roots.push(root as u32);
    forest.nodes.push(leaf(random.random_range(-1.0..1.0)));
    let mut open = vec![(root, 0, true)];
    while let Some((at, depth, is_spine)) = open.pop() {
        if depth == depth_max || !is_spine && (is_lopsided || random.random_range(0..3) == 0) {
            continue;
        }
        let left = forest.nodes.len();
        let rule = random_rule(forest, random, left as u32);
        forest.nodes[at] = Node { rule: Some(rule), ..leaf(0.0) };
        let spine: bool = random.random();
        for (child, is_left) in [(left, true), (left + 1, false)] {
            forest.nodes.push(leaf(random.random_range(-1.0..1.0)));
            open.push((child, depth + 1, is_spine && is_left == spine));
        }
    }
}

fn random_rule(forest: &mut Forest, random: &mut StdRng, left: u32) -> NodeRule {
    let feature = random.random_range(0..forest.shape.n_features());
    if let Some(place) = feature.checked_sub(forest.shape.n_numeric) {
        let words = forest.words.len() as u32;
        let n_words = forest.shape.cardinalities[place].div_ceil(32);
        forest.words.extend((0..n_words).map(|_| random.random::<u32>()));
        return NodeRule::In { feature: feature as u32, words, left };
    }
    let threshold = random_number(random);
    NodeRule::Below { feature: feature as u32, threshold, missing_left: random.random(), left }
}

/// Half of all numbers are on a coarse grid: many are at a threshold.
fn random_number(random: &mut StdRng) -> f32 {
    if random.random() { random.random_range(-8_i8..=8).into() } else { random.random_range(-8.0..8.0) }
}

/// A fifth of the numbers are missing.
pub(super) fn random_rows(forest: &Forest, n_rows: usize, seed: u64) -> FeatureBatch {
    let mut random = StdRng::seed_from_u64(seed);
    let ForestShape { n_numeric, cardinalities, .. } = &forest.shape;
    let mut number = || if random.random_range(0..5) == 0 { f32::NAN } else { random_number(&mut random) };
    let numeric = (0..n_rows * n_numeric).map(|_| number()).collect();
    let codes = (0..n_rows).flat_map(|_| cardinalities).map(|&n| random.random_range(0..n as u32)).collect();
    FeatureBatch {
        n_rows,
        n_numeric: *n_numeric,
        n_categorical: cardinalities.len(),
        numeric,
        categorical: codes,
    }
}

pub(super) fn shape(n_numeric: usize, cardinalities: &[usize], n_outputs: usize) -> ForestShape {
    let cardinalities = cardinalities.to_vec();
    ForestShape { n_numeric, cardinalities, n_outputs, objective: Objective::SquaredError, base_margin: None }
}

pub(super) fn leaf(value: f32) -> Node {
    Node { rule: None, value, gain: 0.0, cover: 0.0 }
}

use super::super::{Forest, ForestError, Node, NodeRule};
use super::columns::threshold_key;

/// A forest as the kernel reads it.
///
/// A node is two words. The first is the threshold's key, the first word of the set of codes, or the bits of a
/// leaf's value. The second holds the feature in bits 0 to 13, [`CODES`], [`MISSING_RIGHT`], and the left child,
/// counted from the root, in the upper half. A leaf is its own left child, so that every row can take as many
/// steps as the tree is deep.
pub(super) struct Packed {
    pub nodes: Vec<u32>,
    /// First node and depth of each tree.
    pub trees: Vec<u32>,
    /// Bit sets of codes.
    pub sets: Vec<u32>,
    /// Bits of the base scores.
    pub base: Vec<u32>,
    /// Feature that is added to the base scores.
    pub margin: Option<u32>,
}

/// Bits of the second word that are the feature.
pub(super) const FEATURE: u32 = 0x3FFF;
/// Set where the rule has a set of codes.
pub(super) const CODES: u32 = 1 << 14;
/// Set where missing numbers go right.
pub(super) const MISSING_RIGHT: u32 = 1 << 15;

impl Packed {
    /// Packs the forests that [`CpuForest`](super::super::CpuForest) packs.
    ///
    /// # Errors
    /// The forest is damaged, has no feature or more than 16,383, or a tree of more than 65,535 nodes.
    pub fn new(forest: &Forest) -> Result<Self, ForestError> {
        forest.check_packable()?;
        let margin = forest.shape.base_margin.map(|feature| feature as u32);
        // The CPU adds 0 where there is no margin, which makes a base score of -0 one of 0.
        let base = forest.base.iter().map(|base| if margin.is_none() { base + 0.0 } else { *base });
        let mut packed = Self {
            nodes: Vec::with_capacity(2 * forest.nodes.len()),
            trees: Vec::with_capacity(2 * forest.n_trees()),
            sets: forest.words.clone(),
            base: base.map(f32::to_bits).collect(),
            margin,
        };
        for tree in 0..forest.n_trees() {
            let root = forest.roots[tree];
            packed.trees.extend([root, forest.depth(tree)]);
            packed.nodes.extend((0..).zip(forest.tree(tree)).flat_map(|(at, node)| words(root, at, node)));
        }
        Ok(packed)
    }
}

/// Words of the node at place `at` of its tree.
fn words(root: u32, at: u32, node: &Node) -> [u32; 2] {
    match node.rule {
        None => [node.value.to_bits(), at << 16],
        Some(NodeRule::Below { feature, threshold, missing_left, left }) => {
            let flag = if missing_left { 0 } else { MISSING_RIGHT };
            [threshold_key(threshold), (left - root) << 16 | flag | feature]
        }
        Some(NodeRule::In { feature, words, left }) => [words, (left - root) << 16 | CODES | feature],
    }
}

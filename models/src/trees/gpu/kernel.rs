//! A thread takes one row down the trees of one output, and adds in the order of the CPU. All threads of a
//! workgroup take the same number of steps, as lavapipe of Mesa 22.3 needs: those that are in a leaf stay there.

use cubecl::prelude::*;

use super::columns::{MISSING, SIGN};
use super::packed::{CODES, FEATURE, MISSING_RIGHT};

/// Units of a workgroup. Few: a small batch is on many cores.
pub(super) const UNITS: u32 = 64;

/// A packed forest on the device.
#[derive(CubeType, CubeLaunch)]
pub(super) struct ForestArrays {
    /// Two words a node, in one load.
    pub nodes: Array<Vector<u32, Const<2>>>,
    /// First node and depth of each tree.
    pub trees: Array<u32>,
    pub sets: Array<u32>,
    pub base: Array<f32>,
    pub n_trees: u32,
    pub n_outputs: u32,
    /// Feature that is added to the base scores.
    #[cube(comptime)]
    pub margin: Option<u32>,
    /// Whether any rule has a set of codes.
    #[cube(comptime)]
    pub has_codes: bool,
}

/// Rows along the first axis, outputs along the second. `columns` is `[n_features, n_rows]`, `scores`
/// `[n_rows, n_outputs]`; there is at least one row.
#[cube(launch_unchecked)]
pub(super) fn scores(forest: &ForestArrays, columns: &Array<u32>, n_rows: u32, scores: &mut Array<f32>) {
    let own = CUBE_POS_X * UNITS + UNIT_POS;
    // Units beyond the last row go with it, and write nothing.
    let row = select(own < n_rows, own, n_rows - 1);
    let output = CUBE_POS_Y;
    let mut sum = forest.base[output as usize];
    if comptime!(forest.margin.is_some()) {
        let feature = comptime!(forest.margin.unwrap_or(0));
        sum += offset(columns[(feature * n_rows + row) as usize]);
    }
    for tree in range_stepped(output, forest.n_trees, forest.n_outputs) {
        sum += leaf(forest, tree, columns, n_rows, row);
    }
    if own < n_rows {
        scores[(row * forest.n_outputs + output) as usize] = sum;
    }
}

/// Value of the leaf that a row ends in.
#[cube]
fn leaf(forest: &ForestArrays, tree: u32, columns: &Array<u32>, n_rows: u32, row: u32) -> f32 {
    let first = forest.trees[2 * tree as usize];
    let depth = forest.trees[2 * tree as usize + 1];
    let mut at = 0u32;
    for _ in 0..depth {
        let node = forest.nodes[(first + at) as usize];
        let word = node[0];
        let rule = node[1];
        let key = columns[((rule & FEATURE) * n_rows + row) as usize];
        let mut is_right = select(key == MISSING, rule & MISSING_RIGHT != 0, key >= word);
        if comptime!(forest.has_codes) {
            let has_set = rule & CODES != 0;
            if has_set {
                let bits = forest.sets[(word + key / 32) as usize];
                is_right = (bits >> (key % 32)) & 1 == 0;
            }
        }
        let left = rule >> 16;
        at = select(left == at, at, left + u32::cast_from(is_right));
    }
    f32::reinterpret(forest.nodes[(first + at) as usize][0])
}

/// The number of a key; 0 if it is missing.
#[cube]
fn offset(key: u32) -> f32 {
    let bits = select(key >= SIGN, key ^ SIGN, !key);
    f32::reinterpret(select(key == MISSING, 0u32, bits))
}

use super::columns::{MISSING, SIGN};
use super::packed::{CODES, FEATURE, MISSING_RIGHT, Packed};

/// What the kernel must return for `columns`, `[n_features, n_rows]`.
pub(super) fn scores(forest: &Packed, columns: &[u32], n_rows: usize) -> Vec<f32> {
    let n_outputs = forest.base.len();
    let mut scores = Vec::with_capacity(n_rows * n_outputs);
    for row in 0..n_rows {
        let value = |feature: u32| columns[feature as usize * n_rows + row];
        for (output, base) in forest.base.iter().enumerate() {
            let base = f32::from_bits(*base);
            let start = forest.margin.map_or(base, |feature| base + offset(value(feature)));
            let trees = forest.trees.as_chunks().0.iter().skip(output).step_by(n_outputs);
            scores.push(trees.fold(start, |sum, tree| sum + leaf(forest, tree, value)));
        }
    }
    scores
}

fn leaf(forest: &Packed, &[first, depth]: &[u32; 2], value: impl Fn(u32) -> u32) -> f32 {
    let nodes = &forest.nodes.as_chunks().0[first as usize..];
    let mut at = 0;
    for _ in 0..depth {
        let [word, rule] = nodes[at as usize];
        let left = rule >> 16;
        if left == at {
            break;
        }
        let key = value(rule & FEATURE);
        let is_right = if rule & CODES != 0 {
            forest.sets[(word + key / 32) as usize] >> (key % 32) & 1 == 0
        } else if key == MISSING {
            rule & MISSING_RIGHT != 0
        } else {
            key >= word
        };
        at = left + u32::from(is_right);
    }
    let [value, _] = nodes[at as usize];
    f32::from_bits(value)
}

fn offset(key: u32) -> f32 {
    if key == MISSING { 0.0 } else { f32::from_bits(if key >= SIGN { key ^ SIGN } else { !key }) }
}

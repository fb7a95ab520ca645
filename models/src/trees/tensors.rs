//! A forest as a safetensors file.
//!
//! | tensor | type, shape | for |
//! |---|---|---|
//! | `base` | f32 `[n_outputs]` | raw score before any tree |
//! | `trees.root` | u32 `[n_trees]` | first node of each tree |
//! | `nodes.feature` | i32 `[n_nodes]` | feature that is asked; -1 at a leaf |
//! | `nodes.left` | u32 `[n_nodes]` | left child, the right one follows it; 0 at a leaf |
//! | `nodes.threshold` | f32 `[n_nodes]` | numbers below it go left |
//! | `nodes.missing_left` | u8 `[n_nodes]` | 1 where missing numbers go left |
//! | `nodes.codes` | i32 `[n_nodes]` | first word of the codes that go left; -1 for numbers |
//! | `nodes.value`, `nodes.gain`, `nodes.cover` | f32 `[n_nodes]` | leaf value; gain and sum of hessians |
//! | `codes` | u32 `[n_words]` | bit sets of codes, 32 to a word |

use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use super::{Forest, ForestError, ForestShape, Node, NodeRule};

impl Forest {
    /// The trees as a safetensors file. The same trees give the same bytes.
    pub fn to_safetensors(&self) -> Result<Vec<u8>, ForestError> {
        let nodes = &self.nodes;
        let feature = nodes.iter().map(|node| match node.rule {
            None => -1,
            Some(NodeRule::Below { feature, .. } | NodeRule::In { feature, .. }) => feature as i32,
        });
        let left = nodes.iter().map(|node| match node.rule {
            None => 0,
            Some(NodeRule::Below { left, .. } | NodeRule::In { left, .. }) => left,
        });
        let threshold = nodes.iter().map(|node| match node.rule {
            Some(NodeRule::Below { threshold, .. }) => threshold,
            _ => 0.0,
        });
        let missing = nodes
            .iter()
            .map(|node| u8::from(matches!(node.rule, Some(NodeRule::Below { missing_left: true, .. }))));
        let codes = nodes.iter().map(|node| match node.rule {
            Some(NodeRule::In { words, .. }) => words as i32,
            _ => -1,
        });
        let n = nodes.len();
        let tensors: Vec<(&str, Dtype, usize, Vec<u8>)> = vec![
            ("base", Dtype::F32, self.base.len(), bytes(self.base.iter().map(|x| x.to_le_bytes()))),
            ("trees.root", Dtype::U32, self.roots.len(), bytes(self.roots.iter().map(|x| x.to_le_bytes()))),
            ("nodes.feature", Dtype::I32, n, bytes(feature.map(i32::to_le_bytes))),
            ("nodes.left", Dtype::U32, n, bytes(left.map(u32::to_le_bytes))),
            ("nodes.threshold", Dtype::F32, n, bytes(threshold.map(f32::to_le_bytes))),
            ("nodes.missing_left", Dtype::U8, n, missing.collect()),
            ("nodes.codes", Dtype::I32, n, bytes(codes.map(i32::to_le_bytes))),
            ("nodes.value", Dtype::F32, n, bytes(nodes.iter().map(|node| node.value.to_le_bytes()))),
            ("nodes.gain", Dtype::F32, n, bytes(nodes.iter().map(|node| node.gain.to_le_bytes()))),
            ("nodes.cover", Dtype::F32, n, bytes(nodes.iter().map(|node| node.cover.to_le_bytes()))),
            ("codes", Dtype::U32, self.words.len(), bytes(self.words.iter().map(|x| x.to_le_bytes()))),
        ];
        let views = tensors
            .iter()
            .map(|(name, kind, n, data)| Ok((*name, TensorView::new(*kind, vec![*n], data)?)))
            .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()
            .map_err(format_error)?;
        safetensors::serialize(views, None).map_err(format_error)
    }

    /// Reads and checks a safetensors file of trees of this shape.
    pub fn from_safetensors(shape: ForestShape, file: &[u8]) -> Result<Self, ForestError> {
        let file = SafeTensors::deserialize(file).map_err(format_error)?;
        let feature = read(&file, "nodes.feature", Dtype::I32, i32::from_le_bytes)?;
        let left = read(&file, "nodes.left", Dtype::U32, u32::from_le_bytes)?;
        let threshold = read(&file, "nodes.threshold", Dtype::F32, f32::from_le_bytes)?;
        let missing = read(&file, "nodes.missing_left", Dtype::U8, |[byte]: [u8; 1]| byte)?;
        let codes = read(&file, "nodes.codes", Dtype::I32, i32::from_le_bytes)?;
        let [value, gain, cover] = ["nodes.value", "nodes.gain", "nodes.cover"]
            .map(|name| read(&file, name, Dtype::F32, f32::from_le_bytes));
        let (value, gain, cover) = (value?, gain?, cover?);
        let n = feature.len();
        if [left.len(), threshold.len(), missing.len(), codes.len(), value.len(), gain.len(), cover.len()]
            != [n; 7]
        {
            return Err(ForestError::Format { reason: "the node tensors have different lengths".into() });
        }
        let rule = |i: usize| {
            let feature = u32::try_from(feature[i]).ok()?;
            Some(match u32::try_from(codes[i]) {
                Ok(words) => NodeRule::In { feature, words, left: left[i] },
                Err(_) => {
                    let (threshold, missing_left) = (threshold[i], missing[i] != 0);
                    NodeRule::Below { feature, threshold, missing_left, left: left[i] }
                }
            })
        };
        let forest = Self {
            shape,
            base: read(&file, "base", Dtype::F32, f32::from_le_bytes)?,
            roots: read(&file, "trees.root", Dtype::U32, u32::from_le_bytes)?,
            nodes: (0..n)
                .map(|i| Node { rule: rule(i), value: value[i], gain: gain[i], cover: cover[i] })
                .collect(),
            words: read(&file, "codes", Dtype::U32, u32::from_le_bytes)?,
        };
        forest.check()?;
        Ok(forest)
    }
}

fn bytes<const N: usize>(numbers: impl Iterator<Item = [u8; N]>) -> Vec<u8> {
    numbers.flatten().collect()
}

fn read<T, const N: usize>(
    file: &SafeTensors<'_>,
    name: &str,
    kind: Dtype,
    number: impl Fn([u8; N]) -> T,
) -> Result<Vec<T>, ForestError> {
    let tensor = file.tensor(name).map_err(format_error)?;
    if tensor.dtype() != kind || tensor.shape().len() != 1 {
        let reason = format!("tensor {name} is {:?} of shape {:?}", tensor.dtype(), tensor.shape());
        return Err(ForestError::Format { reason });
    }
    let (numbers, _) = tensor.data().as_chunks::<N>();
    Ok(numbers.iter().map(|bytes| number(*bytes)).collect())
}

fn format_error(error: safetensors::SafeTensorError) -> ForestError {
    ForestError::Format { reason: error.to_string() }
}

use super::tile::{InstructionSet, Operands};
use crate::mlp::shape::DenseShape;
use crate::mlp::{MlpWeights, WeightsError};

/// A dense layer with its weights packed for one instruction set: panels of outputs, each
/// `[n_inputs, panel_width]`, so that the kernel reads memory straight through.
pub(super) struct Dense {
    set: InstructionSet,
    n_inputs: usize,
    n_outputs: usize,
    weights: Vec<f32>,
    /// `[n_padded]`; zeros behind the outputs.
    bias: Vec<f32>,
    norm: Option<Norm>,
    residual: bool,
    relu: bool,
}

struct Norm {
    weight: Vec<f32>,
    bias: Vec<f32>,
}

/// Rows in a buffer, `stride` numbers apart.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    pub values: &'a [f32],
    pub n_rows: usize,
    pub stride: usize,
}

/// Burn's and PyTorch's constant.
const NORM_EPSILON: f32 = 1e-5;

impl Dense {
    pub fn new(layer: &DenseShape, weights: &MlpWeights, set: InstructionSet) -> Result<Self, WeightsError> {
        let (n_inputs, n_outputs) = (layer.n_inputs, layer.n_outputs);
        let read = |part: &str, size: &[usize]| -> Result<Vec<f32>, WeightsError> {
            Ok(weights.sized(&format!("{}.{part}", layer.name), size)?.values.clone())
        };
        let width = set.panel_width();
        let n_padded = n_outputs.div_ceil(width) * width;
        let rows = read("weight", &[n_outputs, n_inputs])?;
        let mut packed = vec![0.0; n_inputs * n_padded];
        for output in 0..n_outputs {
            let (panel, lane) = (output / width, output % width);
            for input in 0..n_inputs {
                packed[(panel * n_inputs + input) * width + lane] = rows[output * n_inputs + input];
            }
        }
        let mut bias = read("bias", &[n_outputs])?;
        bias.resize(n_padded, 0.0);
        let norm = if layer.layer_norm {
            Some(Norm { weight: read("norm.weight", &[n_outputs])?, bias: read("norm.bias", &[n_outputs])? })
        } else {
            None
        };
        let relu = layer.name != "output";
        Ok(Self { set, n_inputs, n_outputs, weights: packed, bias, norm, residual: layer.residual, relu })
    }

    /// Numbers per row of the output buffer; those behind the outputs are zeros.
    pub fn stride(&self) -> usize {
        self.bias.len()
    }

    /// Multiply-adds per row.
    pub fn work_per_row(&self) -> usize {
        self.weights.len()
    }

    /// Passes rows through the layer into `out`, `[n_rows, stride]`.
    pub fn forward(&self, input: Rows<'_>, out: &mut [f32]) {
        self.set.dense(Operands {
            x: input.values,
            n_rows: input.n_rows,
            n_inputs: self.n_inputs,
            x_stride: input.stride,
            weights: &self.weights,
            bias: &self.bias,
            out,
        });
        if !self.relu {
            return;
        }
        for (row, x) in out.chunks_exact_mut(self.stride()).zip(input.values.chunks(input.stride)) {
            let row = &mut row[..self.n_outputs];
            if let Some(norm) = &self.norm {
                norm.apply(row);
            }
            row.iter_mut().for_each(|value| *value = if *value > 0.0 { *value } else { 0.0 });
            if self.residual {
                row.iter_mut().zip(x).for_each(|(value, x)| *value += x);
            }
        }
    }
}

impl Norm {
    fn apply(&self, row: &mut [f32]) {
        let n = row.len() as f32;
        let mean = sum(row, |value| value) / n;
        let variance = sum(row, |value| (value - mean) * (value - mean)) / n;
        let scale = 1.0 / (variance + NORM_EPSILON).sqrt();
        for ((value, weight), bias) in row.iter_mut().zip(&self.weight).zip(&self.bias) {
            *value = (*value - mean) * scale * weight + bias;
        }
    }
}

/// Sum in an order that depends on the length alone: 16 partial sums, then those in turn. The
/// compiler may not change it, and 16 of them fill its registers.
fn sum(row: &[f32], term: impl Fn(f32) -> f32) -> f32 {
    let (blocks, rest) = row.as_chunks::<16>();
    let mut partial = [0.0; 16];
    for block in blocks {
        for (partial, value) in partial.iter_mut().zip(block) {
            *partial += term(*value);
        }
    }
    for (partial, value) in partial.iter_mut().zip(rest) {
        *partial += term(*value);
    }
    partial.iter().sum()
}

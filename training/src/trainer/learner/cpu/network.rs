use cupola_datasets::FeatureBatch;
use rayon::prelude::*;

use super::dropout::Dropout;
use super::layout::{Layer, Layout};
use super::passes::{self, ROWS_PER_PIECE, Trace, UnitGradients, Units, add};
use super::product::Matrix;
use crate::split::splitmix64;

/// The passes through the network, with the memory they need from one batch to the next.
#[derive(Default)]
pub(super) struct Passes {
    /// The first layer's input and every layer's output, `[n, width]`; the raw outputs last.
    outputs: Vec<Vec<f32>>,
    traces: Vec<Trace>,
    /// Gradients of a layer's output and input, in turn.
    above: Vec<f32>,
    below: Vec<f32>,
}

impl Passes {
    /// Raw outputs `[n, n_outputs]` of a batch. With a key, units are dropped at random.
    pub fn forward(
        &mut self,
        layout: &Layout,
        parameters: &[f32],
        batch: &FeatureBatch,
        dropout: Option<(f64, u64)>,
    ) -> &mut [f32] {
        let n = batch.n_rows;
        self.outputs.resize_with(layout.layers.len() + 1, Vec::new);
        self.traces.resize_with(layout.layers.len() - 1, Trace::default);
        self.outputs[0].resize(n * layout.input_width, 0.0);
        join(layout, parameters, batch, &mut self.outputs[0]);
        for (i, layer) in layout.layers.iter().enumerate() {
            let (before, behind) = self.outputs.split_at_mut(i + 1);
            let (input, out) = (&before[i], &mut behind[0]);
            out.resize(n * layer.n_outputs, 0.0);
            let x = Matrix::new(input, n, layer.n_inputs);
            let w = Matrix::new(&parameters[layer.weight.clone()], layer.n_outputs, layer.n_inputs);
            let Some(trace) = self.traces.get_mut(i) else {
                x.times(w.transposed(), out, false);
                let bias = &parameters[layer.bias.clone()];
                out.chunks_exact_mut(layer.n_outputs).for_each(|row| add(row, bias));
                continue;
            };
            trace.slopes.resize(n * layer.n_outputs, 0.0);
            x.times(w.transposed(), &mut trace.slopes, false);
            let dropout = match dropout {
                Some((share, key)) if share > 0.0 => Dropout::new(share, splitmix64(i as u64, key)),
                _ => Dropout::OFF,
            };
            passes::forward(
                units(layer, parameters, dropout),
                trace,
                layer.residual.then_some(input.as_slice()),
                out,
            );
        }
        self.raw()
    }

    /// The raw outputs of the last forward pass.
    fn raw(&mut self) -> &mut [f32] {
        self.outputs.last_mut().map(Vec::as_mut_slice).unwrap_or_default()
    }

    /// The gradient of all parameters, after a forward pass whose raw outputs were replaced by
    /// their gradient.
    pub fn backward(
        &mut self,
        layout: &Layout,
        parameters: &[f32],
        batch: &FeatureBatch,
        gradient: &mut [f32],
    ) {
        let n = batch.n_rows;
        let Self { outputs, traces, above, below } = self;
        let Some((output, hidden)) = layout.layers.split_last() else { return };
        let raw = &outputs[hidden.len() + 1];
        let sums = &mut gradient[output.bias.clone()];
        sums.fill(0.0);
        raw.chunks_exact(output.n_outputs).for_each(|row| add(sums, row));
        product_gradient(output, raw, &outputs[hidden.len()], gradient);
        above.resize(n * output.n_inputs, 0.0);
        let w = Matrix::new(&parameters[output.weight.clone()], output.n_outputs, output.n_inputs);
        Matrix::new(raw, n, output.n_outputs).times(w, above, false);
        for (i, layer) in hidden.iter().enumerate().rev() {
            let trace = &mut traces[i];
            passes::backward(
                units(layer, parameters, Dropout::OFF),
                trace,
                above,
                unit_gradients(layer, gradient),
            );
            product_gradient(layer, &trace.slopes, &outputs[i], gradient);
            let products = Matrix::new(&trace.slopes, n, layer.n_outputs);
            let w = Matrix::new(&parameters[layer.weight.clone()], layer.n_outputs, layer.n_inputs);
            if i > 0 {
                if layer.residual {
                    products.times(w, above, true);
                } else {
                    below.resize(n * layer.n_inputs, 0.0);
                    products.times(w, below, false);
                    std::mem::swap(above, below);
                }
            } else if !layout.embeddings.is_empty() {
                let width = layer.n_inputs - layout.n_numeric;
                below.resize(n * width, 0.0);
                products.times(w.columns_from(layout.n_numeric), below, false);
                if layer.residual {
                    let embedded = above.chunks_exact(layer.n_inputs).map(|row| &row[layout.n_numeric..]);
                    below.chunks_exact_mut(width).zip(embedded).for_each(|(to, from)| add(to, from));
                }
                embedding_gradients(layout, batch, below, gradient);
            }
        }
        if hidden.is_empty() && !layout.embeddings.is_empty() {
            let embedded = above.chunks_exact(layout.input_width).flat_map(|row| &row[layout.n_numeric..]);
            *below = embedded.copied().collect();
            embedding_gradients(layout, batch, below, gradient);
        }
    }
}

fn units<'a>(layer: &Layer, parameters: &'a [f32], dropout: Dropout) -> Units<'a> {
    let part = |range: &std::ops::Range<usize>| &parameters[range.clone()];
    let norm = layer.norm.as_ref().map(|norm| (part(&norm.weight), part(&norm.bias)));
    Units { bias: part(&layer.bias), norm, dropout }
}

/// The places of a layer's bias and normalisation, which follow each other in the buffer.
fn unit_gradients<'a>(layer: &Layer, gradient: &'a mut [f32]) -> UnitGradients<'a> {
    let (bias, behind) = gradient[layer.bias.start..].split_at_mut(layer.n_outputs);
    let norm = layer.norm.as_ref().map(|_| {
        let (weight, behind) = behind.split_at_mut(layer.n_outputs);
        (weight, &mut behind[..layer.n_outputs])
    });
    UnitGradients { bias, norm }
}

/// Gradient of a layer's weights: `products^T input`.
fn product_gradient(layer: &Layer, products: &[f32], input: &[f32], gradient: &mut [f32]) {
    let n = input.len() / layer.n_inputs;
    let products = Matrix::new(products, n, layer.n_outputs).transposed();
    products.times(Matrix::new(input, n, layer.n_inputs), &mut gradient[layer.weight.clone()], false);
}

/// Joins numbers and embeddings into the first layer's input.
fn join(layout: &Layout, parameters: &[f32], batch: &FeatureBatch, into: &mut [f32]) {
    let (n_numeric, n_categorical) = (layout.n_numeric, layout.embeddings.len());
    into.par_chunks_mut(ROWS_PER_PIECE * layout.input_width).enumerate().for_each(|(i, rows)| {
        for (r, x) in rows.chunks_exact_mut(layout.input_width).enumerate() {
            let row = i * ROWS_PER_PIECE + r;
            let (numbers, mut embedded) = x.split_at_mut(n_numeric);
            numbers.copy_from_slice(&batch.numeric[row * n_numeric..][..n_numeric]);
            let codes = &batch.categorical[row * n_categorical..][..n_categorical];
            for (table, &code) in layout.embeddings.iter().zip(codes) {
                let (to, rest) = embedded.split_at_mut(table.width);
                to.copy_from_slice(
                    &parameters[table.values.start + code as usize * table.width..][..table.width],
                );
                embedded = rest;
            }
        }
    });
}

/// Adds each row's gradient to the embedding it used, row after row; `embedded` is `[n, width of
/// all embeddings]`.
fn embedding_gradients(layout: &Layout, batch: &FeatureBatch, embedded: &[f32], gradient: &mut [f32]) {
    let n_categorical = layout.embeddings.len();
    let width = layout.input_width - layout.n_numeric;
    let mut first = 0;
    for (j, table) in layout.embeddings.iter().enumerate() {
        let sums = &mut gradient[table.values.clone()];
        sums.fill(0.0);
        for (row, codes) in embedded.chunks_exact(width).zip(batch.categorical.chunks_exact(n_categorical)) {
            add(
                &mut sums[codes[j] as usize * table.width..][..table.width],
                &row[first..first + table.width],
            );
        }
        first += table.width;
    }
}

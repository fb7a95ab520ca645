//! What lies between the products of a layer: one pass over its units forward, one backward.

use rayon::prelude::*;

use super::dropout::Dropout;
use super::norm::{normalise, through_normalise};
use crate::simd::wide;

/// Rows that a thread takes at once; also the pieces in which gradients are summed.
pub(super) const ROWS_PER_PIECE: usize = 64;

/// A layer's parameters in the passes, `[n_outputs]` each.
#[derive(Clone, Copy)]
pub(super) struct Units<'a> {
    pub bias: &'a [f32],
    /// Weight and bias of the layer normalisation.
    pub norm: Option<(&'a [f32], &'a [f32])>,
    pub dropout: Dropout,
}

/// What the backward pass needs of the forward pass, `[n, n_outputs]` unless said otherwise.
#[derive(Default)]
pub(super) struct Trace {
    /// Before: products of inputs and weights. After: how much of a change of the unit's input gets
    /// through, 0 or the dropout's scale.
    pub slopes: Vec<f32>,
    /// With layer normalisation: the normalised values.
    pub normalised: Vec<f32>,
    /// With layer normalisation: what each row was multiplied by, `[n]`.
    pub row_scales: Vec<f32>,
}

/// Some rows of a layer on their way forward.
struct ForwardPiece<'a> {
    /// Place of the first unit in the batch.
    first: usize,
    slopes: &'a mut [f32],
    normalised: &'a mut [f32],
    row_scales: &'a mut [f32],
    residual: Option<&'a [f32]>,
    out: &'a mut [f32],
}

/// Bias, layer normalisation, ReLU, dropout, and the layer's input added where it is `residual`:
/// from the products in `trace.slopes` to `out`.
pub(super) fn forward(units: Units<'_>, trace: &mut Trace, residual: Option<&[f32]>, out: &mut [f32]) {
    let width = units.bias.len();
    let n = ROWS_PER_PIECE * width;
    let with_norm = units.norm.is_some();
    trace.normalised.resize(if with_norm { out.len() } else { 0 }, 0.0);
    trace.row_scales.resize(if with_norm { out.len() / width } else { 0 }, 0.0);
    // Without normalisation these have no rows: every piece gets an empty slice.
    let mut normalised = trace.normalised.chunks_mut(n);
    let mut row_scales = trace.row_scales.chunks_mut(ROWS_PER_PIECE);
    let mut residual = residual.map(|input| input.chunks(n));
    let pieces: Vec<ForwardPiece<'_>> = trace
        .slopes
        .chunks_mut(n)
        .zip(out.chunks_mut(n))
        .enumerate()
        .map(|(i, (slopes, out))| ForwardPiece {
            first: i * n,
            slopes,
            normalised: normalised.next().unwrap_or_default(),
            row_scales: row_scales.next().unwrap_or_default(),
            residual: residual.as_mut().and_then(Iterator::next),
            out,
        })
        .collect();
    pieces.into_par_iter().for_each(|piece| forward_piece(units, piece));
}

wide!(forward_piece = forward_piece_of_any(units: Units<'_>, piece: ForwardPiece<'_>) -> ());

#[inline(always)]
fn forward_piece_of_any(units: Units<'_>, piece: ForwardPiece<'_>) {
    let width = units.bias.len();
    let ForwardPiece { first, slopes, normalised, row_scales, residual, out } = piece;
    for (r, (values, out)) in slopes.chunks_exact_mut(width).zip(out.chunks_exact_mut(width)).enumerate() {
        let row = r * width..(r + 1) * width;
        add(values, units.bias);
        if let Some((weight, bias)) = units.norm {
            row_scales[r] = normalise(values);
            normalised[row.clone()].copy_from_slice(values);
            let affine = values.iter_mut().zip(weight).zip(bias);
            affine.for_each(|((value, weight), bias)| *value = *value * weight + bias);
        }
        activate(values, units.dropout, first + row.start, out);
        if let Some(input) = residual {
            add(out, &input[row]);
        }
    }
}

/// ReLU and dropout from `values` to `out`; leaves the slopes in `values`.
#[inline(always)]
fn activate(values: &mut [f32], dropout: Dropout, first: usize, out: &mut [f32]) {
    for (place, (value, out)) in values.iter_mut().zip(out).enumerate() {
        let kept = (*value > 0.0) & dropout.keeps((first + place) as u32);
        let slope = if kept { dropout.scale } else { 0.0 };
        *out = *value * slope;
        *value = slope;
    }
}

/// Gradients of a layer's bias and normalisation, `[n_outputs]` each.
pub(super) struct UnitGradients<'a> {
    pub bias: &'a mut [f32],
    /// Weight and bias of the layer normalisation.
    pub norm: Option<(&'a mut [f32], &'a mut [f32])>,
}

/// Some rows of a layer on their way back.
struct BackwardPiece<'a> {
    slopes: &'a mut [f32],
    normalised: &'a [f32],
    row_scales: &'a [f32],
    above: &'a [f32],
}

/// Sums over the rows of a piece: gradients of bias, weight and bias of the normalisation.
type Sums = [Vec<f32>; 3];

/// From the gradient of a layer's output, `[n, n_outputs]`, to that of its products, which takes
/// the place of the slopes.
pub(super) fn backward(units: Units<'_>, trace: &mut Trace, above: &[f32], gradients: UnitGradients<'_>) {
    let n = ROWS_PER_PIECE * units.bias.len();
    let (normalised, row_scales) = (&trace.normalised, &trace.row_scales);
    let pieces = trace.slopes.par_chunks_mut(n).zip(above.par_chunks(n)).enumerate();
    let sums: Vec<Sums> = pieces
        .map(|(i, (slopes, above))| {
            let normalised = normalised.chunks(n).nth(i).unwrap_or_default();
            let row_scales = row_scales.chunks(ROWS_PER_PIECE).nth(i).unwrap_or_default();
            backward_piece(units, BackwardPiece { slopes, normalised, row_scales, above })
        })
        .collect();
    let total = |to: &mut [f32], part: usize| {
        to.fill(0.0);
        sums.iter().for_each(|sums| add(to, &sums[part]));
    };
    total(gradients.bias, 0);
    if let Some((weight, bias)) = gradients.norm {
        total(weight, 1);
        total(bias, 2);
    }
}

wide!(backward_piece = backward_piece_of_any(units: Units<'_>, piece: BackwardPiece<'_>) -> Sums);

#[inline(always)]
fn backward_piece_of_any(units: Units<'_>, piece: BackwardPiece<'_>) -> Sums {
    let width = units.bias.len();
    let BackwardPiece { slopes, normalised, row_scales, above } = piece;
    let mut bias = vec![0.0; width];
    let n_norm = if units.norm.is_some() { width } else { 0 };
    let [mut norm_weight, mut norm_bias] = [vec![0.0; n_norm], vec![0.0; n_norm]];
    for (r, (gradient, above)) in slopes.chunks_exact_mut(width).zip(above.chunks_exact(width)).enumerate() {
        gradient.iter_mut().zip(above).for_each(|(slope, above)| *slope *= above);
        if let Some((weight, _)) = units.norm {
            let normalised = &normalised[r * width..(r + 1) * width];
            add(&mut norm_bias, gradient);
            let products = norm_weight.iter_mut().zip(gradient.iter()).zip(normalised);
            products.for_each(|((sum, g), x)| *sum += g * x);
            gradient.iter_mut().zip(weight).for_each(|(g, weight)| *g *= weight);
            through_normalise(gradient, normalised, row_scales[r]);
        }
        add(&mut bias, gradient);
    }
    [bias, norm_weight, norm_bias]
}

#[inline(always)]
pub(super) fn add(to: &mut [f32], from: &[f32]) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
}

/// Burn's and PyTorch's constant.
const EPSILON: f32 = 1e-5;

/// Normalises a row to mean 0 and variance 1 in place; returns what it was multiplied by.
#[inline(always)]
pub(super) fn normalise(row: &mut [f32]) -> f32 {
    let n = row.len() as f32;
    let mean = sum(row, |i| row[i]) / n;
    let variance = sum(row, |i| (row[i] - mean) * (row[i] - mean)) / n;
    let scale = 1.0 / (variance + EPSILON).sqrt();
    row.iter_mut().for_each(|value| *value = (*value - mean) * scale);
    scale
}

/// From the gradient of a normalised row to that of the row before, in place (layer normalisation, arXiv 1607.06450):
/// `scale * (g - mean(g) - x mean(g x))`.
#[inline(always)]
pub(super) fn through_normalise(gradient: &mut [f32], normalised: &[f32], scale: f32) {
    let n = gradient.len() as f32;
    let mean = sum(gradient, |i| gradient[i]) / n;
    let along = sum(gradient, |i| gradient[i] * normalised[i]) / n;
    for (g, x) in gradient.iter_mut().zip(normalised) {
        *g = scale * (*g - mean - x * along);
    }
}

/// Sum of a term over a row's places in 16 partial sums, which the compiler can keep in registers.
#[inline(always)]
fn sum(row: &[f32], term: impl Fn(usize) -> f32) -> f32 {
    let mut partial = [0.0; 16];
    let whole = row.len() - row.len() % 16;
    for first in (0..whole).step_by(16) {
        for (lane, partial) in partial.iter_mut().enumerate() {
            *partial += term(first + lane);
        }
    }
    (whole..row.len()).for_each(|i| partial[i - whole] += term(i));
    partial.iter().sum()
}

use rayon::prelude::*;

use crate::simd::wide;
use crate::trainer::learner::{Settings, averaging_rate};

/// Everything the optimiser keeps, one number per parameter each.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Parameters {
    pub values: Vec<f32>,
    /// Running means of gradient and squared gradient.
    pub moments: [Vec<f32>; 2],
    /// Running mean of the values; as `values` without averaging.
    pub average: Vec<f32>,
    /// Steps done.
    pub n_steps: u64,
}

/// Parameters that a thread takes at once; also the pieces in which the norm is summed.
const PER_PIECE: usize = 16_384;
const BETA_1: f32 = 0.9;
const BETA_2: f32 = 0.999;
const EPSILON: f32 = 1e-8;

/// Constants of one step.
#[derive(Clone, Copy)]
struct Step {
    clip: f32,
    keep: f32,
    rate: f32,
    correction_2: f32,
    averaging: f32,
}

impl Parameters {
    pub fn new(values: Vec<f32>) -> Self {
        let zeros = vec![0.0; values.len()];
        Self { average: values.clone(), moments: [zeros.clone(), zeros], values, n_steps: 0 }
    }

    /// One step of AdamW (Loshchilov and Hutter 2019) with the whole gradient limited in length, and
    /// of the running mean, in one pass.
    pub fn step(&mut self, gradient: &[f32], rate: f64, settings: &Settings) {
        self.n_steps += 1;
        let exponent = self.n_steps.min(i32::MAX as u64) as i32;
        let corrections = [BETA_1, BETA_2].map(|beta| 1.0 - f64::from(beta).powi(exponent));
        let constants = Step {
            clip: clip(gradient, settings.gradient_norm_max),
            keep: (1.0 - rate * settings.weight_decay) as f32,
            rate: (rate / corrections[0]) as f32,
            correction_2: (1.0 / corrections[1]) as f32,
            averaging: averaging_rate(settings.averaging_steps, self.n_steps) as f32,
        };
        let [first, second] = &mut self.moments;
        self.values
            .par_chunks_mut(PER_PIECE)
            .zip(first.par_chunks_mut(PER_PIECE))
            .zip(second.par_chunks_mut(PER_PIECE))
            .zip(self.average.par_chunks_mut(PER_PIECE))
            .zip(gradient.par_chunks(PER_PIECE))
            .for_each(|((((values, first), second), average), gradient)| {
                piece(constants, values, [first, second], average, gradient);
            });
    }
}

wide!(piece = piece_of_any(
    step: Step,
    values: &mut [f32],
    moments: [&mut [f32]; 2],
    average: &mut [f32],
    gradient: &[f32]
) -> ());

#[inline(always)]
fn piece_of_any(
    step: Step,
    values: &mut [f32],
    [first, second]: [&mut [f32]; 2],
    average: &mut [f32],
    gradient: &[f32],
) {
    let rows = values.iter_mut().zip(first).zip(second).zip(average).zip(gradient);
    for ((((value, first), second), average), gradient) in rows {
        let g = gradient * step.clip;
        *first = BETA_1 * *first + (1.0 - BETA_1) * g;
        *second = BETA_2 * *second + (1.0 - BETA_2) * g * g;
        let delta = step.rate * *first / ((*second * step.correction_2).sqrt() + EPSILON);
        *value = step.keep * *value - delta;
        *average += step.averaging * (*value - *average);
    }
}

/// What the gradient is multiplied by, so that it is at most `norm_max` long; 0 leaves it.
fn clip(gradient: &[f32], norm_max: f64) -> f32 {
    if norm_max <= 0.0 {
        return 1.0;
    }
    let squares: Vec<f64> = gradient.par_chunks(PER_PIECE).map(square).collect();
    let norm = squares.iter().sum::<f64>().sqrt();
    (norm_max / (norm + 1e-6)).min(1.0) as f32
}

wide!(square = square_of_any(piece: &[f32]) -> f64);

#[inline(always)]
fn square_of_any(piece: &[f32]) -> f64 {
    let mut partial = [0f32; 32];
    let (blocks, rest) = piece.as_chunks::<32>();
    for block in blocks {
        partial.iter_mut().zip(block).for_each(|(sum, g)| *sum += g * g);
    }
    partial.iter_mut().zip(rest).for_each(|(sum, g)| *sum += g * g);
    partial.iter().map(|sum| f64::from(*sum)).sum()
}

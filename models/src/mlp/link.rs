#![allow(clippy::excessive_precision, reason = "published constants are kept as they were published")]

use crate::predict::{Task, TaskKind};

/// Mean and standard deviation of a regression's labels: value = raw * `sd` + `mean`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OutputScale {
    /// Mean of the training labels.
    pub mean: f32,
    /// Standard deviation of the training labels, above 0.
    pub sd: f32,
}

/// From raw outputs of the network to scores.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Link {
    /// Logit to probability.
    Sigmoid,
    /// Logits to probabilities that sum to 1.
    Softmax,
    /// Standardised value to value.
    Scale(OutputScale),
    /// Log rate to expected count.
    Exp,
}

impl Link {
    /// The link of a task. `scale` is read for a regression only; without one, values are raw.
    pub fn new(task: &Task, scale: Option<OutputScale>) -> Self {
        match task.kind() {
            TaskKind::Binary => Self::Sigmoid,
            TaskKind::Multiclass => Self::Softmax,
            TaskKind::Regression | TaskKind::Ranking => {
                Self::Scale(scale.unwrap_or(OutputScale { mean: 0.0, sd: 1.0 }))
            }
            TaskKind::Poisson => Self::Exp,
        }
    }

    /// Turns raw outputs, row-major `[n_rows, n_outputs]`, into scores in place.
    ///
    /// Exponentials are taken in f64 and rounded once, so that the score does not depend on which
    /// f32 `exp` a platform has.
    pub fn apply(self, raw: &mut [f32], n_outputs: usize) {
        match self {
            Self::Sigmoid => raw.iter_mut().for_each(|value| *value = sigmoid(*value)),
            Self::Softmax => raw.chunks_exact_mut(n_outputs.max(1)).for_each(softmax),
            Self::Scale(scale) => {
                raw.iter_mut().for_each(|value| *value = value.mul_add(scale.sd, scale.mean))
            }
            // A count beyond f32 stays finite: JSON has no infinity.
            Self::Exp => {
                raw.iter_mut().for_each(|value| *value = (f64::from(*value).exp() as f32).min(f32::MAX))
            }
        }
    }
}

fn sigmoid(logit: f32) -> f32 {
    (1.0 / (1.0 + (-f64::from(logit)).exp())) as f32
}

fn softmax(logits: &mut [f32]) {
    let top = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let weight = |logit: f32| (f64::from(logit) - f64::from(top)).exp();
    let sum: f64 = logits.iter().map(|&logit| weight(logit)).sum();
    logits.iter_mut().for_each(|logit| *logit = (weight(*logit) / sum) as f32);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_match_hand_calculation() {
        let mut logits = [0.0, 2.0, -100.0];
        Link::Sigmoid.apply(&mut logits, 1);
        assert_eq!(logits, [0.5, 0.880_797_1, 3.783_506e-44]);

        let mut logits = [1.0, 2.0, 3.0, 1000.0, 0.0, 0.0];
        Link::Softmax.apply(&mut logits, 3);
        assert_eq!(logits, [0.090_030_57, 0.244_728_48, 0.665_240_94, 1.0, 0.0, 0.0]);

        let mut values = [2.0];
        Link::Scale(OutputScale { mean: 10.0, sd: 3.0 }).apply(&mut values, 1);
        assert_eq!(values, [16.0]);

        let mut rates = [1.0, 1e4];
        Link::Exp.apply(&mut rates, 1);
        assert_eq!(rates, [std::f32::consts::E, f32::MAX]);
    }
}

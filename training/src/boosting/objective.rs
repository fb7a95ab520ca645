use cupola_models::trees::learner::{Gradients, HESSIAN_MIN, RowLoss, RowScores, sigmoid_table};
use cupola_models::trees::{GbdtConfig, Objective};

use super::lambda::LambdaRank;
use super::math::exp;
use crate::simd::wide;

/// A loss with its parameters.
#[derive(Clone, Copy, Debug)]
pub struct Loss {
    pub objective: Objective,
    pub quantile_alpha: f32,
    pub huber_slope: f32,
    pub tweedie_power: f32,
    pub lambda: LambdaRank,
}

impl Loss {
    pub fn new(objective: Objective, config: &GbdtConfig) -> Self {
        Self {
            objective,
            quantile_alpha: config.quantile_alpha as f32,
            huber_slope: config.huber_slope as f32,
            tweedie_power: config.tweedie_variance_power as f32,
            lambda: LambdaRank::new(config),
        }
    }

    /// The loss as devices know it.
    fn row_loss(&self) -> Option<RowLoss> {
        match self.objective {
            Objective::Logistic => Some(RowLoss::Logistic),
            Objective::SquaredError => Some(RowLoss::SquaredError),
            _ => None,
        }
    }

    /// Quantile of the residuals that a leaf takes instead of the gradients' answer.
    pub fn leaf_quantile(&self) -> Option<f64> {
        match self.objective {
            Objective::AbsoluteError => Some(0.5),
            Objective::Quantile => Some(f64::from(self.quantile_alpha)),
            _ => None,
        }
    }
}

/// A loss at the present raw scores of one output.
pub struct LossOfRows<'a> {
    pub loss: Loss,
    /// Class of the output, where there are several.
    pub class: f32,
    /// Raw scores; probabilities of the class for `multi:softprob`.
    pub raw: &'a [f32],
    pub labels: &'a [f32],
    pub weights: Option<&'a [f32]>,
}

impl Gradients for LossOfRows<'_> {
    fn block(&self, first: usize, gradients: &mut [f32], hessians: &mut [f32]) {
        let rows = first..first + gradients.len();
        let (raw, labels) = (&self.raw[rows.clone()], &self.labels[rows.clone()]);
        gradients_of(self.loss, self.class, raw, labels, gradients, hessians);
        if let Some(weights) = self.weights {
            for ((g, h), weight) in gradients.iter_mut().zip(hessians).zip(&weights[rows]) {
                (*g, *h) = (*g * weight, *h * weight);
            }
        }
    }

    fn rows(&self) -> Option<RowScores<'_>> {
        let loss = self.loss.row_loss()?;
        Some(RowScores { loss, raw: self.raw, labels: self.labels, weights: self.weights })
    }
}

wide!(gradients_of = each(loss: Loss, class: f32, raw: &[f32], labels: &[f32], g: &mut [f32], h: &mut [f32]) -> ());

#[inline(always)]
fn each(loss: Loss, class: f32, raw: &[f32], labels: &[f32], g: &mut [f32], h: &mut [f32]) {
    let Loss { quantile_alpha, huber_slope, tweedie_power, objective, .. } = loss;
    let mut set = |of: &dyn Fn(f32, f32) -> (f32, f32)| {
        let out = g.iter_mut().zip(h.iter_mut());
        out.zip(raw.iter().zip(labels)).for_each(|((g, h), (raw, label))| (*g, *h) = of(*raw, *label));
    };
    // The most common ones are spelled out: the compiler computes several rows at once.
    if let Some(row_loss) = loss.row_loss() {
        let table = sigmoid_table();
        for (((g, h), raw), label) in g.iter_mut().zip(h).zip(raw).zip(labels) {
            (*g, *h) = row_loss.gradient(table, *raw, *label);
        }
        return;
    }
    match objective {
        Objective::Softmax => set(&|p, label| {
            let is_class = if label == class { 1.0 } else { 0.0 };
            (p - is_class, (2.0 * p * (1.0 - p)).max(HESSIAN_MIN))
        }),
        Objective::AbsoluteError => set(&|raw, label| (sign(raw - label), 1.0)),
        Objective::Huber => set(&|raw, label| {
            let (z, slope) = (raw - label, huber_slope);
            let s = 1.0 + z / slope * (z / slope);
            let root = s.sqrt();
            (z / root, 1.0 / (s * root))
        }),
        Objective::Quantile => {
            set(&|raw, label| (if raw < label { -quantile_alpha } else { 1.0 - quantile_alpha }, 1.0))
        }
        Objective::Poisson => set(&|raw, label| {
            let rate = exp(raw);
            (rate - label, rate)
        }),
        Objective::Gamma => set(&|raw, label| {
            let share = label * exp(-raw);
            (1.0 - share, share)
        }),
        Objective::Tweedie => set(&|raw, label| {
            let (below, above) = (1.0 - tweedie_power, 2.0 - tweedie_power);
            let (a, b) = (label * exp(below * raw), exp(above * raw));
            (b - a, above * b - below * a)
        }),
        // Done above, and of lists (`lambda.rs`).
        Objective::Logistic | Objective::SquaredError | Objective::LambdaRank => set(&|_, _| (0.0, 0.0)),
    }
}

/// -1, 0 or 1.
fn sign(x: f32) -> f32 {
    if x > 0.0 {
        1.0
    } else if x < 0.0 {
        -1.0
    } else {
        0.0
    }
}

use cupola_models::trees::Objective;
use rayon::prelude::*;

use super::objective::Loss;
use crate::lists::Lists;
use crate::metrics::mean_ndcg;

/// Rows of a sum; pieces of fixed size, so that the number of threads changes nothing.
const PIECE: usize = 4_096;

/// Raw scores beside what came true.
#[derive(Clone, Copy)]
pub struct Judged<'a> {
    /// By output, then by row.
    pub raw: &'a [Vec<f32>],
    pub labels: &'a [f32],
    pub weights: Option<&'a [f32]>,
    /// Of a ranking.
    pub lists: Option<&'a Lists>,
}

/// Mean loss over every `step`-th row; NaN without rows. Of rankings, what NDCG lacks to 1 on average over all lists.
pub fn mean_loss(loss: Loss, rows: Judged<'_>, step: usize) -> f64 {
    if let Some(lists) = rows.lists {
        return 1.0 - mean_ndcg(lists, rows.labels, &rows.raw[0], loss.lambda.n_places);
    }
    let n = rows.labels.len();
    let pieces: Vec<usize> = (0..n).step_by(PIECE * step).collect();
    let sums: Vec<(f64, f64)> = pieces
        .into_par_iter()
        .map(|first| {
            let mut sum = (0.0, 0.0);
            for row in (first..n.min(first + PIECE * step)).step_by(step) {
                let weight = rows.weights.map_or(1.0, |weights| f64::from(weights[row]));
                sum = (sum.0 + weight * loss_of(loss, rows, row), sum.1 + weight);
            }
            sum
        })
        .collect();
    let (sum, weight) = sums.into_iter().fold((0.0, 0.0), |a, b| (a.0 + b.0, a.1 + b.1));
    sum / weight
}

fn loss_of(loss: Loss, rows: Judged<'_>, row: usize) -> f64 {
    let raw = f64::from(rows.raw[0][row]);
    let label = f64::from(rows.labels[row]);
    match loss.objective {
        Objective::Logistic => (-raw.abs()).exp().ln_1p() + raw.max(0.0) - raw * label,
        Objective::Softmax => {
            let scores = || rows.raw.iter().map(|raw| f64::from(raw[row]));
            let top = scores().fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = scores().map(|raw| (raw - top).exp()).sum();
            sum.ln() + top - f64::from(rows.raw[label as usize][row])
        }
        Objective::SquaredError => (raw - label) * (raw - label),
        Objective::AbsoluteError => (raw - label).abs(),
        Objective::Huber => {
            let slope = f64::from(loss.huber_slope);
            slope * slope * ((1.0 + ((raw - label) / slope).powi(2)).sqrt() - 1.0)
        }
        Objective::Quantile => {
            let alpha = f64::from(loss.quantile_alpha);
            if raw < label { alpha * (label - raw) } else { (1.0 - alpha) * (raw - label) }
        }
        Objective::Poisson => raw.exp() - label * raw,
        Objective::Gamma => raw + label * (-raw).exp(),
        Objective::Tweedie => {
            let power = f64::from(loss.tweedie_power);
            let (below, above) = (1.0 - power, 2.0 - power);
            (above * raw).exp() / above - label * (below * raw).exp() / below
        }
        Objective::LambdaRank => f64::NAN,
    }
}

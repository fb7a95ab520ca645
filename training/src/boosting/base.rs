//! The raw scores that boosting starts from: the best constant.

use cupola_models::trees::Objective;

use super::objective::Loss;
use super::table::Table;

/// One raw score for each output.
pub fn base_scores(loss: Loss, table: &Table, n_outputs: usize) -> Vec<f32> {
    let weight = |row: usize| table.weights.as_ref().map_or(1.0, |weights| f64::from(weights[row]));
    let rows = || 0..table.n_rows();
    let total: f64 = rows().map(weight).sum();
    // Half a row stands in for none: the log of a share of 0 has no number.
    let share = |of: f64| of.max(0.5 * total / table.n_rows() as f64);
    let label = |row: usize| f64::from(table.labels[row]);
    let offset = |row: usize| table.offsets.as_ref().map_or(0.0, |offsets| f64::from(offsets[row]));
    match loss.objective {
        Objective::Logistic => {
            let positive: f64 = rows().map(|row| weight(row) * label(row)).sum();
            vec![(share(positive) / share(total - positive)).ln() as f32]
        }
        Objective::Softmax => {
            let mut of = vec![0.0; n_outputs];
            rows().for_each(|row| of[label(row) as usize] += weight(row));
            of.into_iter().map(|of| (share(of) / total).ln() as f32).collect()
        }
        Objective::Poisson | Objective::Gamma | Objective::Tweedie => {
            let sum: f64 = rows().map(|row| weight(row) * label(row)).sum();
            let exposure: f64 = rows().map(|row| weight(row) * offset(row).exp()).sum();
            vec![(share(sum) / exposure).ln() as f32]
        }
        Objective::LambdaRank => vec![0.0],
        Objective::SquaredError => {
            vec![(rows().map(|row| weight(row) * (label(row) - offset(row))).sum::<f64>() / total) as f32]
        }
        Objective::Huber | Objective::AbsoluteError | Objective::Quantile => {
            let mut residuals: Vec<(f32, f32)> =
                rows().map(|row| ((label(row) - offset(row)) as f32, weight(row) as f32)).collect();
            vec![quantile(&mut residuals, loss.leaf_quantile().unwrap_or(0.5))]
        }
    }
}

/// The number that a share of the weight is not above: sorts by number.
pub fn quantile(weighted: &mut [(f32, f32)], order: f64) -> f32 {
    weighted.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let total: f64 = weighted.iter().map(|(_, weight)| f64::from(*weight)).sum();
    let mut below = 0.0;
    for (number, weight) in weighted.iter() {
        below += f64::from(*weight);
        if below >= order * total && below > 0.0 {
            return *number;
        }
    }
    weighted.last().map_or(0.0, |(number, _)| *number)
}

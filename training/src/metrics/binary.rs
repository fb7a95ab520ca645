use super::counts::{Counts, Ranking};
use super::{Confusion, CostConfig, Evaluation, Predictions, curves};

/// Fills in all of a binary evaluation.
pub(super) fn evaluate(
    p: &Predictions<'_>,
    cost: Option<CostConfig>,
    threshold: Option<f64>,
    into: &mut Evaluation,
) {
    let positive = |row: usize| p.labels[row] == 1.0;
    let weight = |row: usize| p.weight(row);
    let ranking = Ranking::new(p.labels.len(), |row| p.scores.values[row], positive, weight);
    let bins = curves::calibration(&p.scores.values, positive, weight);
    let values = &mut into.values;
    let mut put = |name: &str, value: f64| {
        values.insert(name.into(), value);
    };
    if let (Some(roc), Some(pr)) = (curves::roc_auc(&ranking), curves::average_precision(&ranking)) {
        put("roc_auc", roc);
        // scikit-learn warns and returns 1 where all rows are positive; nothing is ranked there.
        put("pr_auc", pr);
    }
    put("log_loss", p.mean(|row| log_loss(p.score(row), positive(row))));
    put("brier", p.mean(|row| (p.score(row) - p.label(row)).powi(2)));
    put("ece", curves::calibration_error(&bins));
    let counts = threshold.map_or_else(|| choose(&ranking, cost), |threshold| ranking.at(threshold));
    let all = ranking.positive + ranking.negative;
    let false_negative = ranking.positive - counts.true_positive;
    put("f1", counts.f1(ranking.positive));
    put("precision", counts.precision());
    put("recall", counts.recall(ranking.positive));
    put("accuracy", 1.0 - (counts.false_positive + false_negative) / all);
    if let Some(cost) = cost {
        put("expected_cost", cost_of(&counts, ranking.positive, cost) / all);
    }
    into.threshold = Some(counts.threshold);
    into.confusion = Some(Confusion {
        true_positive: counts.true_positive,
        false_positive: counts.false_positive,
        false_negative,
        true_negative: ranking.negative - counts.false_positive,
    });
    into.curves.roc = curves::roc_points(&ranking);
    into.curves.pr = curves::pr_points(&ranking);
    into.curves.calibration = bins;
}

fn choose(ranking: &Ranking, cost: Option<CostConfig>) -> Counts {
    match cost {
        Some(cost) => ranking.least(|counts| cost_of(counts, ranking.positive, cost)),
        None => ranking.least(|counts| -counts.f1(ranking.positive)),
    }
}

fn cost_of(counts: &Counts, positive: f64, cost: CostConfig) -> f64 {
    counts.false_positive * cost.false_positive + (positive - counts.true_positive) * cost.false_negative
}

/// Probabilities are kept a rounding error away from 0 and 1, as scikit-learn does with doubles.
fn log_loss(score: f64, positive: bool) -> f64 {
    let p = score.clamp(f64::EPSILON, 1.0 - f64::EPSILON);
    if positive { -p.ln() } else { -(-p).ln_1p() }
}

use indexmap::IndexMap;

use super::counts::Ranking;
use super::{Predictions, curves};

/// Accuracy, macro F1, log loss and macro one-versus-rest ROC AUC.
pub(super) fn evaluate(p: &Predictions<'_>, values: &mut IndexMap<String, f64>) {
    let predicted: Vec<usize> = (0..p.labels.len()).map(|row| greatest(p.scores.row(row))).collect();
    let actual = |row: usize| p.labels[row] as usize;
    values.insert("log_loss".into(), p.mean(|row| -probability(p.scores.row(row)[actual(row)]).ln()));
    values.insert("accuracy".into(), p.mean(|row| f64::from(u8::from(predicted[row] == actual(row)))));
    values.insert("macro_f1".into(), macro_f1(p, &predicted));
    if let Some(auc) = roc_auc_ovr(p) {
        values.insert("roc_auc_ovr".into(), auc);
    }
}

/// Mean F1 over the classes that occur among the labels or the predictions.
fn macro_f1(p: &Predictions<'_>, predicted: &[usize]) -> f64 {
    // By class: weight of hits, of labels, of predictions, and whether it occurs at all.
    let mut sums = vec![(0.0, 0.0, 0.0, false); p.scores.n_outputs];
    for (row, predicted) in predicted.iter().enumerate() {
        let (w, actual) = (p.weight(row), p.labels[row] as usize);
        sums[actual].1 += w;
        sums[*predicted].2 += w;
        if actual == *predicted {
            sums[actual].0 += w;
        }
        sums[actual].3 = true;
        sums[*predicted].3 = true;
    }
    let f1 = |(hits, labels, predictions, _): &(f64, f64, f64, bool)| {
        if labels + predictions > 0.0 { 2.0 * hits / (labels + predictions) } else { 0.0 }
    };
    let occurring: Vec<f64> = sums.iter().filter(|sum| sum.3).map(f1).collect();
    occurring.iter().sum::<f64>() / occurring.len() as f64
}

/// Mean over the classes of the ROC AUC of each against the rest. Classes that occur in no row (or
/// in all) rank nothing and are left out, where scikit-learn refuses.
fn roc_auc_ovr(p: &Predictions<'_>) -> Option<f64> {
    let areas: Vec<f64> = (0..p.scores.n_outputs)
        .filter_map(|class| {
            let score = |row: usize| p.scores.row(row)[class];
            let positive = |row: usize| p.labels[row] as usize == class;
            curves::roc_auc(&Ranking::new(p.labels.len(), score, positive, |row| p.weight(row)))
        })
        .collect();
    (!areas.is_empty()).then(|| areas.iter().sum::<f64>() / areas.len() as f64)
}

/// Class of the greatest score; the first among equals.
fn greatest(scores: &[f32]) -> usize {
    let mut best = 0;
    for (class, score) in scores.iter().enumerate() {
        if *score > scores[best] {
            best = class;
        }
    }
    best
}

fn probability(score: f32) -> f64 {
    f64::from(score).clamp(f64::EPSILON, 1.0 - f64::EPSILON)
}

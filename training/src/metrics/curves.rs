use serde::{Deserialize, Serialize};

use super::counts::Ranking;

/// Most points of one curve.
const POINTS_MAX: usize = 200;
/// Equal-width bins of the calibration curve and of the expected calibration error.
pub(super) const CALIBRATION_BINS: usize = 15;

/// Curves of a binary evaluation, thinned for plotting; empty for other tasks and where undefined.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Curves {
    /// False positive rate (x) against true positive rate (y), from (0, 0) to (1, 1).
    pub roc: Vec<CurvePoint>,
    /// Recall (x) against precision (y), recall ascending.
    pub pr: Vec<CurvePoint>,
    /// Predicted probability against observed share of positives.
    pub calibration: Vec<CalibrationBin>,
}

/// A point of a curve.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    /// Horizontal.
    pub x: f64,
    /// Vertical.
    pub y: f64,
    /// Rows with at least this score count as positive; the first point of a ROC curve has a
    /// threshold above every score.
    pub threshold: f64,
}

/// A bin of the calibration curve; bins without rows are left out.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CalibrationBin {
    /// Mean predicted probability.
    pub predicted: f64,
    /// Share of positives.
    pub observed: f64,
    /// Share of all rows (of all weight) in this bin.
    pub share: f64,
}

/// Area under the ROC curve by trapezoids; `None` where a class is absent.
pub(super) fn roc_auc(ranking: &Ranking) -> Option<f64> {
    let area: f64 = ranking
        .steps()
        .map(|(from, to)| {
            (to.false_positive - from.false_positive) * (to.true_positive + from.true_positive) / 2.0
        })
        .sum();
    let whole = ranking.positive * ranking.negative;
    (whole > 0.0).then(|| area / whole)
}

/// Average precision: sum of precision times the gain in recall; `None` without positives.
pub(super) fn average_precision(ranking: &Ranking) -> Option<f64> {
    let sum: f64 =
        ranking.steps().map(|(from, to)| (to.true_positive - from.true_positive) * to.precision()).sum();
    (ranking.positive > 0.0).then(|| sum / ranking.positive)
}

/// Points of the ROC curve, at least 1/100 of its length apart.
pub(super) fn roc_points(ranking: &Ranking) -> Vec<CurvePoint> {
    if ranking.positive <= 0.0 || ranking.negative <= 0.0 {
        return Vec::new();
    }
    let above_all = f64::from(ranking.greatest_score().next_up());
    let points = ranking.steps().map(|(_, to)| CurvePoint {
        x: to.false_positive / ranking.negative,
        y: to.true_positive / ranking.positive,
        threshold: to.threshold,
    });
    let start = CurvePoint { x: 0.0, y: 0.0, threshold: above_all };
    thinned(std::iter::once(start).chain(points), 2.0, |a, b| (b.x - a.x) + (b.y - a.y))
}

/// Points of the precision-recall curve.
pub(super) fn pr_points(ranking: &Ranking) -> Vec<CurvePoint> {
    if ranking.positive <= 0.0 {
        return Vec::new();
    }
    let points = ranking.steps().map(|(_, to)| CurvePoint {
        x: to.true_positive / ranking.positive,
        y: to.precision(),
        threshold: to.threshold,
    });
    thinned(points, 1.0, |a, b| b.x - a.x)
}

/// Keeps the first point, the last, and between them points at least `length / POINTS_MAX` apart.
fn thinned(
    points: impl Iterator<Item = CurvePoint>,
    length: f64,
    distance: impl Fn(&CurvePoint, &CurvePoint) -> f64,
) -> Vec<CurvePoint> {
    let step = length / (POINTS_MAX - 3) as f64;
    let mut kept: Vec<CurvePoint> = Vec::with_capacity(POINTS_MAX);
    let mut skipped = None;
    for point in points {
        match kept.last() {
            Some(last) if distance(last, &point) < step => skipped = Some(point),
            _ => {
                kept.push(point);
                skipped = None;
            }
        }
    }
    kept.extend(skipped);
    kept
}

/// Bins of equal width over [0, 1]; bin `i` holds scores in [i / 15, (i + 1) / 15), the last one 1 too.
pub(super) fn calibration(
    scores: &[f32],
    positive: impl Fn(usize) -> bool,
    weight: impl Fn(usize) -> f64,
) -> Vec<CalibrationBin> {
    let mut sums = [(0.0, 0.0, 0.0); CALIBRATION_BINS];
    let mut total = 0.0;
    for (row, score) in scores.iter().enumerate() {
        let bin = ((f64::from(*score) * CALIBRATION_BINS as f64) as usize).min(CALIBRATION_BINS - 1);
        let w = weight(row);
        sums[bin].0 += w;
        sums[bin].1 += w * f64::from(*score);
        sums[bin].2 += if positive(row) { w } else { 0.0 };
        total += w;
    }
    let filled = sums.into_iter().filter(|(w, _, _)| *w > 0.0);
    filled.map(|(w, p, y)| CalibrationBin { predicted: p / w, observed: y / w, share: w / total }).collect()
}

/// Expected calibration error: mean distance of predicted and observed, by the rows in each bin.
pub(super) fn calibration_error(bins: &[CalibrationBin]) -> f64 {
    bins.iter().map(|bin| bin.share * (bin.predicted - bin.observed).abs()).sum()
}

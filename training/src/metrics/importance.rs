use cupola_datasets::FeatureBatch;
use cupola_datasets::features::LabelledBatch;
use cupola_models::Task;
use cupola_models::predict::Predictor;

use super::{EvaluateConfig, MetricsError, Predictions, evaluate_at};
use crate::split::splitmix64;

/// How much the primary metric loses when a feature's values are shuffled among the rows (Breiman 2001), for each
/// feature, numeric ones first; in the metric's unit, a greater number is a more important feature. One
/// shuffle per feature, the same for the same seed.
///
/// # Errors
/// The rows cannot be scored or evaluated.
pub fn permutation_importance(
    task: &Task,
    model: &dyn Predictor,
    rows: &LabelledBatch,
    config: &EvaluateConfig,
    seed: u64,
) -> Result<Vec<f64>, MetricsError> {
    let value = |features: &FeatureBatch| -> Result<f64, MetricsError> {
        let scores = model.predict(features).map_err(|error| MetricsError::Model(error.to_string()))?;
        let (weights, groups) = (rows.weights.as_deref(), rows.groups.as_deref());
        let predictions = Predictions { scores: &scores, labels: &rows.labels, weights, groups };
        let evaluation = evaluate_at(task, predictions, config, None)?;
        let sign = if evaluation.greater_is_better { 1.0 } else { -1.0 };
        Ok(evaluation.primary_value().map_or(f64::NAN, |value| sign * value))
    };
    let whole = value(&rows.features)?;
    let order = shuffled(rows.features.n_rows, seed);
    let mut features = rows.features.clone();
    let (n_numeric, n_categorical) = (features.n_numeric, features.n_categorical);
    let mut losses = Vec::with_capacity(n_numeric + n_categorical);
    for feature in 0..n_numeric {
        shuffle(&rows.features.numeric, &mut features.numeric, (feature, n_numeric), &order);
        losses.push(whole - value(&features)?);
        features.numeric.copy_from_slice(&rows.features.numeric);
    }
    for feature in 0..n_categorical {
        shuffle(&rows.features.categorical, &mut features.categorical, (feature, n_categorical), &order);
        losses.push(whole - value(&features)?);
        features.categorical.copy_from_slice(&rows.features.categorical);
    }
    Ok(losses)
}

fn shuffled(n_rows: usize, seed: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n_rows).collect();
    order.sort_by_key(|row| splitmix64(*row as u64, seed));
    order
}

fn shuffle<T: Copy>(from: &[T], to: &mut [T], (feature, width): (usize, usize), order: &[usize]) {
    for (row, other) in order.iter().enumerate() {
        to[row * width + feature] = from[other * width + feature];
    }
}

#[cfg(test)]
mod tests {
    use cupola_models::predict::{PredictError, Scores};

    use super::*;

    /// Says the first number.
    struct First;

    impl Predictor for First {
        fn predict(&self, batch: &FeatureBatch) -> Result<Scores, PredictError> {
            Ok(Scores { n_outputs: 1, values: batch.numeric.iter().step_by(2).copied().collect() })
        }
    }

    #[test]
    fn only_the_feature_that_the_model_reads_is_important() {
        let numeric = (0..200).flat_map(|i| [i as f32, 7.0 - i as f32]).collect();
        let features =
            FeatureBatch { n_rows: 200, n_numeric: 2, n_categorical: 1, numeric, categorical: vec![1; 200] };
        let labels = (0..200).map(|i| i as f32).collect();
        let rows = LabelledBatch { features, labels, ..LabelledBatch::default() };
        let found =
            permutation_importance(&Task::Regression, &First, &rows, &EvaluateConfig::default(), 1).unwrap();
        // Two independent draws from 0..199 differ by sqrt(2 (200^2 - 1) / 12) = 81.6 in the mean square.
        assert!((found[0] - 81.6).abs() < 10.0, "{found:?}");
        assert_eq!(found[1..], [0.0, 0.0]);
    }
}

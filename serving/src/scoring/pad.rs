use cupola_datasets::FeatureBatch;
use cupola_models::predict::PredictError;
use cupola_models::{Predictor, Scores};

/// Scores a batch in the sizes its predictor is fastest at: cut to the largest, filled up with zero
/// rows to the next one. A GPU compiles and tunes its kernels per size, so other sizes would stall.
pub(super) fn predict(predictor: &dyn Predictor, batch: FeatureBatch) -> Result<Scores, PredictError> {
    let sizes = predictor.batch_sizes();
    let Some(&largest) = sizes.last() else {
        return predictor.predict(&batch);
    };
    let mut scores = Scores::default();
    for start in (0..batch.n_rows).step_by(largest.max(1)) {
        let n_rows = (batch.n_rows - start).min(largest);
        let padded = sizes.iter().copied().find(|size| *size >= n_rows).unwrap_or(n_rows);
        let part = predictor.predict(&part(&batch, start, n_rows, padded))?;
        scores.n_outputs = part.n_outputs;
        scores.values.extend_from_slice(&part.values[..n_rows * part.n_outputs]);
    }
    Ok(scores)
}

fn part(batch: &FeatureBatch, start: usize, n_rows: usize, padded: usize) -> FeatureBatch {
    let rows = |values: usize| start * values..(start + n_rows) * values;
    let mut numeric = batch.numeric[rows(batch.n_numeric)].to_vec();
    let mut categorical = batch.categorical[rows(batch.n_categorical)].to_vec();
    numeric.resize(padded * batch.n_numeric, 0.0);
    categorical.resize(padded * batch.n_categorical, 0);
    FeatureBatch { n_rows: padded, numeric, categorical, ..*batch }
}

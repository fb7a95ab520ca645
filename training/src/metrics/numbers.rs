use indexmap::IndexMap;

use super::Predictions;

/// RMSE, MAE and R2. With constant labels R2 is 1 for exact predictions, else 0, as in scikit-learn.
pub(super) fn regression(p: &Predictions<'_>, values: &mut IndexMap<String, f64>) {
    let error = |row: usize| p.score(row) - p.label(row);
    let mse = p.mean(|row| error(row).powi(2));
    let mean = p.mean(|row| p.label(row));
    let variance = p.mean(|row| (p.label(row) - mean).powi(2));
    let r2 = match (mse, variance) {
        (_, variance) if variance > 0.0 => 1.0 - mse / variance,
        (mse, _) if mse > 0.0 => 0.0,
        _ => 1.0,
    };
    values.insert("rmse".into(), mse.sqrt());
    values.insert("mae".into(), p.mean(|row| error(row).abs()));
    values.insert("r2".into(), r2);
}

/// Mean Poisson deviance, RMSE, and the sum of predictions over the sum of counts.
pub(super) fn poisson(p: &Predictions<'_>, values: &mut IndexMap<String, f64>) {
    // The deviance needs positive rates; exp of a very negative log rate rounds to 0.
    let rate = |row: usize| p.score(row).max(f64::from(f32::MIN_POSITIVE));
    let deviance = |row: usize| {
        let (y, mu) = (p.label(row), rate(row));
        let log = if y > 0.0 { y * (y / mu).ln() } else { 0.0 };
        2.0 * (log - y + mu)
    };
    values.insert("mean_poisson_deviance".into(), p.mean(deviance));
    values.insert("rmse".into(), p.mean(|row| (p.score(row) - p.label(row)).powi(2)).sqrt());
    let counts = p.mean(|row| p.label(row));
    if counts > 0.0 {
        values.insert("sum_ratio".into(), p.mean(|row| p.score(row)) / counts);
    }
}

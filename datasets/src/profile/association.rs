use super::data_profile::{Association, Measure};

/// The label of a batch, as columns are compared with it.
pub(super) enum LabelValues {
    /// A number, or a bool as 0 and 1; NaN: missing.
    Numbers(Vec<f64>),
    /// A class by its index; `None`: missing, or one class too many.
    Classes(Vec<Option<usize>>),
}

/// Two numbers' joint moments, merged batch by batch as in `Moments`.
#[derive(Default)]
pub(super) struct JointMoments {
    n: f64,
    mean: [f64; 2],
    squares: [f64; 2],
    product: f64,
}

impl JointMoments {
    pub(super) fn add(&mut self, x: &[f64], y: &[f64]) {
        let pairs = || x.iter().zip(y).filter(|(x, y)| !x.is_nan() && !y.is_nan());
        let (n, sx, sy) = pairs().fold((0.0, 0.0, 0.0), |(n, sx, sy), (x, y)| (n + 1.0, sx + x, sy + y));
        if n == 0.0 {
            return;
        }
        let mean = [sx / n, sy / n];
        let (mut squares, mut product) = ([0.0; 2], 0.0);
        for (x, y) in pairs() {
            let (dx, dy) = (x - mean[0], y - mean[1]);
            squares[0] += dx * dx;
            squares[1] += dy * dy;
            product += dx * dy;
        }
        let delta = [mean[0] - self.mean[0], mean[1] - self.mean[1]];
        let total = self.n + n;
        let weight = self.n * n / total;
        self.product += product + delta[0] * delta[1] * weight;
        for i in 0..2 {
            self.squares[i] += squares[i] + delta[i] * delta[i] * weight;
            self.mean[i] += delta[i] * n / total;
        }
        self.n = total;
    }

    pub(super) fn pearson(&self) -> Option<Association> {
        let value = self.product / (self.squares[0] * self.squares[1]).sqrt();
        let value = value.is_finite().then(|| value.clamp(-1.0, 1.0))?;
        Some(Association { measure: Measure::Pearson, value })
    }
}

/// Correlation ratio of a number between groups of (rows, sum), corrected for the number of
/// groups: with as many groups as rows nothing is explained. `squares` is the sum of squared
/// distances from the overall mean.
pub(super) fn correlation_ratio(
    groups: impl Iterator<Item = (f64, f64)> + Clone,
    squares: f64,
) -> Option<Association> {
    let groups = groups.filter(|(n, _)| *n > 0.0);
    let (k, n, sum) = groups.clone().fold((0.0, 0.0, 0.0), |(k, n, sum), g| (k + 1.0, n + g.0, sum + g.1));
    if n - k < 1.0 || squares <= 0.0 {
        return None;
    }
    let mean = sum / n;
    let between: f64 = groups.map(|(n, sum)| n * (sum / n - mean) * (sum / n - mean)).sum();
    let epsilon = 1.0 - (1.0 - between / squares) * (n - 1.0) / (n - k);
    let value = epsilon.clamp(0.0, 1.0).sqrt();
    value.is_finite().then_some(Association { measure: Measure::CorrelationRatio, value })
}

/// Cramér's V of a table of counts with Bergsma's correction (2013). Rows: categories, columns: classes.
pub(super) fn cramers_v<'a>(rows: impl Iterator<Item = &'a [u64]> + Clone) -> Option<Association> {
    let mut columns: Vec<f64> = Vec::new();
    let mut n_rows = 0.0;
    for row in rows.clone().filter(|r| r.iter().any(|c| *c > 0)) {
        n_rows += 1.0;
        columns.resize(columns.len().max(row.len()), 0.0);
        row.iter().zip(&mut columns).for_each(|(c, sum)| *sum += *c as f64);
    }
    let n: f64 = columns.iter().sum();
    let n_columns = columns.iter().filter(|c| **c > 0.0).count() as f64;
    if n_rows < 2.0 || n_columns < 2.0 || n < 2.0 {
        return None;
    }
    let mut chi = 0.0;
    for row in rows {
        let total: f64 = row.iter().map(|c| *c as f64).sum();
        for (i, column) in columns.iter().enumerate().filter(|(_, c)| **c > 0.0) {
            let expected = total * column / n;
            let found = row.get(i).copied().unwrap_or_default() as f64;
            if expected > 0.0 {
                chi += (found - expected) * (found - expected) / expected;
            }
        }
    }
    let (r, c) = (n_rows - 1.0, n_columns - 1.0);
    let phi = (chi / n - r * c / (n - 1.0)).max(0.0);
    let (r, c) = (r - r * r / (n - 1.0), c - c * c / (n - 1.0));
    let value = (phi / r.min(c)).sqrt().clamp(0.0, 1.0);
    value.is_finite().then_some(Association { measure: Measure::CramersV, value })
}

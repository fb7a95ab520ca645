/// Count, mean, variance and range of a stream of numbers (NaN: missing), batch by batch.
///
/// Batches are merged by the update of Chan, Golub and LeVeque, which stays exact enough for any
/// number of rows and any offset.
#[derive(Clone, Debug, Default)]
pub(crate) struct Moments {
    /// Numbers seen.
    pub(crate) n: u64,
    /// Rows without one.
    pub(crate) n_missing: u64,
    /// Their mean.
    pub(crate) mean: f64,
    m2: f64,
    /// Smallest; 0 of nothing.
    pub(crate) min: f64,
    /// Largest; 0 of nothing.
    pub(crate) max: f64,
}

impl Moments {
    /// Adds a batch.
    pub(crate) fn add(&mut self, numbers: &[f64]) {
        let (mut n, mut sum, mut min, mut max) = (0_u64, 0.0, f64::INFINITY, f64::NEG_INFINITY);
        for x in numbers.iter().filter(|x| !x.is_nan()) {
            n += 1;
            sum += x;
            min = min.min(*x);
            max = max.max(*x);
        }
        self.n_missing += numbers.len() as u64 - n;
        if n == 0 {
            return;
        }
        let mean = sum / n as f64;
        let m2: f64 = numbers.iter().filter(|x| !x.is_nan()).map(|x| (x - mean) * (x - mean)).sum();
        let total = (self.n + n) as f64;
        let delta = mean - self.mean;
        (self.min, self.max) = if self.n == 0 { (min, max) } else { (self.min.min(min), self.max.max(max)) };
        self.m2 += m2 + delta * delta * (self.n as f64) * (n as f64) / total;
        self.mean += delta * n as f64 / total;
        self.n += n;
    }

    /// Standard deviation of the numbers themselves (divisor n); 0 of nothing.
    pub(crate) fn sd(&self) -> f64 {
        (self.m2 / self.n.max(1) as f64).sqrt()
    }

    /// Sum of squared distances from the mean.
    pub(crate) fn squares(&self) -> f64 {
        self.m2
    }
}

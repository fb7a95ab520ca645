use super::config::Normalise;
use super::moments::Moments;
use super::plan::{NumericFeature, NumericStep, Scale};
use super::reservoir::{Chosen, place};
use crate::prepare::{Clip, Impute, ImputeStatistic};

/// Knots of the quantile normalisation, at most; scikit-learn's default.
const QUANTILES_MAX: usize = 1_000;

/// What one number needs to become a feature: moments of all rows, values of a sample.
#[derive(Default)]
pub(super) struct NumericFit {
    moments: Moments,
    /// NaN where the sampled row has no value.
    sample: Vec<f64>,
}

impl NumericFit {
    /// Adds a batch (NaN: missing) and the rows of it that are `chosen` for the sample.
    pub(super) fn add(&mut self, numbers: &[f64], chosen: &Chosen) {
        place(&mut self.sample, numbers, chosen);
        self.moments.add(numbers);
    }

    /// The feature, and its missing flag when some rows, but not all, have no value.
    pub(super) fn finish(
        mut self,
        name: &str,
        normalise: Normalise,
        impute: Option<&Impute>,
        clip: Option<&Clip>,
    ) -> Vec<NumericFeature> {
        let named = |step| NumericFeature { name: name.into(), source: name.into(), step };
        self.sample.retain(|x| !x.is_nan());
        self.sample.sort_unstable_by(f64::total_cmp);
        let clip = clip.map(|clip| match clip {
            Clip::Value(limits) => *limits,
            Clip::Quantile(orders) => orders.map(|q| quantile(&self.sample, q)),
        });
        if normalise == Normalise::Raw && impute.is_none() {
            return vec![named(NumericStep::Raw { clip: clip.filter(|c| !c[0].is_nan()) })];
        }
        let impute = match impute {
            Some(Impute::Value(value)) => *value,
            Some(Impute::Statistic(ImputeStatistic::Mean)) => self.moments.mean,
            Some(Impute::Statistic(ImputeStatistic::Median)) | None => quantile(&self.sample, 0.5),
        };
        let scale = self.scale(normalise, clip);
        let value = NumericStep::Value { impute: if impute.is_finite() { impute } else { 0.0 }, clip, scale };
        let mut features = vec![named(value)];
        if self.moments.n_missing > 0 && self.moments.n > 0 {
            features.push(NumericFeature {
                name: format!("{name}.missing"),
                source: name.into(),
                step: NumericStep::Missing,
            });
        }
        features
    }

    fn scale(&mut self, normalise: Normalise, clip: Option<[f64; 2]>) -> Scale {
        let (mut mean, mut sd) = (self.moments.mean, self.moments.sd());
        let (mut min, mut max) = (self.moments.min, self.moments.max);
        if let Some([low, high]) = clip {
            self.sample.iter_mut().for_each(|x| *x = x.clamp(low, high));
            let n = self.sample.len().max(1) as f64;
            mean = self.sample.iter().sum::<f64>() / n;
            sd = (self.sample.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / n).sqrt();
            (min, max) = (min.clamp(low, high), max.clamp(low, high));
        }
        if self.moments.n == 0 || min == max || !(sd.is_finite() && sd > 0.0) {
            return Scale::Constant;
        }
        let two_valued = self.sample.iter().all(|x| *x == min || *x == max);
        match normalise {
            Normalise::None | Normalise::Raw => Scale::None,
            Normalise::Quantile if !two_valued => Scale::Quantile { quantiles: quantiles(&self.sample) },
            Normalise::Quantile | Normalise::Standard => Scale::Standard { mean, sd },
        }
    }
}

/// The quantiles of the orders `i / (len - 1)`, never falling.
fn quantiles(sorted: &[f64]) -> Vec<f64> {
    let n = sorted.len().clamp(2, QUANTILES_MAX);
    let mut high = f64::NEG_INFINITY;
    (0..n)
        .map(|i| {
            high = high.max(quantile(sorted, i as f64 / (n - 1) as f64));
            high
        })
        .collect()
}

/// The quantile of order `q` by linear interpolation, as `numpy.percentile` has it; NaN of nothing.
pub(crate) fn quantile(sorted: &[f64], q: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let position = q.clamp(0.0, 1.0) * last as f64;
    let below = position.floor() as usize;
    let (a, b) = (sorted[below], sorted[(below + 1).min(last)]);
    let t = position - below as f64;
    // Halves first: the difference of two huge numbers overflows.
    if a == b { a } else { a * (1.0 - t) + b * t }
}

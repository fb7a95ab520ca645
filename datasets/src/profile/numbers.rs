use super::association::{JointMoments, LabelValues, correlation_ratio};
use super::data_profile::{Association, NumericProfile, QuantileValue};
use super::histogram::Histogram;
use crate::features::{Chosen, Moments, place, quantile};

const ORDERS: [f64; 7] = [0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99];

/// A column as numbers.
#[derive(Default)]
pub(super) struct Numbers {
    moments: Moments,
    sample: Vec<f64>,
    joint: JointMoments,
    /// Rows and sum per class of the label.
    classes: Vec<(f64, f64)>,
    by_class: bool,
}

impl Numbers {
    pub(super) fn add(&mut self, numbers: &[f64], chosen: &Chosen, label: Option<&LabelValues>) {
        self.moments.add(numbers);
        place(&mut self.sample, numbers, chosen);
        match label {
            Some(LabelValues::Numbers(y)) => self.joint.add(numbers, y),
            Some(LabelValues::Classes(classes)) => {
                self.by_class = true;
                for (x, class) in numbers.iter().zip(classes) {
                    if let (false, Some(class)) = (x.is_nan(), *class) {
                        self.classes.resize(self.classes.len().max(class + 1), (0.0, 0.0));
                        self.classes[class].0 += 1.0;
                        self.classes[class].1 += x;
                    }
                }
            }
            None => {}
        }
    }

    /// Sum of squared distances from the mean.
    pub(super) fn squares(&self) -> f64 {
        self.moments.squares()
    }

    pub(super) fn association(&self) -> Option<Association> {
        if self.by_class {
            return correlation_ratio(self.classes.iter().copied(), self.moments.squares());
        }
        self.joint.pearson()
    }

    pub(super) fn finish(mut self) -> Option<NumericProfile> {
        self.sample.retain(|x| !x.is_nan());
        self.sample.sort_unstable_by(f64::total_cmp);
        let Moments { n, mean, min, max, .. } = self.moments;
        if n == 0 || self.sample.is_empty() {
            return None;
        }
        Some(NumericProfile {
            mean,
            sd: self.moments.sd(),
            min,
            max,
            quantiles: ORDERS
                .iter()
                .map(|&order| QuantileValue { order, value: quantile(&self.sample, order) })
                .collect(),
            histogram: Histogram::for_eyes(&self.sample, min, max),
            deciles: Histogram::deciles(&self.sample, min, max),
        })
    }
}

use cupola_datasets::features::LabelledBatch;
use cupola_models::Task;
use cupola_models::mlp::{MlpShape, MlpWeights, OutputScale};

use super::{ClassWeights, TrainError};
use crate::metrics::{expected_label, is_label};

/// What is learned from the training labels before the first step.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Targets {
    /// Mean and standard deviation of a regression's labels.
    pub scale: Option<OutputScale>,
    /// Output biases that predict the base rate.
    pub bias: Vec<f32>,
    /// Factor of each class's rows in the loss; empty where all are 1.
    class_weights: Vec<f32>,
    /// Brings the mean weight of a row to 1, so that the learning rate keeps its meaning.
    weight_factor: f32,
}

impl Targets {
    /// Turns labels into what the network is to output, and weights into factors of the loss.
    /// Rows keep no weights where all count the same.
    pub fn apply(&self, batch: &mut LabelledBatch) {
        if !self.class_weights.is_empty() {
            let of_class = |label: &f32| self.class_weights[*label as usize];
            match &mut batch.weights {
                Some(weights) => {
                    weights.iter_mut().zip(&batch.labels).for_each(|(w, label)| *w *= of_class(label))
                }
                None => batch.weights = Some(batch.labels.iter().map(of_class).collect()),
            }
        }
        if let Some(weights) = &mut batch.weights {
            weights.iter_mut().for_each(|weight| *weight *= self.weight_factor);
        }
        if let Some(OutputScale { mean, sd }) = self.scale {
            batch.labels.iter_mut().for_each(|label| *label = (*label - mean) / sd);
        }
    }

    /// Puts scale and output bias into the initial weights.
    pub fn start_from(&self, weights: &mut MlpWeights) {
        if let Some(scale) = self.scale {
            weights.set_output_scale(scale);
        }
        if let Some(mut bias) = weights.get("output.bias").cloned() {
            bias.values.clone_from(&self.bias);
            weights.insert("output.bias", bias);
        }
    }
}

/// Sums over the training rows, from which [`Targets`] follow. Checks every row on the way.
pub(super) struct TargetSums<'a> {
    task: &'a Task,
    shape: &'a MlpShape,
    pub n_rows: usize,
    weight: f64,
    /// Running mean and sum of squared deviations of the labels, by weight (West 1979).
    mean: f64,
    deviation: f64,
    /// Weight of each class's rows.
    classes: Vec<f64>,
}

impl<'a> TargetSums<'a> {
    pub fn new(task: &'a Task, shape: &'a MlpShape) -> Self {
        let n_classes = match task {
            Task::Binary { .. } => 2,
            Task::Multiclass { classes } => classes.len(),
            Task::Regression | Task::Poisson | Task::Ranking => 0,
        };
        Self { task, shape, n_rows: 0, weight: 0.0, mean: 0.0, deviation: 0.0, classes: vec![0.0; n_classes] }
    }

    pub fn add(&mut self, batch: &LabelledBatch) -> Result<(), TrainError> {
        self.check_features(batch)?;
        for (i, label) in batch.labels.iter().enumerate() {
            let row = self.n_rows + i;
            if !is_label(self.task, *label) {
                return Err(TrainError::Label { row, value: *label, expected: expected_label(self.task) });
            }
            let weight = batch.weights.as_ref().map_or(1.0, |weights| weights[i]);
            if !(weight.is_finite() && weight >= 0.0) {
                return Err(TrainError::Weight { row, value: weight });
            }
            self.add_label(f64::from(*label), f64::from(weight));
        }
        self.n_rows += batch.labels.len();
        Ok(())
    }

    fn add_label(&mut self, label: f64, weight: f64) {
        if weight == 0.0 {
            return;
        }
        self.weight += weight;
        let step = (label - self.mean) * weight / self.weight;
        self.deviation += weight * (label - self.mean) * (label - self.mean - step);
        self.mean += step;
        if let Some(class) = self.classes.get_mut(label as usize) {
            *class += weight;
        }
    }

    fn check_features(&self, batch: &LabelledBatch) -> Result<(), TrainError> {
        let features = &batch.features;
        let expected = (self.shape.n_numeric, self.shape.cardinalities.len());
        if (features.n_numeric, features.n_categorical) != expected {
            let found = features.n_numeric + features.n_categorical;
            return Err(TrainError::Features { expected: expected.0 + expected.1, found });
        }
        if let Some(at) = features.numeric.iter().position(|number| !number.is_finite()) {
            let (row, feature) = (self.n_rows + at / features.n_numeric, at % features.n_numeric);
            return Err(TrainError::NotFinite { row, feature, value: features.numeric[at] });
        }
        let width = features.n_categorical;
        for (at, code) in features.categorical.iter().enumerate() {
            let cardinality = self.shape.cardinalities[at % width];
            if *code as usize >= cardinality {
                let row = self.n_rows + at / width;
                return Err(TrainError::Code { row, feature: at % width, code: *code, cardinality });
            }
        }
        Ok(())
    }

    pub fn finish(self, class_weights: ClassWeights) -> Result<Targets, TrainError> {
        if self.n_rows == 0 {
            return Err(TrainError::NoRows { part: "train" });
        }
        if self.weight <= 0.0 {
            return Err(TrainError::Weight { row: 0, value: 0.0 });
        }
        self.check_classes()?;
        let balanced = class_weights == ClassWeights::Balanced && !self.classes.is_empty();
        let factors = if balanced { self.balanced() } else { Vec::new() };
        let factor = |class: usize| factors.get(class).copied().unwrap_or(1.0);
        let weight = match self.classes.len() {
            0 => self.weight,
            _ => self.classes.iter().enumerate().map(|(class, w)| w * factor(class)).sum(),
        };
        Ok(Targets {
            scale: matches!(self.task, Task::Regression).then(|| self.scale()),
            bias: self.bias(&factor),
            class_weights: factors.iter().map(|factor| *factor as f32).collect(),
            weight_factor: (self.n_rows as f64 / weight) as f32,
        })
    }

    fn check_classes(&self) -> Result<(), TrainError> {
        let mut occurring = self.classes.iter().enumerate().filter(|(_, weight)| **weight > 0.0);
        let (Some((class, _)), None) = (occurring.next(), occurring.next()) else { return Ok(()) };
        let label = match self.task {
            Task::Binary { classes } => classes[class].clone(),
            Task::Multiclass { classes } => classes[class].clone(),
            Task::Regression | Task::Poisson | Task::Ranking => return Ok(()),
        };
        Err(TrainError::OneClass { n_rows: self.n_rows, label })
    }

    /// n / (classes * rows of the class), as scikit-learn; classes without rows keep 1.
    fn balanced(&self) -> Vec<f64> {
        let n_classes = self.classes.iter().filter(|weight| **weight > 0.0).count() as f64;
        let of_class = |weight: &f64| if *weight > 0.0 { self.weight / (n_classes * weight) } else { 1.0 };
        self.classes.iter().map(of_class).collect()
    }

    fn scale(&self) -> OutputScale {
        let sd = (self.deviation / self.weight).sqrt() as f32;
        // Constant labels: the network learns 0, which stands for their value.
        OutputScale { mean: self.mean as f32, sd: if sd > 0.0 && sd.is_finite() { sd } else { 1.0 } }
    }

    /// Log odds, log shares or log rate of the training rows. Half a row stands in for none.
    fn bias(&self, factor: &dyn Fn(usize) -> f64) -> Vec<f32> {
        let share =
            |class: usize| (self.classes[class] * factor(class)).max(0.5 * self.weight / self.n_rows as f64);
        match self.task {
            Task::Binary { .. } => vec![(share(1) / share(0)).ln() as f32],
            Task::Multiclass { classes } => {
                let total: f64 = (0..classes.len()).map(share).sum();
                (0..classes.len()).map(|class| (share(class) / total).ln() as f32).collect()
            }
            Task::Regression | Task::Ranking => vec![0.0],
            Task::Poisson => vec![self.mean.max(0.5 / self.n_rows as f64).ln() as f32],
        }
    }
}

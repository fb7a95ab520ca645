//! The first pass: checks every row, sums the labels up, and draws the sample that cuts are chosen from.

use cupola_datasets::features::LabelledBatch;
use cupola_models::Task;
use cupola_models::trees::Objective;
use cupola_models::trees::learner::{CutBudget, FeatureBins, Sampled};
use rayon::prelude::*;

use super::input::BoostInput;
use crate::metrics::{expected_label, is_label};
use crate::split::{Part, splitmix64};
use crate::trainer::{ClassWeights, TrainError};

/// Memory for sampled rows, at most.
const SAMPLE_BYTES_MAX: usize = 256 << 20;

/// Bins that 16 bits tell apart.
const BINS_MAX: usize = 65_536;

/// What the first pass learned.
pub struct Sketch {
    pub n_rows: usize,
    pub features: Vec<FeatureBins>,
    /// Factor of each class's rows in the loss; empty where all are 1.
    pub class_weights: Vec<f32>,
}

/// Reads the training rows once.
pub fn sketch(input: &BoostInput<'_>, objective: Objective) -> Result<Sketch, TrainError> {
    let n_rows = input.table.n_rows(Part::Train)?;
    if n_rows > u32::MAX as usize {
        return Err(TrainError::TooManyRows { n_rows });
    }
    let mut features = input.features.categorical.iter().zip(input.features.cardinalities);
    if let Some((name, cardinality)) = features.find(|(_, cardinality)| **cardinality > BINS_MAX) {
        let (feature, cardinality) = ((*name).to_owned(), *cardinality);
        return Err(TrainError::TooManyCategories { feature, cardinality, cardinality_max: BINS_MAX });
    }
    let mut pass = Pass::new(input, objective, n_rows);
    for batch in input.table.batches(Part::Train)? {
        pass.add(&batch?)?;
    }
    pass.finish()
}

struct Pass<'a> {
    input: &'a BoostInput<'a>,
    objective: Objective,
    /// A row is drawn where its hash is below this.
    limit: u64,
    n_rows: usize,
    weight: f64,
    classes: Vec<f64>,
    /// Numbers of sampled rows, row-major.
    values: Vec<f32>,
    labels: Vec<f32>,
}

impl<'a> Pass<'a> {
    fn new(input: &'a BoostInput<'a>, objective: Objective, n_rows: usize) -> Self {
        let row_bytes = (input.features.numeric.len() + 1) * size_of::<f32>();
        let wanted = input.config.sample_rows_max.min(SAMPLE_BYTES_MAX / row_bytes);
        let share = wanted as f64 / n_rows.max(1) as f64;
        let limit = if share >= 1.0 { u64::MAX } else { (share * u64::MAX as f64) as u64 };
        let n_classes = match input.task {
            Task::Binary { .. } => 2,
            Task::Multiclass { classes } => classes.len(),
            Task::Regression | Task::Poisson | Task::Ranking => 0,
        };
        Self {
            input,
            objective,
            limit,
            n_rows: 0,
            weight: 0.0,
            classes: vec![0.0; n_classes],
            values: Vec::new(),
            labels: Vec::new(),
        }
    }

    fn add(&mut self, batch: &LabelledBatch) -> Result<(), TrainError> {
        check_features(batch, self.input, self.n_rows)?;
        let n_numeric = batch.features.n_numeric;
        for (i, label) in batch.labels.iter().enumerate() {
            let row = self.n_rows + i;
            check_label(self.input.task, self.objective, *label, row)?;
            let weight = batch.weights.as_ref().map_or(1.0, |weights| weights[i]);
            if !(weight.is_finite() && weight >= 0.0) {
                return Err(TrainError::Weight { row, value: weight });
            }
            self.weight += f64::from(weight);
            if let Some(class) = self.classes.get_mut(*label as usize) {
                *class += f64::from(weight);
            }
            if splitmix64(row as u64, self.input.seed ^ 0x5A_3B1E) <= self.limit {
                self.values.extend_from_slice(&batch.features.numeric[i * n_numeric..(i + 1) * n_numeric]);
                self.labels.push(*label);
            }
        }
        self.n_rows += batch.labels.len();
        Ok(())
    }

    fn finish(self) -> Result<Sketch, TrainError> {
        if self.n_rows == 0 {
            return Err(TrainError::NoRows { part: "train" });
        }
        if self.weight <= 0.0 {
            return Err(TrainError::Weight { row: 0, value: 0.0 });
        }
        self.check_classes()?;
        let targets = self.targets();
        let config = self.input.config;
        let budget = CutBudget {
            bins_max: config.max_bin,
            wide_bins_max: config.max_bin_wide,
            side_rows_min: self.side_rows_min(),
        };
        let n_numeric = self.input.features.numeric.len();
        let margin = config.base_margin.as_deref().and_then(|name| self.input.features.position(name));
        let numeric = (0..n_numeric).into_par_iter().map(|feature| {
            if Some(feature) == margin {
                return FeatureBins::Unused;
            }
            let values = self.values.iter().skip(feature).step_by(n_numeric);
            let sampled =
                values.zip(&targets).map(|(value, target)| Sampled { value: *value, target: *target });
            let mut sample: Vec<Sampled> = sampled.filter(|sampled| !sampled.value.is_nan()).collect();
            FeatureBins::numeric(&mut sample, budget)
        });
        let mut features: Vec<FeatureBins> = numeric.collect();
        let codes = self.input.features.cardinalities.iter();
        features.extend(codes.map(|cardinality| FeatureBins::Categorical { cardinality: *cardinality }));
        Ok(Sketch { n_rows: self.n_rows, features, class_weights: self.class_weights() })
    }

    fn check_classes(&self) -> Result<(), TrainError> {
        let mut occurring = (0..self.classes.len()).filter(|class| self.classes[*class] > 0.0);
        let (Some(class), None) = (occurring.next(), occurring.next()) else { return Ok(()) };
        let label = match self.input.task {
            Task::Binary { classes } => classes[class].clone(),
            Task::Multiclass { classes } => classes[class].clone(),
            Task::Regression | Task::Poisson | Task::Ranking => return Ok(()),
        };
        Err(TrainError::OneClass { n_rows: self.n_rows, label })
    }

    /// Labels of the sample in standard deviations from their mean. Classes become numbers at random: cuts that
    /// tell any two of them apart tell most of these apart.
    fn targets(&self) -> Vec<f32> {
        let number = |label: f32| match self.input.task {
            Task::Multiclass { .. } => splitmix64(label as u64, 0xC1A55) as f64 / u64::MAX as f64,
            _ => f64::from(label),
        };
        let n = self.labels.len().max(1) as f64;
        let mean = self.labels.iter().map(|label| number(*label)).sum::<f64>() / n;
        let variance = self.labels.iter().map(|label| (number(*label) - mean).powi(2)).sum::<f64>() / n;
        let sd = if variance > 0.0 { variance.sqrt() } else { 1.0 };
        self.labels.iter().map(|label| ((number(*label) - mean) / sd) as f32).collect()
    }

    /// So many rows that one of a rare class is to be expected among them.
    fn side_rows_min(&self) -> usize {
        const ROWS: usize = 8;
        let positives = self.labels.iter().filter(|label| **label != 0.0).count();
        match self.input.task {
            Task::Binary { .. } | Task::Poisson => (self.labels.len() / positives.max(1)).clamp(ROWS, 1_000),
            Task::Multiclass { .. } | Task::Regression | Task::Ranking => ROWS,
        }
    }

    /// n / (classes * rows of the class), as scikit-learn; classes without rows keep 1.
    fn class_weights(&self) -> Vec<f32> {
        if self.input.class_weights == ClassWeights::None {
            return Vec::new();
        }
        let n_classes = self.classes.iter().filter(|weight| **weight > 0.0).count() as f64;
        let of_class = |weight: &f64| if *weight > 0.0 { self.weight / (n_classes * weight) } else { 1.0 };
        self.classes.iter().map(|weight| of_class(weight) as f32).collect()
    }
}

fn check_features(batch: &LabelledBatch, input: &BoostInput<'_>, first: usize) -> Result<(), TrainError> {
    let (features, of) = (&batch.features, input.features);
    let expected = of.numeric.len() + of.cardinalities.len();
    if (features.n_numeric, features.n_categorical) != (of.numeric.len(), of.cardinalities.len()) {
        return Err(TrainError::Features { expected, found: features.n_numeric + features.n_categorical });
    }
    if let Some(at) = features.numeric.iter().position(|number| number.is_infinite()) {
        let (row, feature) = (first + at / features.n_numeric, at % features.n_numeric);
        return Err(TrainError::NotFinite { row, feature, value: features.numeric[at] });
    }
    let width = features.n_categorical;
    for (at, code) in features.categorical.iter().enumerate() {
        let cardinality = of.cardinalities[at % width];
        if *code as usize >= cardinality {
            let (row, feature) = (first + at / width, at % width);
            return Err(TrainError::Code { row, feature, code: *code, cardinality });
        }
    }
    Ok(())
}

fn check_label(task: &Task, objective: Objective, label: f32, row: usize) -> Result<(), TrainError> {
    if !is_label(task, label) {
        return Err(TrainError::Label { row, value: label, expected: expected_label(task) });
    }
    let expected = match objective {
        Objective::Gamma if label <= 0.0 => "`reg:gamma` learns numbers above 0",
        Objective::Poisson if label < 0.0 => "`count:poisson` learns numbers of at least 0",
        Objective::Tweedie if label < 0.0 => "`reg:tweedie` learns numbers of at least 0",
        _ => return Ok(()),
    };
    Err(TrainError::Label { row, value: label, expected })
}

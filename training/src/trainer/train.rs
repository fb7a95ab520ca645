use std::path::Path;
use std::time::Instant;

use cupola_datasets::features::LabelledBatch;
use cupola_models::mlp::{MlpShape, MlpWeights};
use cupola_models::{Device, Task};
use serde::{Deserialize, Serialize};

use super::by_size::BySize;
use super::checkpoint::{Checkpoints, Course};
use super::learner::{Learner, Settings, learner};
use super::loader::{self, Loader};
use super::targets::Targets;
use super::{TrainConfig, TrainError, TrainingRows};
use crate::split::{Part, splitmix64};
use crate::tracker::Tracker;

/// What a training needs.
pub struct TrainInput<'a> {
    /// The network.
    pub shape: &'a MlpShape,
    /// What it predicts.
    pub task: &'a Task,
    /// Its rows.
    pub table: &'a dyn TrainingRows,
    /// The `[train]` table.
    pub config: &'a TrainConfig,
    /// Where it computes.
    pub device: Device,
    /// Folder for checkpoints, from which a killed training goes on.
    pub checkpoint_dir: Option<&'a Path>,
    /// Receives the metrics of each epoch.
    pub tracker: &'a dyn Tracker,
    /// Told after every step.
    pub progress: &'a dyn Fn(Progress),
}

/// How far a training is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// Epoch, from 1.
    pub epoch: usize,
    /// Rows seen, over all epochs.
    pub rows_done: u64,
    /// Rows of `epochs_max` epochs.
    pub rows_total: u64,
    /// Mean training loss of this epoch so far.
    pub loss: f64,
}

/// One pass over the training rows.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Epoch {
    /// Number, from 1.
    pub epoch: usize,
    /// Mean loss of the training rows while they were learned.
    pub train_loss: f64,
    /// Mean loss of the validation rows afterwards; the training loss where there are none.
    pub validation_loss: f64,
    /// Training rows per second of the loop.
    pub rows_per_second: f64,
}

impl Epoch {
    /// Metrics by the keys of a run.
    pub fn metrics(&self) -> [(&'static str, f64); 3] {
        [
            ("train/loss", self.train_loss),
            ("validation/loss", self.validation_loss),
            ("train/rows_per_second", self.rows_per_second),
        ]
    }
}

/// A trained network.
#[derive(Clone, Debug)]
pub struct Trained {
    /// Its shape, with the dropout it was trained with.
    pub shape: MlpShape,
    /// The weights of the best epoch.
    pub weights: MlpWeights,
    /// All epochs.
    pub history: Vec<Epoch>,
    /// Why it ended, for a person.
    pub stopped: String,
}

/// Rows scored at once for the validation loss.
const VALIDATION_ROWS: usize = 2_048;

/// Trains a network. The order of rows, the initial weights and dropout depend on the seed alone,
/// and are set anew for every epoch, so that a resumed training ends in the same bits.
pub fn train(input: TrainInput<'_>) -> Result<Trained, TrainError> {
    let config = input.config;
    if *input.task == Task::Ranking {
        return Err(TrainError::NetworkRanking);
    }
    let n_rows = input.table.n_rows(Part::Train)?;
    let by_size = BySize::of(n_rows);
    let batch_rows = config.batch_rows.unwrap_or(by_size.batch_rows).max(1);
    let mut shape = input.shape.clone();
    shape.config.dropout.get_or_insert(by_size.dropout);
    let input = TrainInput { shape: &shape, ..input };
    let (store, targets) = loader::open(input.table, input.task, input.shape, config)?;
    let loader = Loader::new(input.table, (&store, &targets), batch_rows, config.seed);
    let trainer = Trainer { input: &input, targets: &targets, n_rows, batch_rows };
    trainer.run(&loader)
}

struct Trainer<'a> {
    input: &'a TrainInput<'a>,
    targets: &'a Targets,
    n_rows: usize,
    batch_rows: usize,
}

impl Trainer<'_> {
    fn run(&self, loader: &Loader<'_>) -> Result<Trained, TrainError> {
        let config = self.input.config;
        let mut best = MlpWeights::init(self.input.shape, config.seed);
        self.targets.start_from(&mut best);
        let settings = Settings {
            weight_decay: config.weight_decay,
            gradient_norm_max: config.gradient_norm_max,
            averaging_steps: config.averaging_epochs * self.steps_per_epoch() as f64,
            seed: splitmix64(0xD809, config.seed),
        };
        let mut learner = learner(self.input, &best, settings)?;
        let mut course = Course::default();
        let checkpoints = self.input.checkpoint_dir.map(Checkpoints::new);
        if let Some(kept) = checkpoints.as_ref().and_then(|kept| kept.resume(&mut *learner)) {
            (course, best) = kept;
            tracing::info!(epoch = course.history.len(), "going on from a checkpoint");
            // The run that goes on is recorded whole.
            for done in &course.history {
                self.input.tracker.metrics(done.epoch as u64, &done.metrics());
            }
        }
        while course.history.len() < config.epochs_max && !self.out_of_patience(&course) {
            let done = self.epoch(course.history.len() + 1, loader, &mut *learner)?;
            course.history.push(done);
            if course.best_loss.is_none_or(|least| done.validation_loss < least - 1e-6) {
                (course.best_loss, course.epochs_without_gain) = (Some(done.validation_loss), 0);
                best = self.weights(&*learner)?;
            } else {
                course.epochs_without_gain += 1;
            }
            if let Some(checkpoints) = &checkpoints {
                checkpoints.save(&course, &*learner, &best)?;
            }
        }
        let stopped = if self.out_of_patience(&course) {
            "no better for the patience given"
        } else {
            "all epochs done"
        };
        Ok(Trained {
            shape: self.input.shape.clone(),
            weights: best,
            history: course.history,
            stopped: stopped.into(),
        })
    }

    fn steps_per_epoch(&self) -> usize {
        self.n_rows.div_ceil(self.batch_rows)
    }

    fn out_of_patience(&self, course: &Course) -> bool {
        let patience = self.input.config.patience_epochs;
        patience > 0 && course.epochs_without_gain >= patience
    }

    fn weights(&self, learner: &dyn Learner) -> Result<MlpWeights, TrainError> {
        let mut weights = learner.weights()?;
        if let Some(scale) = self.targets.scale {
            weights.set_output_scale(scale);
        }
        Ok(weights)
    }

    /// One pass over the training rows and one over the validation rows.
    fn epoch(
        &self,
        epoch: usize,
        loader: &Loader<'_>,
        learner: &mut dyn Learner,
    ) -> Result<Epoch, TrainError> {
        learner.start_epoch(epoch);
        let started = Instant::now();
        let train_loss = self.learn(epoch, loader, learner)?;
        let rows_per_second = self.n_rows as f64 / started.elapsed().as_secs_f64();
        let validation_loss = self.validate(learner)?.unwrap_or(train_loss);
        let done = Epoch { epoch, train_loss, validation_loss, rows_per_second };
        self.input.tracker.metrics(epoch as u64, &done.metrics());
        Ok(done)
    }

    fn learn(&self, epoch: usize, loader: &Loader<'_>, learner: &mut dyn Learner) -> Result<f64, TrainError> {
        let config = self.input.config;
        let steps = self.steps_per_epoch();
        let (mut step, mut rows, mut mean) = ((epoch - 1) * steps, 0_u64, 0.0);
        let before = (epoch - 1) as u64 * self.n_rows as u64;
        loader.epoch(epoch, |batch| {
            let rate = config.learning_rate * config.schedule.factor(step, steps * config.epochs_max);
            let loss = learner.step(&batch, rate)?;
            if !loss.is_finite() {
                return Err(TrainError::Diverged { epoch, loss, learning_rate: config.learning_rate });
            }
            let n = batch.labels.len() as u64;
            rows += n;
            step += 1;
            mean += (loss - mean) * n as f64 / rows as f64;
            (self.input.progress)(Progress {
                epoch,
                rows_done: before + rows,
                rows_total: config.epochs_max as u64 * self.n_rows as u64,
                loss: mean,
            });
            Ok(())
        })?;
        Ok(mean)
    }

    /// Mean loss of the validation rows; `None` without any.
    fn validate(&self, learner: &mut dyn Learner) -> Result<Option<f64>, TrainError> {
        let (mut rows, mut mean) = (0_usize, 0.0);
        for batch in self.input.table.batches(Part::Validation)? {
            let mut batch = batch?;
            self.targets.apply(&mut batch);
            for first in (0..batch.labels.len()).step_by(VALIDATION_ROWS) {
                let part = slice(&batch, first, VALIDATION_ROWS.min(batch.labels.len() - first));
                let loss = learner.loss(&part)?;
                rows += part.labels.len();
                mean += (loss - mean) * part.labels.len() as f64 / rows as f64;
            }
        }
        Ok((rows > 0).then_some(mean))
    }
}

fn slice(batch: &LabelledBatch, first: usize, n: usize) -> LabelledBatch {
    let (mut features, end) = (batch.features.clone(), first + n);
    features.n_rows = n;
    features.numeric = batch.features.numeric[first * features.n_numeric..end * features.n_numeric].to_vec();
    features.categorical =
        batch.features.categorical[first * features.n_categorical..end * features.n_categorical].to_vec();
    LabelledBatch {
        features,
        labels: batch.labels[first..end].to_vec(),
        weights: batch.weights.as_ref().map(|weights| weights[first..end].to_vec()),
        groups: None,
    }
}

use std::time::Instant;

use cupola_models::Scores;
use cupola_models::trees::learner::{BinnedMatrix, Gradients, GrowError, Grown, Growth, TreeLearner};
use cupola_models::trees::{Forest, ForestShape, Objective};
use rayon::prelude::*;

use super::base::{base_scores, quantile};
use super::checkpoint::{self, Course};
use super::input::{BoostInput, Boosted};
use super::lambda::Lambdas;
use super::losses::mean_loss;
use super::objective::{Loss, LossOfRows};
use super::sketch::{Sketch, sketch};
use super::table::{Binning, Table};
use crate::metrics::{EvaluateConfig, Predictions, evaluate_at, greater_is_better};
use crate::split::{Part, splitmix64};
use crate::trainer::{Epoch, Progress, TrainError};

/// Training rows that the training loss is taken over, at most; a ranking's is taken over all lists.
const LOSS_ROWS: usize = 32_768;
/// Seconds between checkpoints.
const CHECKPOINT_SECONDS: f64 = 10.0;

/// Boosts trees until `n_estimators`, or until the validation rows get no better. The same seed gives the same
/// trees for any number of threads, and when a killed training goes on.
pub fn boost(input: &BoostInput<'_>) -> Result<Boosted, TrainError> {
    let of_forest = input.continued.map(|forest| forest.shape.objective);
    let objective = input.config.objective.or(of_forest).unwrap_or(Objective::of_task(input.task.kind()));
    if !objective.fits(input.task.kind()) {
        let task = format!("{:?}", input.task.kind()).to_lowercase();
        return Err(TrainError::Objective { objective: objective.name(), task });
    }
    let loss = Loss::new(objective, input.config);
    let Sketch { features, class_weights, n_rows } = sketch(input, objective)?;
    let shape = shape(input, objective);
    if let Some(forest) = input.continued.filter(|forest| forest.shape != shape) {
        let found = forest.shape.n_features();
        return Err(TrainError::Features { expected: shape.n_features(), found });
    }
    let kept = input.checkpoint_dir.and_then(|dir| checkpoint::load(dir, &shape));
    let (course, forest) = match kept {
        Some((course, forest)) => (course, Some(forest)),
        None => (Course::default(), input.continued.cloned()),
    };
    let binning = Binning {
        input,
        features: &features,
        class_weights: &class_weights,
        n_outputs: shape.n_outputs,
        start: forest.as_ref(),
    };
    let mut train = binning.read(Part::Train)?;
    let mut validation = binning.read(Part::Validation)?;
    if train.lists.is_some() && !train.can_judge() {
        return Err(TrainError::NothingToRank);
    }
    let forest = forest.unwrap_or_else(|| {
        let base = base_scores(loss, &train, shape.n_outputs);
        train.start_from(&base);
        validation.start_from(&base);
        Forest::new(shape, base)
    });
    let position = |name: &str| input.features.position(name);
    let matrix = std::mem::replace(&mut train.matrix, BinnedMatrix::new(Vec::new(), 0, 0));
    tracing::info!(n_rows, two_byte_features = matrix.n_wide(), "binned");
    let growth = Growth::new(input.config, &matrix, &position);
    let learner = TreeLearner::new(&matrix, &growth, input.device)?;
    Booster { input, loss, matrix: &matrix, learner, train, validation, forest, course }.run()
}

fn shape(input: &BoostInput<'_>, objective: Objective) -> ForestShape {
    ForestShape {
        n_numeric: input.features.numeric.len(),
        cardinalities: input.features.cardinalities.to_vec(),
        n_outputs: input.task.n_outputs(),
        objective,
        base_margin: input.config.base_margin.as_deref().and_then(|name| input.features.position(name)),
    }
}

struct Booster<'a> {
    input: &'a BoostInput<'a>,
    loss: Loss,
    matrix: &'a BinnedMatrix,
    learner: TreeLearner<'a>,
    /// Its matrix is `matrix`.
    train: Table,
    validation: Table,
    forest: Forest,
    course: Course,
}

impl Booster<'_> {
    fn run(mut self) -> Result<Boosted, TrainError> {
        let n_before = self.input.continued.map_or(0, Forest::n_trees);
        // The run that goes on is recorded whole.
        for done in &self.course.history {
            self.input.tracker.metrics(done.epoch as u64, &done.metrics());
        }
        let mut kept = Instant::now();
        while self.course.history.len() < self.input.config.n_estimators && !self.out_of_patience() {
            self.round()?;
            if let Some(dir) = self.input.checkpoint_dir
                && kept.elapsed().as_secs_f64() > CHECKPOINT_SECONDS
            {
                checkpoint::save(dir, &self.course, &self.forest)?;
                kept = Instant::now();
            }
        }
        let stopped =
            if self.out_of_patience() { "no better for the patience given" } else { "all rounds done" };
        let best = self.course.best.filter(|_| self.input.config.early_stopping_rounds > 0);
        let best = best.map_or(self.course.history.len(), |(_, round)| round);
        self.forest.truncate(n_before + best * self.forest.shape.n_outputs);
        Ok(Boosted { forest: self.forest, history: self.course.history, stopped: stopped.into() })
    }

    fn out_of_patience(&self) -> bool {
        let patience = self.input.config.early_stopping_rounds;
        let since_best = |(_, best): (f64, usize)| self.course.history.len() - best;
        patience > 0 && self.course.best.map(since_best).is_some_and(|rounds| rounds >= patience)
    }

    /// The training loss is taken over every so many rows.
    fn loss_step(&self) -> usize {
        self.train.n_rows().div_ceil(LOSS_ROWS).max(1)
    }

    /// One tree for each output.
    fn round(&mut self) -> Result<(), TrainError> {
        let started = Instant::now();
        let round = self.course.history.len() + 1;
        let probabilities = (self.loss.objective == Objective::Softmax).then(|| softmax(&self.train.raw));
        for output in 0..self.forest.shape.n_outputs {
            self.tree(round, output, probabilities.as_deref())?;
        }
        let rows_per_second = self.train.n_rows() as f64 / started.elapsed().as_secs_f64();
        let train_loss = mean_loss(self.loss, self.train.judged(), self.loss_step());
        let has_validation = self.validation.can_judge();
        let validation_loss =
            if has_validation { mean_loss(self.loss, self.validation.judged(), 1) } else { train_loss };
        if !train_loss.is_finite() {
            let learning_rate = self.input.config.learning_rate;
            return Err(TrainError::Diverged { epoch: round, loss: train_loss, learning_rate });
        }
        let done = Epoch { epoch: round, train_loss, validation_loss, rows_per_second };
        self.input.tracker.metrics(round as u64, &done.metrics());
        self.course.history.push(done);
        if has_validation {
            let score = self.score(validation_loss)?;
            if self.course.best.is_none_or(|(least, _)| score < least) {
                self.course.best = Some((score, round));
            }
        }
        (self.input.progress)(Progress {
            epoch: round,
            rows_done: (round * self.train.n_rows()) as u64,
            rows_total: (self.input.config.n_estimators * self.train.n_rows()) as u64,
            loss: validation_loss,
        });
        Ok(())
    }

    fn tree(
        &mut self,
        round: usize,
        output: usize,
        probabilities: Option<&[Vec<f32>]>,
    ) -> Result<(), TrainError> {
        let n_outputs = self.forest.shape.n_outputs;
        let raw = probabilities.map_or(&self.train.raw[output], |of| &of[output]);
        let (labels, weights) = (&self.train.labels, self.train.weights.as_deref());
        let rows = LossOfRows { loss: self.loss, class: output as f32, raw, labels, weights };
        let lambdas = self
            .train
            .lists
            .as_ref()
            .map(|lists| Lambdas::new(self.loss.lambda, lists, raw, labels, weights));
        let loss: &dyn Gradients = lambdas.as_ref().map_or(&rows, |lambdas| lambdas);
        let seed = splitmix64((round * n_outputs + output) as u64, self.input.seed);
        let learning_rate = self.input.config.learning_rate;
        let grown = self.learner.grow(loss, seed).map_err(|error| match error {
            GrowError::NotFinite => TrainError::Diverged { epoch: round, loss: f64::NAN, learning_rate },
            GrowError::Device(error) => error.into(),
        })?;
        let values: Vec<f32> =
            self.values(&grown, output)?.iter().map(|value| (value * learning_rate) as f32).collect();
        let step = self.loss_step();
        self.learner.add_values(&grown, &values, &mut self.train.raw[output], step)?;
        grown.add_values(&self.validation.matrix, &values, &mut self.validation.raw[output]);
        grown.append_to(&mut self.forest, self.matrix, &values);
        Ok(())
    }

    /// Value of each node: that of its gradients, or a quantile of its rows' residuals.
    fn values(&self, grown: &Grown, output: usize) -> Result<Vec<f64>, TrainError> {
        let mut values = grown.values();
        let Some(order) = self.loss.leaf_quantile() else { return Ok(values) };
        let Table { raw, labels, weights, .. } = &self.train;
        let residual = |row: u32| {
            let row = row as usize;
            (labels[row] - raw[output][row], weights.as_ref().map_or(1.0, |weights| weights[row]))
        };
        let rows: Vec<Vec<u32>> =
            grown.leaves.iter().map(|leaf| self.learner.rows_of(leaf)).collect::<Result<_, _>>()?;
        let quantiles: Vec<f32> = rows
            .into_par_iter()
            .map(|rows| quantile(&mut rows.into_iter().map(residual).collect::<Vec<_>>(), order))
            .collect();
        for (leaf, quantile) in grown.leaves.iter().zip(quantiles) {
            values[leaf.node] = f64::from(quantile);
        }
        Ok(values)
    }

    /// What early stopping goes by; smaller is better.
    fn score(&self, loss: f64) -> Result<f64, TrainError> {
        let Some(metric) = &self.input.config.eval_metric else { return Ok(loss) };
        let Table { raw, labels, weights, groups, .. } = &self.validation;
        let n_outputs = raw.len();
        let mut values = vec![0.0; labels.len() * n_outputs];
        for (output, raw) in raw.iter().enumerate() {
            values.iter_mut().skip(output).step_by(n_outputs).zip(raw).for_each(|(to, raw)| *to = *raw);
        }
        self.loss.objective.link().apply(&mut values, n_outputs);
        let scores = Scores { n_outputs, values };
        let (weights, groups) = (weights.as_deref(), groups.as_deref());
        let predictions = Predictions { scores: &scores, labels, weights, groups };
        let config = EvaluateConfig { primary: Some(metric.clone()), ..self.input.evaluate.clone() };
        let evaluation = evaluate_at(self.input.task, predictions, &config, None)?;
        let sign = if greater_is_better(metric) { -1.0 } else { 1.0 };
        Ok(evaluation.primary_value().map_or(f64::INFINITY, |value| sign * value))
    }
}

/// Probabilities by class, then by row.
fn softmax(raw: &[Vec<f32>]) -> Vec<Vec<f32>> {
    let mut probabilities = raw.to_vec();
    let n_rows = raw.first().map_or(0, Vec::len);
    let mut scores = vec![0.0; raw.len()];
    for row in 0..n_rows {
        scores.iter_mut().zip(raw).for_each(|(score, raw)| *score = raw[row]);
        Objective::Softmax.link().apply(&mut scores, raw.len());
        probabilities.iter_mut().zip(&scores).for_each(|(to, score)| to[row] = *score);
    }
    probabilities
}

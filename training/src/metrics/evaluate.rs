use cupola_models::predict::TaskKind;
use cupola_models::{Scores, Task};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::{Curves, EvaluateConfig, MetricsError, binary, multiclass, numbers, ranking};

/// Predictions beside what came true.
#[derive(Clone, Copy, Debug)]
pub struct Predictions<'a> {
    /// What the model said: probabilities, values or expected counts.
    pub scores: &'a Scores,
    /// Class index, value or count of each row.
    pub labels: &'a [f32],
    /// Weight of each row; without, all count 1. Rankings weigh lists, all the same.
    pub weights: Option<&'a [f32]>,
    /// A number for each row that is the same within a list to be ranked.
    pub groups: Option<&'a [u64]>,
}

impl Predictions<'_> {
    pub(super) fn weight(&self, row: usize) -> f64 {
        self.weights.map_or(1.0, |weights| f64::from(weights[row]))
    }

    pub(super) fn score(&self, row: usize) -> f64 {
        f64::from(self.scores.values[row])
    }

    pub(super) fn label(&self, row: usize) -> f64 {
        f64::from(self.labels[row])
    }

    pub(super) fn total_weight(&self) -> f64 {
        self.mean_weighted_sum(|_| 1.0)
    }

    /// Mean of `value` over the rows by their weights.
    pub(super) fn mean(&self, value: impl Fn(usize) -> f64) -> f64 {
        self.mean_weighted_sum(value) / self.total_weight()
    }

    fn mean_weighted_sum(&self, value: impl Fn(usize) -> f64) -> f64 {
        (0..self.labels.len()).map(|row| self.weight(row) * value(row)).sum()
    }
}

/// How good predictions are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Metrics by name, all finite. A metric that is undefined on these rows is left out: the
    /// ranking metrics where only one class occurs, `sum_ratio` where all counts are 0.
    pub values: IndexMap<String, f64>,
    /// Binary only: scores from here on are taken for positive in `f1`, `precision`, `recall`,
    /// `accuracy` and `expected_cost`.
    pub threshold: Option<f64>,
    /// Binary only: what the threshold decides.
    #[serde(default)]
    pub confusion: Option<Confusion>,
    /// Curves for plots.
    pub curves: Curves,
    /// Metric that models are compared by.
    pub primary: String,
    /// Whether a greater primary metric is a better one.
    pub greater_is_better: bool,
    /// Rows evaluated.
    pub n_rows: usize,
}

/// Rows, by their weights, by what they are and what they are taken for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Confusion {
    /// Positive rows taken for positive.
    pub true_positive: f64,
    /// Negative rows taken for positive.
    pub false_positive: f64,
    /// Positive rows taken for negative.
    pub false_negative: f64,
    /// Negative rows taken for negative.
    pub true_negative: f64,
}

impl Evaluation {
    /// Value of the primary metric, unless it is undefined on these rows.
    pub fn primary_value(&self) -> Option<f64> {
        self.values.get(&self.primary).copied()
    }
}

/// Evaluates predictions; a binary threshold is chosen on these very rows (use it for the validation part).
///
/// # Errors
/// Lengths that do not match, no rows, scores or labels that are none, unknown primary metric.
pub fn evaluate(
    task: &Task,
    scores: &Scores,
    labels: &[f32],
    weights: Option<&[f32]>,
    config: &EvaluateConfig,
) -> Result<Evaluation, MetricsError> {
    evaluate_at(task, Predictions { scores, labels, weights, groups: None }, config, None)
}

/// Evaluates predictions with a threshold that was chosen elsewhere (use it for the test part).
///
/// # Errors
/// As [`evaluate`].
pub fn evaluate_at(
    task: &Task,
    predictions: Predictions<'_>,
    config: &EvaluateConfig,
    threshold: Option<f64>,
) -> Result<Evaluation, MetricsError> {
    let primary = primary_of(task, config)?;
    check_config(config)?;
    check(task, &predictions)?;
    let mut evaluation = Evaluation {
        values: IndexMap::new(),
        threshold: None,
        confusion: None,
        curves: Curves::default(),
        greater_is_better: greater_is_better(&primary),
        primary,
        n_rows: predictions.labels.len(),
    };
    match task.kind() {
        TaskKind::Binary => binary::evaluate(&predictions, config.cost, threshold, &mut evaluation),
        TaskKind::Multiclass => multiclass::evaluate(&predictions, &mut evaluation.values),
        TaskKind::Regression => numbers::regression(&predictions, &mut evaluation.values),
        TaskKind::Poisson => numbers::poisson(&predictions, &mut evaluation.values),
        TaskKind::Ranking => ranking::evaluate(&predictions, &mut evaluation.values),
    }
    evaluation.values.retain(|_, value| value.is_finite());
    Ok(evaluation)
}

/// Metrics a task can be compared by, its default first.
pub fn metric_names(task: TaskKind) -> &'static [&'static str] {
    match task {
        TaskKind::Binary => &[
            "roc_auc",
            "pr_auc",
            "log_loss",
            "brier",
            "ece",
            "f1",
            "precision",
            "recall",
            "accuracy",
            "expected_cost",
        ],
        TaskKind::Multiclass => &["log_loss", "accuracy", "macro_f1", "roc_auc_ovr"],
        TaskKind::Regression => &["rmse", "mae", "r2"],
        TaskKind::Poisson => &["mean_poisson_deviance", "rmse"],
        TaskKind::Ranking => &["ndcg_at_10", "ndcg"],
    }
}

/// Whether a greater value of a metric is a better one.
pub fn greater_is_better(metric: &str) -> bool {
    !matches!(
        metric,
        "log_loss" | "brier" | "ece" | "expected_cost" | "rmse" | "mae" | "mean_poisson_deviance"
    )
}

fn primary_of(task: &Task, config: &EvaluateConfig) -> Result<String, MetricsError> {
    let known = metric_names(task.kind());
    match &config.primary {
        None => Ok(known[0].into()),
        Some(name) if name == "expected_cost" && config.cost.is_none() => Err(MetricsError::UnknownPrimary {
            name: name.clone(),
            known: "it once evaluate.cost is set".into(),
        }),
        Some(name) if known.contains(&name.as_str()) => Ok(name.clone()),
        Some(name) => Err(MetricsError::UnknownPrimary { name: name.clone(), known: known.join(", ") }),
    }
}

fn check_config(config: &EvaluateConfig) -> Result<(), MetricsError> {
    let Some(cost) = config.cost else { return Ok(()) };
    let fits = |cost: f64| cost.is_finite() && cost >= 0.0;
    if fits(cost.false_positive)
        && fits(cost.false_negative)
        && cost.false_positive + cost.false_negative > 0.0
    {
        return Ok(());
    }
    Err(MetricsError::Cost { false_positive: cost.false_positive, false_negative: cost.false_negative })
}

fn check(task: &Task, predictions: &Predictions<'_>) -> Result<(), MetricsError> {
    let Predictions { scores, labels, weights, groups } = predictions;
    let n_outputs = task.n_outputs();
    check_length("scores per row", n_outputs, scores.n_outputs)?;
    check_length("scores", labels.len() * n_outputs, scores.values.len())?;
    if labels.is_empty() {
        return Err(MetricsError::NoRows);
    }
    if let Some(at) = scores.values.iter().position(|score| !score.is_finite()) {
        return Err(MetricsError::Score { row: at / n_outputs, value: scores.values[at] });
    }
    let expected = expected_label(task);
    if let Some(row) = labels.iter().position(|label| !is_label(task, *label)) {
        return Err(MetricsError::Label { row, value: labels[row], expected });
    }
    if let Some(groups) = groups {
        check_length("groups", labels.len(), groups.len())?;
    }
    let Some(weights) = weights else { return Ok(()) };
    check_length("row weights", labels.len(), weights.len())?;
    if let Some(row) = weights.iter().position(|weight| !(weight.is_finite() && *weight >= 0.0)) {
        return Err(MetricsError::Weight { row, value: weights[row] });
    }
    if weights.iter().all(|weight| *weight == 0.0) {
        return Err(MetricsError::Weight { row: 0, value: 0.0 });
    }
    Ok(())
}

/// Greatest relevance: gains of 2^relevance stay exact.
pub const RELEVANCE_MAX: f32 = 31.0;

/// Whether a number can be a label of the task.
pub(crate) fn is_label(task: &Task, label: f32) -> bool {
    match task {
        Task::Binary { .. } => label == 0.0 || label == 1.0,
        Task::Multiclass { classes } => {
            label >= 0.0 && label.fract() == 0.0 && (label as usize) < classes.len()
        }
        Task::Regression => label.is_finite(),
        Task::Poisson => label.is_finite() && label >= 0.0,
        Task::Ranking => (0.0..=RELEVANCE_MAX).contains(&label) && label.fract() == 0.0,
    }
}

/// What [`is_label`] asks for.
pub(crate) fn expected_label(task: &Task) -> &'static str {
    match task {
        Task::Binary { .. } => "a binary task has labels 0 and 1",
        Task::Multiclass { .. } => "a multi-class task has labels from 0 to the number of classes less one",
        Task::Regression => "a regression label is a finite number",
        Task::Poisson => "a Poisson label is a count of at least 0",
        Task::Ranking => "a ranking label is a relevance, a whole number from 0 to 31",
    }
}

fn check_length(what: &'static str, expected: usize, found: usize) -> Result<(), MetricsError> {
    if expected == found { Ok(()) } else { Err(MetricsError::Length { what, expected, found }) }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;

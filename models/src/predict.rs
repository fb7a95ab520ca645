//! The seam between a model and whoever asks it for scores.

use cupola_datasets::FeatureBatch;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a model predicts, with all that is needed to read its scores.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Task {
    /// Probability of the positive class. One score per row.
    Binary {
        /// Label texts, negative first.
        classes: [String; 2],
    },
    /// Probability of each class. One score per class and row.
    Multiclass {
        /// Label texts in the order of the scores.
        classes: Vec<String>,
    },
    /// A number. One score per row.
    Regression,
    /// An expected count. One score per row.
    Poisson,
    /// A number that orders the rows of a list, the greatest first. One score per row.
    Ranking,
}

/// The task as it is written in the pipeline file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TaskKind {
    /// Two classes.
    Binary,
    /// Three or more classes.
    Multiclass,
    /// A number.
    Regression,
    /// A count.
    Poisson,
    /// The relevance of a row in its list (`schema.group`), from 0 to 31; the rows of a list are ordered by it.
    Ranking,
}

impl Task {
    /// Scores per row.
    pub fn n_outputs(&self) -> usize {
        match self {
            Self::Multiclass { classes } => classes.len(),
            _ => 1,
        }
    }

    /// The kind alone.
    pub fn kind(&self) -> TaskKind {
        match self {
            Self::Binary { .. } => TaskKind::Binary,
            Self::Multiclass { .. } => TaskKind::Multiclass,
            Self::Regression => TaskKind::Regression,
            Self::Poisson => TaskKind::Poisson,
            Self::Ranking => TaskKind::Ranking,
        }
    }
}

/// Scores of a batch, row-major `[n_rows, n_outputs]`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scores {
    /// Scores per row.
    pub n_outputs: usize,
    /// Probabilities, values or expected counts, by the task.
    pub values: Vec<f32>,
}

impl Scores {
    /// Scores of row `i`.
    pub fn row(&self, i: usize) -> &[f32] {
        &self.values[i * self.n_outputs..(i + 1) * self.n_outputs]
    }
}

/// A model ready to score. Implemented by each kind of model on each kind of device.
///
/// A row's scores do not depend on the other rows of its batch.
pub trait Predictor: Send + Sync {
    /// Scores a batch; blocks until they are there.
    fn predict(&self, batch: &FeatureBatch) -> Result<Scores, PredictError>;

    /// Batch sizes it is fastest at, ascending; the caller may pad to them. Empty: any.
    fn batch_sizes(&self) -> &[usize] {
        &[]
    }
}

/// What can go wrong while scoring.
#[derive(Debug, thiserror::Error)]
pub enum PredictError {
    /// The batch has another shape than the model.
    #[error(
        "the model reads {expected} features, the batch has {found}; the plan and the weights of this bundle do not belong together"
    )]
    Shape {
        /// Features of the model.
        expected: usize,
        /// Features of the batch.
        found: usize,
    },
    /// A category code that the model does not know.
    #[error(
        "categorical feature {feature} has code {code}, the model knows {cardinality}; the plan and the weights of this bundle do not belong together"
    )]
    Code {
        /// Position of the feature in the plan.
        feature: usize,
        /// Code in the batch.
        code: u32,
        /// Codes of the model.
        cardinality: usize,
    },
    /// The device failed.
    #[error("device {device}: {reason}")]
    Device {
        /// Device at fault.
        device: String,
        /// What it said.
        reason: String,
    },
}

impl Task {
    /// The label a row's scores stand for: at `threshold` (0.5 by default) for two classes, the
    /// most likely for more. `None` where the score is the answer.
    pub fn decide(&self, scores: &[f32], threshold: Option<f64>) -> Option<&str> {
        match self {
            Self::Binary { classes } => {
                let positive = f64::from(scores[0]) >= threshold.unwrap_or(0.5);
                Some(&classes[usize::from(positive)])
            }
            Self::Multiclass { classes } => {
                let best = (0..scores.len()).max_by(|a, b| scores[*a].total_cmp(&scores[*b]))?;
                Some(&classes[best])
            }
            Self::Regression | Self::Poisson | Self::Ranking => None,
        }
    }
}

use std::path::PathBuf;

use cupola_datasets::features::PlanError;
use cupola_datasets::lake::LakeError;
use cupola_models::mlp::{ShapeError, WeightsError};
use cupola_models::predict::PredictError;
use cupola_models::trees::ForestError;
use cupola_models::trees::learner::GpuError;

use crate::metrics::MetricsError;

/// Why training stopped without a model.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// A setting that cannot be used.
    #[error("train.{key} = {value}: {expected}")]
    Config {
        /// Key in the `[train]` table.
        key: &'static str,
        /// Value as configured.
        value: String,
        /// What it should be.
        expected: &'static str,
    },
    /// Nothing to train on.
    #[error(
        "the {part} part of the feature table has no rows; check [split] and the rows that preparation keeps"
    )]
    NoRows {
        /// Part at fault.
        part: &'static str,
    },
    /// Nothing to tell apart.
    #[error(
        "all {n_rows} training rows have the label {label:?}; a classifier needs rows of at least two classes, check the label column and the split"
    )]
    OneClass {
        /// Training rows.
        n_rows: usize,
        /// The class they all have.
        label: String,
    },
    /// A categorical feature that trees cannot bin.
    #[error(
        "feature {feature} has {cardinality} categories, missing and rare ones included; trees tell {cardinality_max} apart, lower features.categories.categories_max or take the feature out"
    )]
    TooManyCategories {
        /// Name of the feature.
        feature: String,
        /// Its codes.
        cardinality: usize,
        /// Most codes.
        cardinality_max: usize,
    },
    /// An objective whose scores are not what the task asks for.
    #[error(
        "the objective `{objective}` does not fit a {task} task; leave model.objective out, the task has a default, and continue from a version of the same task only"
    )]
    Objective {
        /// Name of the objective.
        objective: &'static str,
        /// Name of the task.
        task: String,
    },
    /// Ranking by a network.
    #[error("a network does not rank rows of a list; use model.kind = \"gbdt\"")]
    NetworkRanking,
    /// Ranking without lists.
    #[error("a ranking needs lists of rows; name the column that is equal within a list in schema.group")]
    NoGroups,
    /// Ranking where no two rows of a list differ.
    #[error(
        "no list of the training rows has rows of different relevance: there is nothing to rank; check schema.group and the label"
    )]
    NothingToRank,
    /// A label that the task does not know.
    #[error("training row {row} has the label {value}; {expected}")]
    Label {
        /// Row in the order of the table's training part.
        row: usize,
        /// Its label.
        value: f32,
        /// What the task asks for.
        expected: &'static str,
    },
    /// A row weight that cannot be used.
    #[error(
        "training row {row} has the weight {value}; weights must be finite and at least 0, with a sum above 0"
    )]
    Weight {
        /// Row in the order of the table's training part.
        row: usize,
        /// Its weight.
        value: f32,
    },
    /// Rows of another shape than the network.
    #[error(
        "the feature table has {found} features per row, the network reads {expected}; the table was made by another plan, run the features stage again"
    )]
    Features {
        /// Features of the network.
        expected: usize,
        /// Features in the table.
        found: usize,
    },
    /// A number that is none.
    #[error(
        "training row {row} has {value} as numeric feature {feature}; features must be finite, the table was made by another plan, run the features stage again"
    )]
    NotFinite {
        /// Row in the order of the table's training part.
        row: usize,
        /// Numeric feature, counted from 0.
        feature: usize,
        /// Number as found.
        value: f32,
    },
    /// A category code outside of its feature's codes.
    #[error(
        "training row {row} has code {code} of categorical feature {feature}, which has {cardinality} codes; the table was made by another plan, run the features stage again"
    )]
    Code {
        /// Row in the order of the table's training part.
        row: usize,
        /// Categorical feature, counted from 0.
        feature: usize,
        /// Code as found.
        code: u32,
        /// Codes the feature has.
        cardinality: usize,
    },
    /// More training rows than row numbers.
    #[error(
        "the training part has {n_rows} rows; at most 4,294,967,295 can be shuffled in memory, lower train.shuffle_mib_max"
    )]
    TooManyRows {
        /// Training rows.
        n_rows: usize,
    },
    /// The loss is no number any more.
    #[error(
        "the training loss became {loss} in epoch {epoch}; lower train.learning_rate (now {learning_rate}) or set train.gradient_norm_max, and check the features for extreme values"
    )]
    Diverged {
        /// Epoch, from 1.
        epoch: usize,
        /// The loss.
        loss: f64,
        /// Peak learning rate as configured.
        learning_rate: f64,
    },
    /// The shape makes no network.
    #[error(transparent)]
    Shape(#[from] ShapeError),
    /// Weights and network do not fit.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// Trees that cannot be used.
    #[error(transparent)]
    Forest(#[from] ForestError),
    /// The device cannot grow trees.
    #[error(transparent)]
    Gpu(#[from] GpuError),
    /// The feature table cannot be read.
    #[error(transparent)]
    Lake(#[from] LakeError),
    /// The feature table cannot be decoded.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// Validation could not be scored.
    #[error(transparent)]
    Predict(#[from] PredictError),
    /// Validation could not be evaluated.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// A checkpoint cannot be written.
    #[error(
        "checkpoint {path}: {source}; free some space or make the folder writable, training resumes from the last good checkpoint"
    )]
    Checkpoint {
        /// File at fault.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A thread of the trainer could not be started or ended early.
    #[error("the batch loader stopped: {reason}")]
    Loader {
        /// What happened.
        reason: String,
    },
}

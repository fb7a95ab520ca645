use std::path::Path;

use cupola_models::trees::{Forest, GbdtConfig};
use cupola_models::{Device, Task};

use crate::metrics::EvaluateConfig;
use crate::tracker::Tracker;
use crate::trainer::{ClassWeights, Epoch, Progress, TrainingRows};

/// What boosting needs.
pub struct BoostInput<'a> {
    /// The `[model]` table.
    pub config: &'a GbdtConfig,
    /// What is predicted.
    pub task: &'a Task,
    /// The features of the table.
    pub features: Features<'a>,
    /// Its rows. Numbers may be NaN: missing.
    pub table: &'a dyn TrainingRows,
    /// Where trees grow; they are the same everywhere.
    pub device: Device,
    /// Weight of each class in the loss.
    pub class_weights: ClassWeights,
    /// Seed of the sample, the rounding, and the drawing of rows and columns.
    pub seed: u64,
    /// Settings of `eval_metric`.
    pub evaluate: &'a EvaluateConfig,
    /// A forest that the new trees are added to.
    pub continued: Option<&'a Forest>,
    /// Folder for checkpoints, from which a killed training goes on.
    pub checkpoint_dir: Option<&'a Path>,
    /// Receives the losses of each round.
    pub tracker: &'a dyn Tracker,
    /// Told after every round.
    pub progress: &'a dyn Fn(Progress),
}

/// The features of a table, numeric ones first.
#[derive(Clone, Copy, Debug)]
pub struct Features<'a> {
    /// Names of the numeric features.
    pub numeric: &'a [&'a str],
    /// Names of the categorical features.
    pub categorical: &'a [&'a str],
    /// Codes of each categorical feature.
    pub cardinalities: &'a [usize],
}

impl Features<'_> {
    /// Position of a feature over both kinds.
    pub(super) fn position(&self, name: &str) -> Option<usize> {
        self.numeric.iter().chain(self.categorical).position(|known| *known == name)
    }
}

/// Boosted trees.
#[derive(Clone, Debug)]
pub struct Boosted {
    /// The trees up to the best round.
    pub forest: Forest,
    /// All rounds.
    pub history: Vec<Epoch>,
    /// Why it ended, for a person.
    pub stopped: String,
}

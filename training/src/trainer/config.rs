use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The `[train]` table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TrainConfig {
    /// Most passes over the training rows.
    pub epochs_max: usize,
    /// Epochs without a better validation loss before training stops; 0 never stops early.
    pub patience_epochs: usize,
    /// Rows per step. Default: 64 below 10,000 training rows, 256 below 50,000, else 1,024.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_rows: Option<usize>,
    /// Peak learning rate of AdamW.
    pub learning_rate: f64,
    /// Decoupled weight decay of AdamW.
    pub weight_decay: f64,
    /// Course of the learning rate.
    pub schedule: Schedule,
    /// Largest norm of the whole gradient; a longer one is scaled down. 0 leaves it.
    pub gradient_norm_max: f64,
    /// Epochs that the model's weights are a running (exponential) mean over; 0 takes the weights as
    /// they are after an epoch.
    pub averaging_epochs: f64,
    /// Weight of each class in the loss.
    pub class_weights: ClassWeights,
    /// Memory for shuffled training rows; a larger table is shuffled block by block.
    pub shuffle_mib_max: usize,
    /// Seed of splits, initial weights, order of rows and dropout.
    pub seed: u64,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            epochs_max: 100,
            patience_epochs: 10,
            batch_rows: None,
            learning_rate: 1e-3,
            weight_decay: 1e-4,
            schedule: Schedule::Constant,
            gradient_norm_max: 1.0,
            averaging_epochs: 1.0,
            class_weights: ClassWeights::None,
            shuffle_mib_max: 512,
            seed: 0,
        }
    }
}

/// Course of the learning rate over the training.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Schedule {
    /// The peak throughout.
    Constant,
    /// Half a cosine from the peak to zero over `epochs_max`, after a short warm-up.
    Cosine,
    /// Straight from the peak to zero over `epochs_max`, after a short warm-up.
    Linear,
}

/// Weight of each class in the loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ClassWeights {
    /// All rows count the same.
    None,
    /// Inverse to the class's frequency in the training rows.
    Balanced,
}

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The `[split]` table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SplitConfig {
    /// How rows are assigned. Default: `group` where `by` is set, else `time` where the schema names
    /// a time, else `group` for the lists of a ranking, `stratified` for classes, `random` for numbers. Lists stay whole
    /// in a split by time, too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<SplitKind>,
    /// Share of rows that stop the training.
    pub validation: f64,
    /// Share of rows that judge the model.
    pub test: f64,
    /// Column of a group split: rows of one group stay together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

impl Default for SplitConfig {
    fn default() -> Self {
        Self { kind: None, validation: 0.15, test: 0.15, by: None }
    }
}

/// How rows are assigned to parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SplitKind {
    /// Earliest rows train, latest test; equal times stay together.
    Time,
    /// By a seeded hash of the row number.
    Random,
    /// Random within each class of the label.
    Stratified,
    /// Random over the values of the column `by`.
    Group,
}

/// Part of a split.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// Fits the plan and the model.
    Train,
    /// Stops the training and sets the threshold.
    Validation,
    /// Judges the model, once.
    Test,
}

impl Part {
    /// Name in the feature table's `part` column.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
        }
    }
}

/// Why predictions cannot be evaluated.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum MetricsError {
    /// No rows.
    #[error("there are no rows to evaluate; give this part of the split a share above 0")]
    NoRows,
    /// The arguments do not belong together.
    #[error(
        "{what}: expected {expected}, found {found}; scores, labels and weights must come from the same rows and task"
    )]
    Length {
        /// What has the wrong length.
        what: &'static str,
        /// Length that fits.
        expected: usize,
        /// Length as given.
        found: usize,
    },
    /// A score is NaN or infinite.
    #[error(
        "the score of row {row} is {value}; the model did not train to finite weights, train again with a lower train.learning_rate"
    )]
    Score {
        /// Row at fault.
        row: usize,
        /// Its score.
        value: f32,
    },
    /// A label is not one of the task.
    #[error("the label of row {row} is {value}; {expected}")]
    Label {
        /// Row at fault.
        row: usize,
        /// Its label.
        value: f32,
        /// What the task asks for.
        expected: &'static str,
    },
    /// Weights that cannot be used.
    #[error("row weights must be finite and at least 0, and one of them above 0; row {row} has {value}")]
    Weight {
        /// Row at fault.
        row: usize,
        /// Its weight.
        value: f32,
    },
    /// Costs that cannot be used.
    #[error(
        "evaluate.cost: false_positive = {false_positive}, false_negative = {false_negative}; both must be finite and at least 0, one of them above 0"
    )]
    Cost {
        /// As configured.
        false_positive: f64,
        /// As configured.
        false_negative: f64,
    },
    /// The model cannot score the rows.
    #[error("the rows cannot be scored: {0}")]
    Model(String),
    /// The primary metric is none of the task's.
    #[error("evaluate.primary = {name:?} is no metric of this task; choose one of {known}")]
    UnknownPrimary {
        /// As configured.
        name: String,
        /// What the task has.
        known: String,
    },
}

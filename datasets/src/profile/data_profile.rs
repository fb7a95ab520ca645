use serde::{Deserialize, Serialize};

use super::Histogram;
use super::warning::{self, Warning};
use crate::schema::ColumnType;

/// What a table looks like, column by column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DataProfile {
    /// Rows of the table.
    pub n_rows: u64,
    /// Rows of the sample behind quantiles and histograms; equal to `n_rows` if it was not needed.
    pub n_sampled: u64,
    /// The label's column.
    pub label: Option<String>,
    /// Columns in the order of the schema.
    pub columns: Vec<ColumnProfile>,
    /// What a person should look at.
    pub warnings: Vec<Warning>,
}

impl DataProfile {
    /// A column by its name.
    pub fn column(&self, name: &str) -> Option<&ColumnProfile> {
        self.columns.iter().find(|c| c.name == name)
    }

    /// Marks the columns that no feature reads; nothing about them is worth a warning.
    pub fn with_features(mut self, is_read: impl Fn(&str) -> bool) -> Self {
        for column in &mut self.columns {
            if column.role == ColumnRole::Feature && !is_read(&column.name) {
                column.role = ColumnRole::Unused;
            }
        }
        self.warnings = warning::find(&self.columns, self.n_rows);
        self
    }
}

/// What one column looks like.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ColumnProfile {
    /// Name of the column.
    pub name: String,
    /// Its type.
    pub kind: ColumnType,
    /// What the schema says it is for.
    pub role: ColumnRole,
    /// Rows with a value.
    pub count: u64,
    /// Rows without one.
    pub missing: u64,
    /// Different values.
    pub distinct: Distinct,
    /// Of integers: share of the rows whose value is greater than that of the row before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rising: Option<f64>,
    /// Of numbers, bools (0 and 1) and timestamps (seconds since 1970), if there is a value.
    pub numeric: Option<NumericProfile>,
    /// Most frequent values, the most frequent first; of strings, integers and bools.
    pub top: Vec<CategoryCount>,
    /// Rows whose value is none of `top`.
    pub other: u64,
    /// How much it says about the label.
    pub association: Option<Association>,
}

impl ColumnProfile {
    /// Share of rows without a value.
    pub fn missing_share(&self) -> f64 {
        self.missing as f64 / (self.count + self.missing).max(1) as f64
    }

    /// Share of each top value among the rows that have a value; what is left is other values.
    pub fn category_shares(&self) -> Vec<(&str, f64)> {
        let share = |c: &CategoryCount| c.count as f64 / self.count.max(1) as f64;
        self.top.iter().map(|c| (c.value.as_str(), share(c))).collect()
    }
}

/// What the schema says a column is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ColumnRole {
    /// Input of a model.
    Feature,
    /// Read by no feature.
    Unused,
    /// What is learned.
    Label,
    /// Event time.
    Time,
    /// Part of the key.
    Key,
    /// Weight of the row.
    Weight,
}

/// Number of different values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Distinct {
    /// How many.
    pub count: u64,
    /// Counted; otherwise estimated, with a standard error of 1.6 %.
    pub exact: bool,
}

/// A column as numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NumericProfile {
    /// Mean of all values.
    pub mean: f64,
    /// Standard deviation of all values (divisor n).
    pub sd: f64,
    /// Smallest value.
    pub min: f64,
    /// Largest value.
    pub max: f64,
    /// Quantiles of the sample.
    pub quantiles: Vec<QuantileValue>,
    /// Up to 32 bins for the eye: equally wide, except that the outermost two reach to the
    /// smallest and the largest value where those are far out. Counts are of the sample.
    pub histogram: Histogram,
    /// Up to 10 bins of about equal counts, for drift (population stability index). Counts are of
    /// the sample.
    pub deciles: Histogram,
}

/// A quantile.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct QuantileValue {
    /// Order, 0 to 1.
    pub order: f64,
    /// Value.
    pub value: f64,
}

/// A value and how often it occurs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CategoryCount {
    /// The value as text.
    pub value: String,
    /// Its rows.
    pub count: u64,
    /// Mean of a numeric label over these rows.
    pub label_mean: Option<f64>,
}

/// How much a column says about the label.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Association {
    /// How it is measured.
    pub measure: Measure,
    /// -1 to 1 for Pearson's, 0 to 1 for the others.
    pub value: f64,
}

/// A measure of association.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Pearson's correlation of two numbers.
    Pearson,
    /// Correlation ratio of a number between groups, corrected for the number of groups
    /// (epsilon squared, its root).
    CorrelationRatio,
    /// Cramér's V of two categories, with Bergsma's correction for bias.
    CramersV,
}

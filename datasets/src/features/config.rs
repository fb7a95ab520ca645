use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The `[features]` table. Without `numeric` and `categorical`, every column that is not the
/// label, the time, the weight, the group or a key is a feature, by its type.
///
/// Automatic choice: numbers and bools are numeric features, strings categorical, a timestamp gives
/// the numeric features `COLUMN.hour`, `COLUMN.weekday` (0 is Sunday) and `COLUMN.month` (not for
/// the event time), all in UTC. A SQL feature that no list names is a feature by its type.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FeaturesConfig {
    /// Columns and SQL features used as numbers; a timestamp counts in seconds. Chosen
    /// automatically when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub numeric: Option<Vec<String>>,
    /// Columns and SQL features used as categories. Chosen automatically when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub categorical: Option<Vec<String>>,
    /// Columns that the automatic choice leaves out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<String>,
    /// Scalar SQL over one row's columns, by feature name: `is_night = "date_part('hour', ts) < 6"`.
    /// Column names keep their case; names with other characters than letters, digits and `_` go
    /// in double quotes. A row on which the expression fails (division by zero) has no value.
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    pub sql: IndexMap<String, String>,
    /// How numbers are brought to one scale. Default: `quantile` for networks, `raw` for trees.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub normalise: Option<Normalise>,
    /// How categories become codes.
    pub categories: CategoricalConfig,
    /// Rows of the training part that quantiles are learned from; a seeded sample when there are more.
    pub fit_rows_max: usize,
}

impl Default for FeaturesConfig {
    fn default() -> Self {
        Self {
            numeric: None,
            categorical: None,
            exclude: Vec::new(),
            sql: IndexMap::new(),
            normalise: None,
            categories: CategoricalConfig::default(),
            fit_rows_max: 200_000,
        }
    }
}

/// How numbers are brought to one scale.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Normalise {
    /// Ranks mapped to a normal distribution; robust against heavy tails. A feature with two
    /// values is standardised instead.
    #[default]
    Quantile,
    /// Mean 0, standard deviation 1.
    Standard,
    /// As they are, missing ones imputed.
    None,
    /// As they are, missing ones too (unless `prepare.impute` names the column). For trees, which learn
    /// where missing numbers go.
    Raw,
}

/// How categories become codes. Code 0 is "missing", code 1 "unknown or rare".
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CategoricalConfig {
    /// Categories kept per feature, most frequent first.
    pub categories_max: usize,
    /// Training rows a category needs to get its own code.
    pub count_min: usize,
}

impl Default for CategoricalConfig {
    fn default() -> Self {
        Self { categories_max: 1_000, count_min: 5 }
    }
}

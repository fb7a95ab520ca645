use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The `[prepare]` table. What is learned from data here (medians, quantiles) is learned from
/// training rows only and travels in the fitted plan.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PrepareConfig {
    /// Which of several records with the same key stays. Without it they are quarantined.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deduplicate: Option<Deduplicate>,
    /// SQL condition that a row of the clean table meets; applies to training data only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// How a missing number is filled, by column. Default: `median`.
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    pub impute: IndexMap<String, Impute>,
    /// Limits outside which a number is pulled back, by column.
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    pub clip: IndexMap<String, Clip>,
}

/// Which record of a key stays.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Deduplicate {
    /// First or last, by event time, then by order of arrival.
    pub keep: Keep,
}

/// First or last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Keep {
    /// The earliest record stays.
    First,
    /// The latest record stays.
    Last,
}

/// Value of a missing number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Impute {
    /// A statistic of the training rows.
    Statistic(ImputeStatistic),
    /// This number.
    Value(f64),
}

/// Statistic that fills a missing number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ImputeStatistic {
    /// Median of the training rows.
    Median,
    /// Mean of the training rows.
    Mean,
}

/// Limits of a number: fixed values or quantiles of the training rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "lowercase")]
pub enum Clip {
    /// Quantiles of the training rows, such as `[0.001, 0.999]`.
    Quantile([f64; 2]),
    /// Fixed limits.
    Value([f64; 2]),
}

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The `[profile]` table: limits of the data profile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ProfileConfig {
    /// Rows that quantiles and histograms are taken from; a seeded sample when there are more.
    pub sample_rows_max: usize,
    /// Distinct values per column that are counted exactly; beyond, the count is an estimate.
    pub distinct_exact_max: usize,
    /// Most frequent values listed per column.
    pub top_values: usize,
    /// Seed of the sample.
    pub seed: u64,
}

impl Default for ProfileConfig {
    fn default() -> Self {
        Self { sample_rows_max: 100_000, distinct_exact_max: 65_536, top_values: 20, seed: 0 }
    }
}

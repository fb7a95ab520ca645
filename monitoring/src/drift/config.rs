use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How drift is measured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DriftConfig {
    /// Rows per second that are looked at, drawn from those that are scored; 0 measures no drift.
    pub rows_per_second: u32,
    /// Rows that the index looks back on; older ones fade away.
    pub window_rows: u64,
    /// Rows needed before an index is told. Ten bins have an expected index of about 10 / rows by
    /// chance alone.
    pub rows_min: u64,
}

impl Default for DriftConfig {
    fn default() -> Self {
        Self { rows_per_second: 200, window_rows: 10_000, rows_min: 500 }
    }
}

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The `[engine]` table: limits of the local query engine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EngineConfig {
    /// Memory of sorts, joins and aggregates, all queries together. What needs more goes to disk.
    pub memory_mib_max: usize,
    /// Disk that queries may use for it.
    pub spill_gib_max: usize,
    /// Threads; 0 means one per core.
    pub threads: usize,
    /// Rows of a batch.
    pub batch_rows: usize,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self { memory_mib_max: 512, spill_gib_max: 100, threads: 0, batch_rows: 8_192 }
    }
}

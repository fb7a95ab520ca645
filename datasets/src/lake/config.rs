use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Limits of the lake's writer. They bound its memory: per open file one row group is held encoded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LakeConfig {
    /// A Parquet file is closed, and the next one begun, when it has this size.
    pub file_mib_max: usize,
    /// Rows of a Parquet row group: the unit that is held in memory while it is written.
    pub row_group_rows_max: usize,
    /// Encoded size at which a row group ends early; matters where rows hold long texts.
    pub row_group_mib_max: usize,
    /// Batches that wait between the thread that makes them and the thread that writes them.
    pub queue_batches_max: usize,
    /// Values of a partition column, each of which has a file open during the write.
    pub partitions_max: usize,
}

impl Default for LakeConfig {
    fn default() -> Self {
        Self {
            file_mib_max: 256,
            row_group_rows_max: 131_072,
            row_group_mib_max: 64,
            queue_batches_max: 2,
            partitions_max: 64,
        }
    }
}

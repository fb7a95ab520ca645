use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use serde::{Deserialize, Serialize};

use super::commit::{self, Write, WriteMode};
use super::scan::{self, ScanOptions};
use super::snapshot::{DataFile, Snapshot, VersionInfo};
use super::{BlockingRuntime, LakeConfig, LakeError};

/// A folder of Delta tables, with the runtime that reads and writes their logs. Calls block.
/// Cheap to clone.
#[derive(Clone)]
pub struct Lake {
    /// Folder that holds one sub-folder per table.
    pub root: PathBuf,
    config: LakeConfig,
    runtime: Arc<BlockingRuntime>,
}

/// One version of one table: what a stage reads or has written.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TableVersion {
    /// Table name, `pipeline/table`, such as `card-fraud/raw`.
    pub table: String,
    /// Delta version.
    pub version: u64,
    /// Rows in this version.
    pub n_rows: u64,
}

impl fmt::Debug for Lake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lake").field("root", &self.root).field("config", &self.config).finish_non_exhaustive()
    }
}

impl Lake {
    /// Opens the lake under `root` with default limits. The folder is made by the first write.
    pub fn open(root: &Path) -> Result<Self, LakeError> {
        Self::with_config(root, LakeConfig::default())
    }

    /// Opens the lake under `root`.
    pub fn with_config(root: &Path, config: LakeConfig) -> Result<Self, LakeError> {
        let root = std::path::absolute(root).map_err(|e| LakeError::io("open", root, e))?;
        let runtime =
            BlockingRuntime::start("lake", 2).map_err(|e| LakeError::io("start threads for", &root, e))?;
        Ok(Self { root, config, runtime: Arc::new(runtime) })
    }

    /// Replaces the rows of a table, and its columns where they differ, in one commit.
    ///
    /// `partition_by` names at most one string column. Old versions stay readable. Until the
    /// commit, and after an error, readers see the table as it was.
    pub fn overwrite(
        &self,
        table: &str,
        schema: SchemaRef,
        partition_by: &[&str],
        rows: &mut dyn Iterator<Item = Result<RecordBatch, LakeError>>,
    ) -> Result<TableVersion, LakeError> {
        commit::write(self, Write { table, schema, partition_by, mode: WriteMode::Overwrite }, rows)
    }

    /// Adds rows to a table in one commit; makes the table if there is none. The columns must be
    /// those of the table.
    pub fn append(
        &self,
        table: &str,
        schema: SchemaRef,
        partition_by: &[&str],
        rows: &mut dyn Iterator<Item = Result<RecordBatch, LakeError>>,
    ) -> Result<TableVersion, LakeError> {
        commit::write(self, Write { table, schema, partition_by, mode: WriteMode::Append }, rows)
    }

    /// The rows of one version, in the order in which they were written, a batch at a time.
    pub fn scan(
        &self,
        table: &TableVersion,
        options: ScanOptions,
    ) -> Result<Box<dyn Iterator<Item = Result<RecordBatch, LakeError>> + Send>, LakeError> {
        let snapshot = self.snapshot(table)?;
        Ok(Box::new(scan::TableScan::start(&table.table, snapshot, options)?))
    }

    /// The latest version of a table; `None` when the table does not exist.
    pub fn latest(&self, table: &str) -> Result<Option<TableVersion>, LakeError> {
        Ok(Snapshot::latest(self, table)?.map(|snapshot| snapshot.table_version(table)))
    }

    /// One version of a table, by its number.
    pub fn at(&self, table: &str, version: u64) -> Result<TableVersion, LakeError> {
        Ok(Snapshot::at(self, table, version)?.table_version(table))
    }

    /// The commits of a table, newest first.
    pub fn history(&self, table: &str) -> Result<Vec<VersionInfo>, LakeError> {
        super::snapshot::history(self, table)
    }

    /// Columns of a version, partition column included.
    pub fn schema(&self, table: &TableVersion) -> Result<SchemaRef, LakeError> {
        Ok(self.snapshot(table)?.schema)
    }

    /// The Parquet files of a version, in the order of their rows. For query engines.
    pub fn files(&self, table: &TableVersion) -> Result<Vec<DataFile>, LakeError> {
        Ok(self.snapshot(table)?.files)
    }

    /// Folder of a table.
    pub fn table_dir(&self, table: &str) -> Result<PathBuf, LakeError> {
        let ok = |s: &str| {
            !s.is_empty()
                && !s.starts_with('.')
                && s.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.'))
        };
        if table.split('/').all(ok) {
            return Ok(self.root.join(table));
        }
        Err(LakeError::Table {
            table: table.into(),
            reason: "a table name is letters, digits, `-`, `_` and `.`, such as `pipeline/raw`; choose another name".into(),
        })
    }

    pub(super) fn config(&self) -> &LakeConfig {
        &self.config
    }

    pub(super) fn runtime(&self) -> &BlockingRuntime {
        &self.runtime
    }

    fn snapshot(&self, table: &TableVersion) -> Result<Snapshot, LakeError> {
        Snapshot::at(self, &table.table, table.version)
    }
}

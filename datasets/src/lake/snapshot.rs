use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use deltalake_core::logstore::LogStoreRef;
use deltalake_core::table::state::DeltaTableState;
use deltalake_core::{DeltaTableBuilder, DeltaTableError};
use futures::TryStreamExt;
use url::Url;

use super::{Lake, LakeError, TableVersion};

/// One Parquet file of a table version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataFile {
    /// Where it is.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// Its rows.
    pub n_rows: u64,
    /// Values of the partition columns, which are not in the file.
    pub partition: BTreeMap<String, Option<String>>,
}

/// One commit of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionInfo {
    /// Delta version.
    pub version: u64,
    /// When it was committed, in milliseconds since 1970.
    pub timestamp_ms: i64,
    /// Delta operation, such as `WRITE`.
    pub operation: String,
}

/// A table version with everything that is needed to read it.
pub(super) struct Snapshot {
    pub(super) version: u64,
    /// Columns with the partition column where it was declared.
    pub(super) schema: SchemaRef,
    /// Files in the order of their rows.
    pub(super) files: Vec<DataFile>,
    /// For a commit on top of it.
    pub(super) state: DeltaTableState,
}

impl Snapshot {
    /// The latest version, or `None` when there is no table.
    pub(super) fn latest(lake: &Lake, table: &str) -> Result<Option<Self>, LakeError> {
        load(lake, table, None)
    }

    /// A version by its number.
    pub(super) fn at(lake: &Lake, table: &str, version: u64) -> Result<Self, LakeError> {
        load(lake, table, Some(version))?
            .ok_or_else(|| LakeError::NoTable { table: table.into(), root: lake.root.clone() })
    }

    pub(super) fn table_version(&self, table: &str) -> TableVersion {
        let n_rows = self.files.iter().map(|f| f.n_rows).sum();
        TableVersion { table: table.into(), version: self.version, n_rows }
    }

    pub(super) fn partition_columns(&self) -> &[String] {
        self.state.metadata().partition_columns()
    }
}

/// The log of a table, whether or not it exists.
pub(super) fn log_store(table: &str, dir: &Path) -> Result<LogStoreRef, LakeError> {
    let fail = |reason: String| LakeError::Table { table: table.into(), reason };
    let url =
        Url::from_directory_path(dir).map_err(|()| fail(format!("{} is not a folder", dir.display())))?;
    DeltaTableBuilder::from_url(url)
        .and_then(|builder| builder.build_storage())
        .map_err(|e| LakeError::delta(table, dir, e))
}

fn load(lake: &Lake, table: &str, version: Option<u64>) -> Result<Option<Snapshot>, LakeError> {
    let dir = lake.table_dir(table)?;
    if !has_log(&dir)? {
        return Ok(None);
    }
    let store = log_store(table, &dir)?;
    let fail = |e| LakeError::delta(table, &dir, e);
    let loaded = lake.runtime().run(async move {
        if let Some(version) = version {
            let latest = store.get_latest_version(0).await?;
            if version > latest {
                return Ok(Err((version, latest)));
            }
        }
        DeltaTableState::try_new(store.as_ref(), version).await.map(Ok)
    });
    let state =
        match loaded {
            None => return Err(LakeError::Table {
                table: table.into(),
                reason:
                    "its log cannot be read: the Delta reader failed; the folder `_delta_log` may be damaged"
                        .into(),
            }),
            Some(result) => result.map_err(fail)?.map_err(|(version, latest)| LakeError::NoVersion {
                table: table.into(),
                version,
                latest,
            })?,
        };
    let schema = plain_schema(&state.snapshot().arrow_schema());
    let mut files = Vec::new();
    for view in state.log_data().iter() {
        if view.deletion_vector_descriptor().is_some() {
            return Err(LakeError::Table {
                table: table.into(),
                reason: "it has deletion vectors, which cannot be read yet; rewrite it without them".into(),
            });
        }
        let path = dir.join(view.path().as_ref());
        let n_rows = match view.num_records() {
            Some(n) => n as u64,
            None => super::stats::rows_of_file(&path, table)?,
        };
        let partition = view.partition_values_map().into_iter().collect();
        files.push(DataFile { path, bytes: view.size().unsigned_abs(), n_rows, partition });
    }
    // Our file names begin with version and sequence number: their order is the order of the rows.
    files.sort_by(|a, b| a.path.file_name().cmp(&b.path.file_name()).then_with(|| a.path.cmp(&b.path)));
    Ok(Some(Snapshot { version: state.version(), schema, files, state }))
}

/// Without the field metadata of Delta, so that schemas compare by columns alone.
fn plain_schema(schema: &Schema) -> SchemaRef {
    let fields: Vec<Field> = schema
        .fields()
        .iter()
        .map(|f| Field::new(f.name(), f.data_type().clone(), f.is_nullable()))
        .collect();
    Arc::new(Schema::new(fields))
}

/// Whether `_delta_log` holds a commit. An empty folder left by a failed write is no table.
pub(super) fn has_log(dir: &Path) -> Result<bool, LakeError> {
    let log = dir.join("_delta_log");
    let entries = match std::fs::read_dir(&log) {
        Ok(entries) => entries,
        Err(e) if matches!(e.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => {
            return Ok(false);
        }
        Err(e) => return Err(LakeError::io("read", &log, e)),
    };
    for entry in entries {
        let entry = entry.map_err(|e| LakeError::io("read", &log, e))?;
        let name = entry.file_name();
        if Path::new(&name).extension().is_some_and(|e| e == "json" || e == "parquet") {
            return Ok(true);
        }
    }
    Ok(false)
}

pub(super) fn history(lake: &Lake, table: &str) -> Result<Vec<VersionInfo>, LakeError> {
    let dir = lake.table_dir(table)?;
    if !has_log(&dir)? {
        return Err(LakeError::NoTable { table: table.into(), root: lake.root.clone() });
    }
    let url = Url::from_directory_path(&dir).map_err(|()| LakeError::Table {
        table: table.into(),
        reason: format!("{} is not a folder", dir.display()),
    })?;
    let infos = lake.runtime().run(async move {
        let table = DeltaTableBuilder::from_url(url)?.load().await?;
        let infos: Vec<_> = table.history(None).try_collect().await?;
        Ok::<_, DeltaTableError>((table.version().unwrap_or_default(), infos))
    });
    let (latest, infos) = infos
        .unwrap_or_else(|| Err(DeltaTableError::generic("the Delta reader failed")))
        .map_err(|e| LakeError::delta(table, &dir, e))?;
    Ok(infos
        .into_iter()
        .zip((0..=latest).rev())
        .map(|(info, version)| VersionInfo {
            version,
            timestamp_ms: info.timestamp.unwrap_or_default(),
            operation: info.operation.unwrap_or_default(),
        })
        .collect())
}

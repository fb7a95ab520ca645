use std::path::Path;

use arrow::datatypes::{DataType, SchemaRef};
use arrow::record_batch::RecordBatch;
use deltalake_core::DeltaTableError;
use deltalake_core::kernel::engine::arrow_conversion::TryIntoKernel;
use deltalake_core::kernel::transaction::{CommitBuilder, CommitProperties, TableReference};
use deltalake_core::kernel::{Action, MetadataExt, Protocol, StructType, new_metadata};
use deltalake_core::logstore::LogStoreRef;
use deltalake_core::protocol::{DeltaOperation, SaveMode};
use deltalake_core::table::state::DeltaTableState;

use super::snapshot::{self, Snapshot};
use super::writer::{self, WriteSpec};
use super::{Lake, LakeError, TableVersion};

/// What to write where.
pub(super) struct Write<'a> {
    pub(super) table: &'a str,
    pub(super) schema: SchemaRef,
    pub(super) partition_by: &'a [&'a str],
    pub(super) mode: WriteMode,
}

/// Replace the rows of the table, or add to them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum WriteMode {
    Overwrite,
    Append,
}

/// Streams the rows into Parquet files, then makes them visible in one commit. The state of the
/// table at the start is what the commit builds on: anybody else's overwrite in between is a conflict.
pub(super) fn write(
    lake: &Lake,
    write: Write<'_>,
    rows: &mut dyn Iterator<Item = Result<RecordBatch, LakeError>>,
) -> Result<TableVersion, LakeError> {
    let dir = lake.table_dir(write.table)?;
    let base = Snapshot::latest(lake, write.table)?;
    check_columns(&write, base.as_ref())?;
    std::fs::create_dir_all(&dir).map_err(|e| LakeError::io("create", &dir, e))?;

    let spec = WriteSpec {
        table: write.table,
        dir: &dir,
        schema: &write.schema,
        partition_by: write.partition_by.first().copied(),
        version: base.as_ref().map_or(0, |b| b.version + 1),
        config: lake.config(),
    };
    let files = writer::write_files(&spec, rows)?;
    let added: u64 = files.n_rows();
    let kept: u64 = match (&base, write.mode) {
        (Some(base), WriteMode::Append) => base.files.iter().map(|f| f.n_rows).sum(),
        _ => 0,
    };
    let base_version = base.as_ref().map(|b| b.version);
    let actions = actions(&write, base.as_ref(), files.adds(), &dir)?;
    let version = commit(lake, &write, base.map(|b| b.state), actions, &dir)?;
    files.keep();
    if write.mode == WriteMode::Append && base_version.map_or(0, |v| v + 1) != version {
        // Others appended too: count again.
        return lake.at(write.table, version);
    }
    Ok(TableVersion { table: write.table.into(), version, n_rows: kept + added })
}

fn check_columns(write: &Write<'_>, base: Option<&Snapshot>) -> Result<(), LakeError> {
    let fail = |reason: String| Err(LakeError::Columns { table: write.table.into(), reason });
    if write.partition_by.len() > 1 {
        return fail("a table is partitioned by one column at most".into());
    }
    for name in write.partition_by {
        match write.schema.field_with_name(name) {
            Ok(field) if field.data_type() == &DataType::Utf8 => {}
            Ok(field) => {
                return fail(format!(
                    "partition column {name} is {}, it must be a string",
                    field.data_type()
                ));
            }
            Err(_) => return fail(format!("partition column {name} is not one of its columns")),
        }
    }
    if write.schema.fields().len() <= write.partition_by.len() {
        return fail("it has no column beside its partition column; declare at least one".into());
    }
    if let (Some(base), WriteMode::Append) = (base, write.mode) {
        let same = base.schema.fields().len() == write.schema.fields().len()
            && base
                .schema
                .fields()
                .iter()
                .zip(write.schema.fields())
                .all(|(a, b)| a.name() == b.name() && a.data_type() == b.data_type());
        if !same || base.partition_columns() != write.partition_by {
            return fail("the new rows have other columns than the table; overwrite it instead".into());
        }
    }
    Ok(())
}

fn actions(
    write: &Write<'_>,
    base: Option<&Snapshot>,
    adds: Vec<Action>,
    dir: &Path,
) -> Result<Vec<Action>, LakeError> {
    let delta = |e: DeltaTableError| LakeError::delta(write.table, dir, e);
    let columns: StructType = write.schema.as_ref().try_into_kernel().map_err(|e| LakeError::Columns {
        table: write.table.into(),
        reason: format!("a column has a type that Delta does not have: {e}"),
    })?;
    let mut actions = Vec::with_capacity(adds.len() + 2);
    match base {
        None => {
            // Reader 1, writer 2: what every Delta implementation reads; no feature beyond is used.
            let protocol: Protocol =
                serde_json::from_value(serde_json::json!({"minReaderVersion": 1, "minWriterVersion": 2}))
                    .map_err(|e| delta(DeltaTableError::generic(e.to_string())))?;
            let metadata = new_metadata(&columns, write.partition_by, std::iter::empty::<(&str, &str)>())
                .map_err(|e| delta(e.into()))?;
            actions.push(Action::Protocol(protocol));
            actions.push(Action::Metadata(metadata));
        }
        Some(base) if write.mode == WriteMode::Overwrite => {
            if base.schema != write.schema || base.partition_columns() != write.partition_by {
                let config = base.state.metadata().configuration().clone();
                let metadata = new_metadata(&columns, write.partition_by, config)
                    .and_then(|m| m.with_table_id(base.state.metadata().id().to_owned()))
                    .map_err(|e| delta(e.into()))?;
                actions.push(Action::Metadata(metadata));
            }
            actions.extend(base.state.log_data().iter().map(|file| Action::Remove(file.remove_action(true))));
        }
        Some(_) => {}
    }
    actions.extend(adds);
    Ok(actions)
}

fn commit(
    lake: &Lake,
    write: &Write<'_>,
    base: Option<DeltaTableState>,
    actions: Vec<Action>,
    dir: &Path,
) -> Result<u64, LakeError> {
    let (mode, retries_max) = match write.mode {
        WriteMode::Overwrite => (SaveMode::Overwrite, 0),
        WriteMode::Append => (SaveMode::Append, 15),
    };
    let partition_by = (!write.partition_by.is_empty())
        .then(|| write.partition_by.iter().map(|s| (*s).to_owned()).collect());
    let operation = DeltaOperation::Write { mode, partition_by, predicate: None };
    let store = snapshot::log_store(write.table, dir)?;
    // An append to a table that did not exist must not land on one that somebody else just made
    // with other columns: it gets no retries either.
    let retries_max = if base.is_some() { retries_max } else { 0 };
    lake.runtime()
        .run(commit_in_log(store, base, actions, operation, retries_max))
        .unwrap_or_else(|| Err(DeltaTableError::generic("the Delta writer failed")))
        .map_err(|e| LakeError::delta(write.table, dir, e))
}

/// Once the log entry is written, the write has happened: what follows it (a checkpoint) may fail
/// without undoing it.
async fn commit_in_log(
    store: LogStoreRef,
    base: Option<DeltaTableState>,
    actions: Vec<Action>,
    operation: DeltaOperation,
    retries_max: usize,
) -> Result<u64, DeltaTableError> {
    let properties =
        CommitProperties::default().with_max_retries(retries_max).with_cleanup_expired_logs(Some(false));
    let committed = CommitBuilder::from(properties)
        .with_actions(actions)
        .build(base.as_ref().map(|b| b as &dyn TableReference), store, operation)
        .into_prepared_commit_future()
        .await?
        .await?;
    let version = committed.version;
    if base.is_some()
        && let Err(error) = committed.await
    {
        tracing::warn!(%error, version, "the commit succeeded, but its checkpoint was not written");
    }
    Ok(version)
}

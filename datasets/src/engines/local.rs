use std::path::Path;
use std::sync::Arc;

use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::prelude::{SQLOptions, SessionConfig, SessionContext};
use futures::StreamExt;

use super::lake_table::LakeTable;
use super::memory::SpillFirstPool;
use super::{Engine, EngineConfig, EngineError, EngineTable, QueryRows};
use crate::lake::{BlockingRuntime, LakeError, find_io};

const MIB: usize = 1 << 20;

/// DataFusion in this process. Sorts, joins and aggregates that do not fit in memory go to disk.
pub struct LocalEngine {
    config: EngineConfig,
    threads: usize,
    runtime: Arc<BlockingRuntime>,
    environment: Arc<RuntimeEnv>,
}

impl LocalEngine {
    /// Starts the engine; `spill_dir` takes what does not fit in memory, and is made when needed.
    pub fn start(config: EngineConfig, spill_dir: &Path) -> Result<Self, EngineError> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = if config.threads == 0 { cores } else { config.threads };
        let fail = |reason: String| EngineError::Start { reason };
        std::fs::create_dir_all(spill_dir).map_err(|e| {
            fail(format!("cannot create {}: {e}; choose another folder with --home", spill_dir.display()))
        })?;
        let environment = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(SpillFirstPool::new(config.memory_mib_max * MIB)))
            .with_temp_file_path(spill_dir)
            .with_max_temp_directory_size((config.spill_gib_max as u64) << 30)
            .build_arc()
            .map_err(|e| fail(e.strip_backtrace()))?;
        let runtime = BlockingRuntime::start("engine", threads).map_err(|e| fail(e.to_string()))?;
        Ok(Self { config, threads, runtime: Arc::new(runtime), environment })
    }

    fn session(&self, tables: &[EngineTable]) -> Result<SessionContext, EngineError> {
        let mut config = SessionConfig::new()
            .with_target_partitions(self.threads)
            .with_batch_size(self.config.batch_rows.max(1))
            .with_information_schema(false);
        config.options_mut().sql_parser.enable_ident_normalization = false;
        // What a sort holds back to be able to merge from disk; the default does not fit small limits.
        config.options_mut().execution.sort_spill_reservation_bytes =
            (self.config.memory_mib_max * MIB / 16).min(10 * MIB);
        let session = SessionContext::new_with_config_rt(config, self.environment.clone());
        for table in tables {
            let provider = LakeTable::open(table, self.threads, self.config.batch_rows)?;
            session
                .register_table(format!("\"{}\"", table.name), Arc::new(provider))
                .map_err(EngineError::from)?;
        }
        Ok(session)
    }
}

impl Engine for LocalEngine {
    fn describe(&self) -> String {
        format!("DataFusion {} in this process, {} threads", datafusion::DATAFUSION_VERSION, self.threads)
    }

    fn query(&self, tables: &[EngineTable], sql: &str) -> Result<QueryRows, EngineError> {
        let session = self.session(tables)?;
        let sql = sql.to_owned();
        let started = self.runtime.run(async move {
            let only_select =
                SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
            session.sql_with_options(&sql, only_select).await?.execute_stream().await
        });
        let stream = started.ok_or_else(panicked)?.map_err(EngineError::from)?;
        let schema = stream.schema();
        let batches = Batches { runtime: self.runtime.clone(), stream: Some(stream) };
        Ok(QueryRows { schema, batches: Box::new(batches) })
    }
}

/// Polls the stream one batch at a time on the engine's threads.
struct Batches {
    runtime: Arc<BlockingRuntime>,
    stream: Option<SendableRecordBatchStream>,
}

impl Iterator for Batches {
    type Item = Result<arrow::record_batch::RecordBatch, EngineError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut stream = self.stream.take()?;
        let polled = self.runtime.run(async move {
            let next = stream.next().await;
            (next, stream)
        });
        let Some((next, stream)) = polled else { return Some(Err(panicked())) };
        match next? {
            Ok(batch) => {
                self.stream = Some(stream);
                Some(Ok(batch))
            }
            Err(error) => Some(Err(error.into())),
        }
    }
}

fn panicked() -> EngineError {
    EngineError::Query { reason: "the engine failed while running it; please report the query".into() }
}

impl From<DataFusionError> for EngineError {
    fn from(error: DataFusionError) -> Self {
        let text = |e: &DataFusionError| {
            let text = e.strip_backtrace();
            text.lines().map(str::trim).filter(|l| !l.is_empty()).collect::<Vec<_>>().join(" ")
        };
        match error {
            DataFusionError::External(source) => match source.downcast::<LakeError>() {
                Ok(lake) => Self::Lake(*lake),
                Err(other) => Self::Query { reason: other.to_string() },
            },
            error if matches!(error.find_root(), DataFusionError::ResourcesExhausted(_)) => {
                Self::Resources { reason: text(error.find_root()) }
            }
            // The limit of the disk comes as an I/O error that only its text tells from others.
            error if text(error.find_root()).contains("max_temp_directory_size") => {
                Self::Resources { reason: text(error.find_root()) }
            }
            DataFusionError::Context(_, inner) => Self::from(*inner),
            DataFusionError::Diagnostic(_, inner) => Self::from(*inner),
            error => match find_io(&error) {
                Some(source) => Self::Spill { source },
                None => Self::Query { reason: text(error.find_root()) },
            },
        }
    }
}

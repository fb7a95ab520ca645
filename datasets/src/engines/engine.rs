use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;

use crate::lake::{Lake, LakeError, TableVersion};

/// Runs SQL over table versions. Results do not depend on the engine, except for the order of
/// rows, which only `ORDER BY` fixes.
pub trait Engine: Send + Sync {
    /// What a person would call it, for messages and provenance.
    fn describe(&self) -> String;

    /// Runs one `SELECT` over `tables`. Fails at once if the query is wrong; rows come as they
    /// are computed, in bounded memory. Column names keep their case.
    fn query(&self, tables: &[EngineTable], sql: &str) -> Result<QueryRows, EngineError>;
}

/// A table version under the name by which the SQL calls it.
#[derive(Clone, Debug)]
pub struct EngineTable {
    /// Name in the SQL.
    pub name: String,
    /// Where the table is.
    pub lake: Lake,
    /// The version to read.
    pub table: TableVersion,
    /// Name of an extra `Int64` column: the position of each row in the table, from 0.
    pub row_number: Option<String>,
}

impl EngineTable {
    /// `table` of `lake`, called `name`.
    pub fn new(name: &str, lake: &Lake, table: &TableVersion) -> Self {
        Self { name: name.into(), lake: lake.clone(), table: table.clone(), row_number: None }
    }

    /// With a column that numbers the rows.
    pub fn with_row_number(mut self, column: &str) -> Self {
        self.row_number = Some(column.into());
        self
    }
}

/// The rows of a query.
pub struct QueryRows {
    /// Columns of the rows.
    pub schema: SchemaRef,
    /// The rows, a batch at a time. Ends after an error.
    pub batches: Box<dyn Iterator<Item = Result<RecordBatch, EngineError>> + Send>,
}

/// What can go wrong with a query.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The engine did not start.
    #[error("the query engine cannot start: {reason}")]
    Start {
        /// What is wrong and what to do.
        reason: String,
    },
    /// The query is wrong.
    #[error("the query cannot run: {reason}")]
    Query {
        /// What is wrong.
        reason: String,
    },
    /// The query needs more than it may have.
    #[error(
        "the query needs more memory or disk than it may use: {reason}; raise engine.memory_mib_max or engine.spill_gib_max"
    )]
    Resources {
        /// What ran out.
        reason: String,
    },
    /// What does not fit in memory cannot be written to disk.
    #[error("the query cannot go on on disk: {source}; free some space or choose another folder with --home")]
    Spill {
        /// Cause.
        source: std::io::Error,
    },
    /// A table cannot be read.
    #[error(transparent)]
    Lake(#[from] LakeError),
}

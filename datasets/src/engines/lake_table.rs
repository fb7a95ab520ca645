use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};

use super::EngineTable;
use crate::lake::{DataFile, LakeError, ScanOptions, TableScan};

/// A table version as DataFusion reads it: its files in as many streams as there are threads, or
/// in one where the rows are numbered. Only the columns of the query are read.
#[derive(Debug)]
pub(super) struct LakeTable {
    table: String,
    /// Columns of the table itself.
    stored: SchemaRef,
    /// With the row number, if there is one.
    schema: SchemaRef,
    row_number: Option<String>,
    groups: Vec<Vec<DataFile>>,
    batch_rows: usize,
}

impl LakeTable {
    pub(super) fn open(
        table: &EngineTable,
        threads: usize,
        batch_rows: usize,
    ) -> std::result::Result<Self, LakeError> {
        let stored = table.lake.schema(&table.table)?;
        let files = table.lake.files(&table.table)?;
        let mut fields: Vec<Field> = stored.fields().iter().map(|f| f.as_ref().clone()).collect();
        fields.extend(table.row_number.iter().map(|name| Field::new(name, DataType::Int64, false)));
        let n_groups = if table.row_number.is_some() { 1 } else { threads.clamp(1, files.len().max(1)) };
        let per_group = files.len().div_ceil(n_groups).max(1);
        let mut groups: Vec<Vec<DataFile>> = files.chunks(per_group).map(<[DataFile]>::to_vec).collect();
        if groups.is_empty() {
            groups.push(Vec::new());
        }
        Ok(Self {
            table: table.table.table.clone(),
            stored,
            schema: Arc::new(Schema::new(fields)),
            row_number: table.row_number.clone(),
            groups,
            batch_rows,
        })
    }
}

#[async_trait]
impl TableProvider for LakeTable {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let schema = match projection {
            Some(columns) => Arc::new(self.schema.project(columns)?),
            None => self.schema.clone(),
        };
        let streams = self.groups.iter().map(|files| {
            Arc::new(FileStream {
                table: self.table.clone(),
                stored: self.stored.clone(),
                schema: schema.clone(),
                row_number: self.row_number.clone(),
                files: files.clone(),
                batch_rows: self.batch_rows,
            }) as Arc<dyn PartitionStream>
        });
        let plan = StreamingTableExec::try_new(schema.clone(), streams.collect(), None, None, false, limit)?;
        Ok(Arc::new(plan))
    }
}

#[derive(Debug)]
struct FileStream {
    table: String,
    stored: SchemaRef,
    schema: SchemaRef,
    row_number: Option<String>,
    files: Vec<DataFile>,
    batch_rows: usize,
}

impl FileStream {
    fn batches(
        &self,
    ) -> std::result::Result<impl Iterator<Item = Result<RecordBatch>> + Send + use<>, LakeError> {
        let numbered = |name: &String| self.row_number.as_ref() == Some(name);
        let columns =
            self.schema.fields().iter().map(|f| f.name().clone()).filter(|n| !numbered(n)).collect();
        let options = ScanOptions { columns: Some(columns), part: None, batch_rows: self.batch_rows };
        let scan = TableScan::of_files(&self.table, &self.stored, self.files.clone(), &options)?;
        let schema = self.schema.clone();
        let row_number = self.row_number.clone();
        let mut start = 0_i64;
        Ok(scan.map(move |batch| {
            let batch = batch.map_err(|e| DataFusionError::External(Box::new(e)))?;
            let end = start + batch.num_rows() as i64;
            let mut stored = batch.columns().iter();
            let mut columns: Vec<ArrayRef> = Vec::with_capacity(schema.fields().len());
            for field in schema.fields() {
                if row_number.as_ref() == Some(field.name()) {
                    columns.push(Arc::new(Int64Array::from_iter_values(start..end)));
                } else if let Some(column) = stored.next() {
                    columns.push(column.clone());
                }
            }
            start = end;
            let options =
                arrow::record_batch::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
            Ok(RecordBatch::try_new_with_options(schema.clone(), columns, &options)?)
        }))
    }
}

impl PartitionStream for FileStream {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let batches: Box<dyn Iterator<Item = Result<RecordBatch>> + Send> = match self.batches() {
            Ok(batches) => Box::new(batches),
            Err(error) => Box::new(std::iter::once(Err(DataFusionError::External(Box::new(error))))),
        };
        Box::pin(RecordBatchStreamAdapter::new(self.schema.clone(), futures::stream::iter(batches)))
    }
}

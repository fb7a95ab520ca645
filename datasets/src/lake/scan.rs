use std::collections::VecDeque;
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray, new_null_array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use super::LakeError;
use super::snapshot::{DataFile, Snapshot};

/// Which part of a table version to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScanOptions {
    /// Columns, in this order; all when absent.
    pub columns: Option<Vec<String>>,
    /// Only rows whose partition column (first) has this value (second).
    pub part: Option<(String, String)>,
    /// Rows of a batch, at most.
    pub batch_rows: usize,
}

impl Default for ScanOptions {
    fn default() -> Self {
        Self { columns: None, part: None, batch_rows: 16_384 }
    }
}

/// Reads a table version file by file; one decoded batch is in memory at a time.
pub struct TableScan {
    table: String,
    schema: SchemaRef,
    files: VecDeque<DataFile>,
    current: Option<OpenFile>,
    batch_rows: usize,
}

struct OpenFile {
    path: PathBuf,
    file: DataFile,
    reader: ParquetRecordBatchReader,
}

impl TableScan {
    pub(super) fn start(table: &str, snapshot: Snapshot, options: ScanOptions) -> Result<Self, LakeError> {
        let mut files = snapshot.files.clone();
        if let Some((column, value)) = &options.part {
            if !snapshot.partition_columns().contains(column) {
                return Err(LakeError::Columns {
                    table: table.into(),
                    reason: format!("it is not partitioned by {column}"),
                });
            }
            files.retain(|f| f.partition.get(column).is_some_and(|v| v.as_ref() == Some(value)));
        }
        Self::of_files(table, &snapshot.schema, files, &options)
    }

    /// Reads some files of a table with columns `schema`; `options.part` is not looked at.
    pub(crate) fn of_files(
        table: &str,
        schema: &SchemaRef,
        files: Vec<DataFile>,
        options: &ScanOptions,
    ) -> Result<Self, LakeError> {
        let schema = project(table, schema, options.columns.as_deref())?;
        Ok(Self {
            table: table.into(),
            schema,
            files: files.into(),
            current: None,
            batch_rows: options.batch_rows.max(1),
        })
    }

    /// Columns of the batches.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn open(&self, file: DataFile) -> Result<OpenFile, LakeError> {
        let path = file.path.clone();
        let handle = File::open(&path).map_err(|e| LakeError::io("read", &path, e))?;
        let fail = |e| LakeError::parquet("read", &path, &self.table, e);
        let builder = ParquetRecordBatchReaderBuilder::try_new(handle).map_err(fail)?;
        let stored = builder.schema().clone();
        let roots = self.schema.fields().iter().filter_map(|f| stored.index_of(f.name()).ok());
        let mask = ProjectionMask::roots(builder.parquet_schema(), roots);
        let reader = builder.with_projection(mask).with_batch_size(self.batch_rows).build().map_err(fail)?;
        Ok(OpenFile { path, file, reader })
    }

    fn next_batch(&mut self) -> Result<Option<RecordBatch>, LakeError> {
        loop {
            if let Some(open) = &mut self.current {
                if let Some(batch) = open.reader.next() {
                    let batch = batch.map_err(|e| LakeError::arrow("read", &open.path, &self.table, e))?;
                    return conform(&batch, &open.file, &self.schema)
                        .map(Some)
                        .map_err(|e| LakeError::arrow("read", &open.path, &self.table, e));
                }
                self.current = None;
            }
            match self.files.pop_front() {
                Some(file) => self.current = Some(self.open(file)?),
                None => return Ok(None),
            }
        }
    }
}

impl Iterator for TableScan {
    type Item = Result<RecordBatch, LakeError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.next_batch().transpose();
        if matches!(next, Some(Err(_))) {
            self.files.clear();
            self.current = None;
        }
        next
    }
}

fn project(table: &str, schema: &SchemaRef, columns: Option<&[String]>) -> Result<SchemaRef, LakeError> {
    let Some(columns) = columns else { return Ok(schema.clone()) };
    let fields = columns
        .iter()
        .map(|name| {
            schema.field_with_name(name).cloned().map_err(|_| LakeError::Columns {
                table: table.into(),
                reason: format!("it has no column {name}; run the stage that writes it again"),
            })
        })
        .collect::<Result<Vec<Field>, _>>()?;
    Ok(Arc::new(Schema::new(fields)))
}

/// Brings a batch of a file to the columns of the table: the partition column comes from the log,
/// a column that the file does not have yet is missing, and other writers' integer widths are cast.
fn conform(
    batch: &RecordBatch,
    file: &DataFile,
    schema: &SchemaRef,
) -> Result<RecordBatch, arrow::error::ArrowError> {
    let n_rows = batch.num_rows();
    let columns = schema
        .fields()
        .iter()
        .map(|field| match (batch.column_by_name(field.name()), file.partition.get(field.name())) {
            (Some(column), _) if column.data_type() == field.data_type() => Ok(column.clone()),
            (Some(column), _) => cast(column, field.data_type()),
            (None, Some(Some(value))) => {
                let texts: ArrayRef =
                    Arc::new(StringArray::from_iter_values(std::iter::repeat_n(value, n_rows)));
                if field.data_type() == &DataType::Utf8 { Ok(texts) } else { cast(&texts, field.data_type()) }
            }
            (None, _) => Ok(new_null_array(field.data_type(), n_rows)),
        })
        .collect::<Result<Vec<ArrayRef>, _>>()?;
    RecordBatch::try_new_with_options(
        schema.clone(),
        columns,
        &RecordBatchOptions::new().with_row_count(Some(n_rows)),
    )
}

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use deltalake_core::kernel::{Action, Add};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};

use super::{LakeConfig, LakeError, stats};

const MIB: usize = 1 << 20;

/// Where and how the files of one write are made.
pub(super) struct WriteSpec<'a> {
    pub(super) table: &'a str,
    pub(super) dir: &'a Path,
    pub(super) schema: &'a SchemaRef,
    pub(super) partition_by: Option<&'a str>,
    /// Version this write wants to become; part of the file names, which order the rows.
    pub(super) version: u64,
    pub(super) config: &'a LakeConfig,
}

/// The files of one write. Dropped without [`WrittenFiles::keep`], it deletes them.
#[derive(Default)]
pub(super) struct WrittenFiles {
    adds: Vec<Add>,
    n_rows: u64,
    paths: Vec<PathBuf>,
}

impl WrittenFiles {
    pub(super) fn n_rows(&self) -> u64 {
        self.n_rows
    }

    pub(super) fn adds(&self) -> Vec<Action> {
        self.adds.iter().cloned().map(Action::Add).collect()
    }

    /// The commit has happened: the files belong to the table now.
    pub(super) fn keep(mut self) {
        self.paths.clear();
    }
}

impl Drop for WrittenFiles {
    fn drop(&mut self) {
        for path in &self.paths {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Writes all rows. They are made on the calling thread and encoded on another.
pub(super) fn write_files(
    spec: &WriteSpec<'_>,
    rows: &mut dyn Iterator<Item = Result<RecordBatch, LakeError>>,
) -> Result<WrittenFiles, LakeError> {
    let (sender, receiver) = crossbeam_channel::bounded::<RecordBatch>(spec.config.queue_batches_max.max(1));
    std::thread::scope(|scope| {
        let encoder = scope.spawn(move || {
            let mut writer = TableWriter::new(spec)?;
            for batch in receiver {
                writer.write(&batch)?;
            }
            writer.finish()
        });
        let mut failed = None;
        for batch in rows {
            match batch {
                Ok(batch) if batch.num_rows() == 0 => {}
                Ok(batch) => {
                    if sender.send(batch).is_err() {
                        break; // the encoder has failed and says why
                    }
                }
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
        drop(sender);
        let written = encoder.join().unwrap_or_else(|_| {
            Err(LakeError::Table { table: spec.table.into(), reason: "the Parquet writer failed".into() })
        });
        match failed {
            Some(error) => Err(error),
            None => written,
        }
    })
}

struct TableWriter<'a> {
    spec: &'a WriteSpec<'a>,
    file_schema: SchemaRef,
    file_columns: Vec<usize>,
    partition_column: Option<usize>,
    open: BTreeMap<Option<String>, OpenFile>,
    done: WrittenFiles,
}

struct OpenFile {
    path: PathBuf,
    relative: String,
    writer: ArrowWriter<File>,
}

impl<'a> TableWriter<'a> {
    fn new(spec: &'a WriteSpec<'a>) -> Result<Self, LakeError> {
        let partition_column = spec.partition_by.and_then(|name| spec.schema.index_of(name).ok());
        let file_columns: Vec<usize> =
            (0..spec.schema.fields().len()).filter(|i| Some(*i) != partition_column).collect();
        let fields: Vec<_> = file_columns.iter().map(|&i| spec.schema.field(i).clone()).collect();
        Ok(Self {
            spec,
            file_schema: Arc::new(Schema::new(fields)),
            file_columns,
            partition_column,
            open: BTreeMap::new(),
            done: WrittenFiles::default(),
        })
    }

    fn write(&mut self, batch: &RecordBatch) -> Result<(), LakeError> {
        self.check(batch)?;
        let Some(column) = self.partition_column else {
            return self.write_part(None, batch);
        };
        for (value, rows) in split_by(batch, column, self.spec)? {
            self.write_part(Some(value), &rows)?;
        }
        Ok(())
    }

    fn check(&self, batch: &RecordBatch) -> Result<(), LakeError> {
        let expected = self.spec.schema.fields();
        let found = batch.schema();
        let same = expected.len() == found.fields().len()
            && expected
                .iter()
                .zip(found.fields())
                .all(|(a, b)| a.name() == b.name() && a.data_type() == b.data_type());
        if same {
            return Ok(());
        }
        Err(LakeError::Columns {
            table: self.spec.table.into(),
            reason: format!(
                "rows with columns {found} were written to a table with columns {}",
                self.spec.schema
            ),
        })
    }

    fn write_part(&mut self, value: Option<String>, batch: &RecordBatch) -> Result<(), LakeError> {
        let columns = self.file_columns.iter().map(|&i| batch.column(i).clone()).collect();
        let rows =
            RecordBatch::try_new(self.file_schema.clone(), columns).map_err(|e| LakeError::Columns {
                table: self.spec.table.into(),
                reason: format!("{e}; declare the column with `required = false` if it may be missing"),
            })?;
        let file = match self.open.get_mut(&value) {
            Some(file) => file,
            None => {
                if self.open.len() >= self.spec.config.partitions_max {
                    return Err(LakeError::Columns {
                        table: self.spec.table.into(),
                        reason: format!(
                            "its partition column has more than {} values; partition by another",
                            self.spec.config.partitions_max
                        ),
                    });
                }
                let file = self.open_file(value.as_deref())?;
                self.open.entry(value.clone()).or_insert(file)
            }
        };
        file.writer.write(&rows).map_err(|e| LakeError::parquet("write", &file.path, self.spec.table, e))?;
        self.done.n_rows += rows.num_rows() as u64;
        if file.writer.bytes_written() + file.writer.in_progress_size() >= self.spec.config.file_mib_max * MIB
        {
            self.close_file(&value)?;
        }
        Ok(())
    }

    fn open_file(&mut self, value: Option<&str>) -> Result<OpenFile, LakeError> {
        let sequence = self.done.paths.len();
        let name =
            format!("part-{:010}-{sequence:05}-{}.zstd.parquet", self.spec.version, uuid::Uuid::new_v4());
        let relative = match (self.spec.partition_by, value) {
            (Some(column), Some(value)) => format!("{}={}/{name}", folder_name(column), folder_name(value)),
            _ => name,
        };
        let path = self.spec.dir.join(&relative);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(|e| LakeError::io("create", folder, e))?;
        }
        let file = File::create_new(&path).map_err(|e| LakeError::io("create", &path, e))?;
        self.done.paths.push(path.clone());
        let writer = ArrowWriter::try_new(file, self.file_schema.clone(), Some(properties(self.spec.config)))
            .map_err(|e| LakeError::parquet("write", &path, self.spec.table, e))?;
        Ok(OpenFile { path, relative, writer })
    }

    fn close_file(&mut self, value: &Option<String>) -> Result<(), LakeError> {
        let Some(OpenFile { path, relative, mut writer }) = self.open.remove(value) else {
            return Ok(());
        };
        let fail = |e| LakeError::parquet("write", &path, self.spec.table, e);
        let metadata = writer.finish().map_err(fail)?;
        let file = writer.inner();
        file.sync_all().map_err(|e| LakeError::io("write", &path, e))?;
        let bytes = file.metadata().map_err(|e| LakeError::io("read", &path, e))?.len();
        let partition_values = match (self.spec.partition_by, value) {
            (Some(column), Some(value)) => HashMap::from([(column.to_owned(), Some(value.clone()))]),
            _ => HashMap::new(),
        };
        self.done.adds.push(Add {
            path: relative,
            partition_values,
            size: i64::try_from(bytes).unwrap_or(i64::MAX),
            modification_time: chrono::Utc::now().timestamp_millis(),
            data_change: true,
            stats: Some(stats::of_file(&metadata)),
            ..Add::default()
        });
        Ok(())
    }

    fn finish(mut self) -> Result<WrittenFiles, LakeError> {
        let values: Vec<_> = self.open.keys().cloned().collect();
        for value in &values {
            self.close_file(value)?;
        }
        Ok(std::mem::take(&mut self.done))
    }
}

fn properties(config: &LakeConfig) -> WriterProperties {
    WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_max_row_group_row_count(Some(config.row_group_rows_max.max(1)))
        .set_max_row_group_bytes(Some(config.row_group_mib_max.max(1) * MIB))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_created_by(concat!("cupola ", env!("CARGO_PKG_VERSION")).to_owned())
        .build()
}

/// The rows of each value of a string column, in the order in which the values appear.
fn split_by(
    batch: &RecordBatch,
    column: usize,
    spec: &WriteSpec<'_>,
) -> Result<Vec<(String, RecordBatch)>, LakeError> {
    let fail = |reason: String| LakeError::Columns { table: spec.table.into(), reason };
    let values = batch.column(column).as_string::<i32>();
    if values.null_count() > 0 {
        return Err(fail(format!(
            "partition column {} has missing values",
            spec.schema.field(column).name()
        )));
    }
    let mut distinct: Vec<&str> = Vec::new();
    let mut codes = Vec::with_capacity(values.len());
    for value in values.iter().flatten() {
        let code = match distinct.iter().position(|v| *v == value) {
            Some(code) => code,
            None if distinct.len() >= spec.config.partitions_max => {
                return Err(fail(format!(
                    "its partition column has more than {} values; partition by another",
                    spec.config.partitions_max
                )));
            }
            None => {
                distinct.push(value);
                distinct.len() - 1
            }
        };
        codes.push(code);
    }
    if let [only] = distinct[..] {
        return Ok(vec![(only.to_owned(), batch.clone())]);
    }
    distinct
        .iter()
        .enumerate()
        .map(|(code, value)| {
            let mask: BooleanArray = codes.iter().map(|c| Some(*c == code)).collect();
            let rows = filter_record_batch(batch, &mask).map_err(|e| fail(e.to_string()))?;
            Ok(((*value).to_owned(), rows))
        })
        .collect()
}

/// A folder name for a partition value. Readers take the value from the log, not from here.
fn folder_name(value: &str) -> String {
    value
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '_' })
        .collect()
}

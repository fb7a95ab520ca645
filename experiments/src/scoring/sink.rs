use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, AsArray, StringArray};
use arrow::datatypes::{FieldRef, SchemaRef};
use arrow::error::ArrowError;
use arrow::json::writer::{Encoder, EncoderFactory, EncoderOptions, LineDelimited, NullableEncoder};
use cupola_datasets::sources::BrokenRecord;
use cupola_datasets::whole_file::WholeFile;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::kept;
use super::score::{ScoredChunk, ScoringError};

/// The output file, and that of the rejected records, under temporary names until they are whole.
pub struct Sink {
    path: PathBuf,
    temporary: WholeFile,
    writer: FileWriter,
    rejected: Option<BufWriter<WholeFile>>,
}

/// Format of the output, by the end of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `.csv`
    Csv,
    /// `.jsonl`, `.ndjson`
    Jsonl,
    /// `.parquet`
    Parquet,
}

impl Format {
    /// Fails for any other end.
    pub fn of(path: &Path) -> Result<Self, ScoringError> {
        match path.extension().and_then(|extension| extension.to_str()).unwrap_or_default() {
            "csv" => Ok(Self::Csv),
            "jsonl" | "ndjson" => Ok(Self::Jsonl),
            "parquet" => Ok(Self::Parquet),
            other => Err(ScoringError::Output {
                path: path.to_owned(),
                reason: format!("its name ends in {other:?}"),
            }),
        }
    }
}

enum FileWriter {
    Csv(Box<arrow::csv::Writer<BufWriter<File>>>),
    Jsonl(arrow::json::LineDelimitedWriter<BufWriter<File>>),
    Parquet(Box<ArrowWriter<File>>),
}

/// Writes texts that are JSON as what they say.
#[derive(Debug)]
struct JsonAsItIs;

impl EncoderFactory for JsonAsItIs {
    fn make_default_encoder<'a>(
        &self,
        field: &'a FieldRef,
        array: &'a dyn Array,
        _: &'a EncoderOptions,
    ) -> Result<Option<NullableEncoder<'a>>, ArrowError> {
        let texts = array.as_string_opt::<i32>().filter(|_| kept::is_json(field));
        Ok(texts.map(|texts| NullableEncoder::new(Box::new(Texts(texts)), texts.nulls().cloned())))
    }
}

struct Texts<'a>(&'a StringArray);

impl Encoder for Texts<'_> {
    fn encode(&mut self, row: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0.value(row).as_bytes());
    }
}

impl Sink {
    /// An output of rows with this schema.
    pub fn create(path: &Path, format: Format, schema: SchemaRef) -> Result<Self, ScoringError> {
        let failed = |reason: &dyn std::fmt::Display| ScoringError::Output {
            path: path.to_owned(),
            reason: reason.to_string(),
        };
        let temporary = WholeFile::create(path).map_err(|error| failed(&error))?;
        let file = temporary.handle().map_err(|error| failed(&error))?;
        let writer = match format {
            Format::Csv => FileWriter::Csv(Box::new(arrow::csv::Writer::new(BufWriter::new(file)))),
            Format::Parquet => {
                let level = ZstdLevel::try_new(1).map_err(|error| failed(&error))?;
                let properties =
                    WriterProperties::builder().set_compression(Compression::ZSTD(level)).build();
                let writer =
                    ArrowWriter::try_new(file, schema, Some(properties)).map_err(|error| failed(&error))?;
                FileWriter::Parquet(Box::new(writer))
            }
            Format::Jsonl => {
                let builder = arrow::json::WriterBuilder::new().with_encoder_factory(Arc::new(JsonAsItIs));
                FileWriter::Jsonl(builder.build::<_, LineDelimited>(BufWriter::new(file)))
            }
        };
        Ok(Self { path: path.to_owned(), temporary, writer, rejected: None })
    }

    fn failed(&self, reason: &dyn std::fmt::Display) -> ScoringError {
        ScoringError::Output { path: self.path.clone(), reason: reason.to_string() }
    }

    /// Appends the rows of a chunk, and sets its rejected records aside.
    pub fn write(&mut self, chunk: &ScoredChunk) -> Result<(), ScoringError> {
        let written = match &mut self.writer {
            FileWriter::Csv(writer) => writer.write(&chunk.rows).map_err(|error| error.to_string()),
            FileWriter::Jsonl(writer) => writer.write(&chunk.rows).map_err(|error| error.to_string()),
            FileWriter::Parquet(writer) => writer.write(&chunk.rows).map_err(|error| error.to_string()),
        };
        written.map_err(|error| self.failed(&error))?;
        for record in &chunk.rejected {
            self.reject(record).map_err(|error| self.failed(&error))?;
        }
        Ok(())
    }

    fn reject(&mut self, record: &BrokenRecord) -> io::Result<()> {
        let file = match &mut self.rejected {
            Some(file) => file,
            None => self.rejected.insert(BufWriter::new(WholeFile::create(&rejected_path(&self.path))?)),
        };
        let line = serde_json::json!({
            "row": record.line, "column": record.column, "reason": record.reason, "record": record.record,
        });
        writeln!(file, "{line}")
    }

    /// Puts the files in place.
    pub fn finish(self) -> Result<(), ScoringError> {
        let Self { path, temporary, writer, rejected } = self;
        let failed = |reason: &dyn std::fmt::Display| ScoringError::Output {
            path: path.clone(),
            reason: reason.to_string(),
        };
        match writer {
            FileWriter::Csv(writer) => writer.into_inner().flush().map_err(|error| failed(&error))?,
            FileWriter::Jsonl(mut writer) => {
                writer.finish().map_err(|error| failed(&error))?;
                writer.into_inner().flush().map_err(|error| failed(&error))?;
            }
            FileWriter::Parquet(writer) => {
                writer.close().map_err(|error| failed(&error))?;
            }
        }
        temporary.keep().map_err(|error| failed(&error))?;
        let beside = rejected_path(&path);
        match rejected {
            Some(rejected) => {
                let file = rejected.into_inner().map_err(|error| failed(error.error()))?;
                file.keep().map_err(|error| failed(&error))
            }
            // An earlier output had some.
            None => match std::fs::remove_file(&beside) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(&error)),
                _ => Ok(()),
            },
        }
    }
}

/// Where the records go that could not be scored.
pub fn rejected_path(output: &Path) -> PathBuf {
    let mut name = output.as_os_str().to_owned();
    name.push(".rejected.jsonl");
    PathBuf::from(name)
}

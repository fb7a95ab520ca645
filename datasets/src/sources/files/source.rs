use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use encoding_rs::Encoding;
use sha2::{Digest, Sha256};

use super::csv_file::CsvFile;
use super::decode;
use super::jsonl_file::JsonlFile;
use super::locate::{InputFile, locate};
use super::parquet_file::ParquetFile;
use super::unpack::{self, Progress};
use crate::sources::{FileFormat, FilesConfig, RecordChunk, Source, SourceError};

/// `kind = "files"`.
#[derive(Debug)]
pub struct FilesSource {
    config: FilesConfig,
    encoding: &'static Encoding,
    base_dir: PathBuf,
}

impl FilesSource {
    /// Checks the options; looks at no file.
    pub fn new(config: FilesConfig, base_dir: &Path) -> Result<Self, SourceError> {
        let wrong = |key, reason: String| Err(SourceError::Config { key, reason });
        if config.path.is_empty() {
            return wrong("path", "name a file, a folder or a glob".into());
        }
        if let Some(c) = config.delimiter
            && (!c.is_ascii() || matches!(c, '"' | '\n' | '\r'))
        {
            return wrong(
                "delimiter",
                format!("{c:?} cannot separate fields: use one ASCII character other than a quote"),
            );
        }
        if config.header && !config.names.is_empty() {
            return wrong(
                "names",
                "names are for files without a header: remove them or set header = false".into(),
            );
        }
        if let Some(twice) =
            config.names.iter().enumerate().find(|(i, name)| config.names[..*i].contains(name))
        {
            return wrong("names", format!("{} is there twice", twice.1));
        }
        if !(1..=LINE_MIB_LIMIT).contains(&config.line_mib_max) {
            return wrong(
                "line_mib_max",
                format!("{} is not between 1 and {LINE_MIB_LIMIT}", config.line_mib_max),
            );
        }
        let Some(encoding) = Encoding::for_label(config.encoding.as_bytes()) else {
            return wrong(
                "encoding",
                format!("{} is not a WHATWG encoding label such as utf-8 or windows-1252", config.encoding),
            );
        };
        Ok(Self { config, encoding, base_dir: base_dir.to_owned() })
    }

    fn locate(&self) -> Result<Vec<InputFile>, SourceError> {
        locate(&self.config, &self.base_dir)
    }
}

/// An Arrow text column holds 2 GiB, which a chunk of one such line must stay below.
const LINE_MIB_LIMIT: usize = 1_024;

impl Source for FilesSource {
    fn describe(&self) -> String {
        self.config.path.clone()
    }

    fn fingerprint(&self) -> Result<String, SourceError> {
        let mut digest = Sha256::new();
        for file in self.locate()? {
            digest.update(format!("{}\0{}\0{}\n", file.label, file.bytes, file.modified_ns));
        }
        Ok(digest.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect())
    }

    fn bytes_total(&self) -> Option<u64> {
        self.locate().ok().map(|files| files.iter().map(|file| file.bytes).sum())
    }

    fn open(&self) -> Result<Box<dyn Iterator<Item = Result<RecordChunk, SourceError>> + Send>, SourceError> {
        Ok(Box::new(Chunks {
            files: self.locate()?.into_iter(),
            current: None,
            config: Arc::new(self.config.clone()),
            encoding: self.encoding,
            progress: Progress::default(),
            bytes_before: 0,
            has_failed: false,
        }))
    }
}

/// A file that is being read.
pub(super) trait ReadChunks: Send {
    /// The next chunk, `None` at the end of the file.
    fn next_chunk(&mut self) -> Result<Option<RecordChunk>, SourceError>;
}

/// What the readers of text formats have in common.
pub(super) struct TextOptions {
    pub config: Arc<FilesConfig>,
    pub file: Arc<str>,
    pub progress: Progress,
}

impl TextOptions {
    pub fn line_bytes_max(&self) -> usize {
        self.config.line_mib_max << 20
    }

    pub fn bytes_read(&self) -> u64 {
        self.progress.load(Ordering::Relaxed)
    }
}

/// All chunks of all files.
struct Chunks {
    files: std::vec::IntoIter<InputFile>,
    current: Option<Box<dyn ReadChunks>>,
    config: Arc<FilesConfig>,
    encoding: &'static Encoding,
    progress: Arc<AtomicU64>,
    bytes_before: u64,
    has_failed: bool,
}

impl Chunks {
    fn open(&mut self, input: &InputFile) -> Result<Box<dyn ReadChunks>, SourceError> {
        let bytes_before = self.bytes_before;
        self.bytes_before += input.bytes;
        if input.format == FileFormat::Parquet {
            return Ok(Box::new(ParquetFile::open(input, bytes_before)?));
        }
        self.progress.store(bytes_before, Ordering::Relaxed);
        let options = TextOptions {
            config: Arc::clone(&self.config),
            file: Arc::clone(&input.label),
            progress: Arc::clone(&self.progress),
        };
        let text = unpack::open(input, &self.progress)
            .and_then(|bytes| decode::utf8(bytes, self.encoding))
            .map_err(|e| options.read_error(e))?;
        Ok(match input.format {
            FileFormat::Csv => Box::new(CsvFile::open(text, input.delimiter, options)?),
            FileFormat::Jsonl | FileFormat::Parquet => Box::new(JsonlFile::open(text, options)?),
        })
    }

    fn advance(&mut self) -> Result<Option<RecordChunk>, SourceError> {
        loop {
            if let Some(current) = &mut self.current {
                if let Some(chunk) = current.next_chunk()? {
                    return Ok(Some(chunk));
                }
                self.current = None;
            }
            let Some(input) = self.files.next() else { return Ok(None) };
            self.current = Some(self.open(&input)?);
        }
    }
}

impl Iterator for Chunks {
    type Item = Result<RecordChunk, SourceError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.has_failed {
            return None;
        }
        let next = self.advance();
        self.has_failed = next.is_err();
        next.transpose()
    }
}

//! Where rows come from. A source yields records as they were found; nothing is dropped here.

mod config;
mod source;

pub mod files;

mod build;

pub use build::{build, check};
pub use config::{FileFormat, FilesConfig, SourceConfig};
pub use source::{BrokenRecord, CHUNK_RECORDS_MAX, RecordChunk, RecordFormat, Source, SourceError};

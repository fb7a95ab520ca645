//! Delta tables under one root folder. The only place that knows Delta.
//!
//! [`Lake`] writes streams of record batches as one Delta commit (all or nothing), and reads any
//! version back in the order in which it was written.

mod table;

mod config;
mod error;
mod runtime;

mod commit;
mod scan;
mod snapshot;
mod stats;
mod writer;

#[cfg(test)]
mod tests;

pub use config::LakeConfig;
pub use error::LakeError;
pub(crate) use error::find_io;
pub(crate) use runtime::BlockingRuntime;
pub use scan::{ScanOptions, TableScan};
pub use snapshot::{DataFile, VersionInfo};
pub use table::{Lake, TableVersion};

//! The table of records that broke the schema, each with its reason, and the corrections that
//! bring them back.
//!
//! The quarantine table is what the latest ingest could not take. A correction names the broken
//! record it stands for; every ingest that meets that record takes the correction in its place. So
//! the raw table is a function of the source and the corrections: a correction stays over any
//! number of ingests, and cannot count twice.

mod id;
mod table;
mod writer;

mod corrected;
mod corrections;

mod list;
mod replay;

#[cfg(test)]
mod tests;

pub use corrected::validate;
pub use corrections::{Correction, Corrections};
pub use id::Identifier;
pub use list::{Listing, export, list};
pub use replay::{ReplayError, Replayed, replay};
pub use table::{Entry, Tables};
pub use writer::Writer;

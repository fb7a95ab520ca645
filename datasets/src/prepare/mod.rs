//! From the raw table to the clean table: duplicates, filters.

mod config;
mod error;
mod stage;

#[cfg(test)]
mod tests;

pub use config::{Clip, Deduplicate, Impute, ImputeStatistic, Keep, PrepareConfig};
pub use error::PrepareError;
pub use stage::run;

//! Query engines. The only place that holds a DataFusion session.
//!
//! [`Engine`] is the seam: the local engine runs in this process, others would run the same SQL
//! over the same table files elsewhere.

mod engine;

mod config;
mod lake_table;
mod local;
mod memory;

#[cfg(test)]
mod contract;
#[cfg(test)]
mod tests;

pub use config::EngineConfig;
pub use engine::{Engine, EngineError, EngineTable, QueryRows};
pub use local::LocalEngine;

//! How far the rows that are scored have moved from the reference profile, column by column, and
//! how far their scores have.

mod bins;
mod budget;
mod config;
mod monitor;
mod psi;
mod reference;

#[cfg(test)]
mod tests;

pub use budget::RowBudget;
pub use config::DriftConfig;
pub use monitor::{Drift, DriftMonitor, Psi};
pub use psi::psi;
pub use reference::ReferenceProfile;

//! The data profile: what a table looks like, as JSON and as a page with charts. It is also the
//! reference profile of a bundle, against which drift is measured.

mod config;
mod data_profile;
mod histogram;

mod compute;

mod association;
mod categories;
mod distinct;
mod numbers;

mod warning;

mod chart;
mod html;

#[cfg(test)]
mod tests;

pub use config::ProfileConfig;
pub use data_profile::{
    Association, CategoryCount, ColumnProfile, ColumnRole, DataProfile, Distinct, Measure, NumericProfile,
    QuantileValue,
};
pub use histogram::Histogram;
pub use html::to_html;
pub use warning::{Warning, WarningKind};

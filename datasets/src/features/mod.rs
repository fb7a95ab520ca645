//! The feature plan. Training replays exactly what serving does: [`CompiledPlan::apply`] is the
//! only road from validated rows to numbers.
//!
//! [`FeaturesConfig`] and the schema resolve to a [`FeaturePlan`] (no data is read); [`fit`] adds
//! what training rows teach and gives a [`FittedPlan`]; that compiles to a [`CompiledPlan`].

mod batch;
mod config;
mod error;
mod plan;

mod resolve;

mod fit;
mod fit_categorical;
mod fit_numeric;
mod moments;
mod reservoir;

mod apply;
mod normal;
mod quantile;
mod reader;
mod sql;

mod table;

#[cfg(test)]
mod tests;

pub use apply::CompiledPlan;
pub use batch::{FeatureBatch, LabelledBatch};
pub use config::{CategoricalConfig, FeaturesConfig, Normalise};
pub use error::PlanError;
pub use fit::fit;
pub(crate) use fit_numeric::quantile;
pub(crate) use moments::Moments;
pub use plan::{CategoricalFeature, FittedPlan, NumericFeature, NumericStep, Scale};
pub(crate) use reader::Values;
pub(crate) use reservoir::{Chosen, Reservoir, place};
pub use resolve::{FeaturePlan, FeatureSource};
pub(crate) use sql::RowFilter;
pub use table::FeatureTable;

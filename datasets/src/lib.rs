//! Everything between raw data and numbers a model can read: sources, schema, quarantine, lake,
//! preparation, the feature plan and the data profile.
//!
//! This crate knows nothing of models, training, serving or HTTP.

pub mod schema;

pub mod sources;

pub mod records;

pub mod quarantine;

pub mod lake;

pub mod engines;

pub mod prepare;

pub mod features;

pub mod profile;

pub mod datagen;

pub mod whole_file;

pub use features::{CompiledPlan, FeatureBatch, FittedPlan};
pub use lake::{Lake, TableVersion};
pub use schema::Schema;

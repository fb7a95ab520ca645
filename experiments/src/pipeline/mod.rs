//! The pipeline file: what it may say, and errors that point into it.

mod config;
mod document;
mod load;
mod reference;
mod validate;

pub use config::{MlflowConfig, ModelConfig, Pipeline, SampleConfig, SampleKind};
pub use load::{LoadOptions, LoadedPipeline, PipelineError, Problem, load};
pub use reference::{json_schema, reference_page};

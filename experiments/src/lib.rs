//! Pipelines as a whole: the file, the stages, the run journal, MLflow.
//!
//! The only crate that sees both training and serving configuration.

pub mod pipeline;

pub mod home;

pub mod stages;

pub mod scoring;

pub mod tracking;

pub mod journal;

pub mod mlflow;

pub mod system;

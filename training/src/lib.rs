//! From a feature table to a trained network: splits, metrics, the trainer with its checkpoints.
//!
//! This crate never sees serving; a bundle is all that passes between them.

pub mod split;

pub mod metrics;

pub mod tracker;

pub mod trainer;

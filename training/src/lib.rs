//! From a feature table to a trained model: splits, metrics, the trainer of networks and the booster of trees,
//! both with checkpoints.
//!
//! This crate never sees serving; a bundle is all that passes between them.

pub mod split;

pub mod metrics;

pub mod tracker;

pub mod trainer;

pub mod boosting;

mod lists;

mod simd;

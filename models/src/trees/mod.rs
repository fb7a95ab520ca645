//! Gradient-boosted trees: the forest, its exact CPU form, and the learner that grows one tree.
//!
//! Gradients become integers once per tree; from there on everything is sums of integers, so a tree does not
//! depend on the number of threads, the order of rows or the device. Rounds, objectives and early stopping
//! are the training crate's.

mod config;
mod objective;

mod forest;
mod importance;
mod tensors;

mod predict;

pub mod learner;

mod gpu;

pub use config::{GbdtConfig, GrowPolicy};
pub use forest::{Forest, ForestError, ForestShape, Node, NodeRule};
pub use gpu::DeviceForest;
pub use importance::Importance;
pub use objective::Objective;
pub use predict::CpuForest;

#[cfg(test)]
mod tests;

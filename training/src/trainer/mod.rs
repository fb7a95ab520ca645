//! The training loop: mini-batches, optimiser, early stopping, checkpoints.

mod block;
mod by_size;
mod checkpoint;
mod config;
mod error;
mod lake_rows;
mod learner;
mod loader;
mod loss;
mod rows;
mod schedule;
mod targets;
#[cfg(test)]
mod tests;
mod train;

pub use config::{ClassWeights, Schedule, TrainConfig};
pub use error::TrainError;
pub use lake_rows::LakeRows;
pub use rows::{MemoryRows, RowBatches, TrainingRows};
pub use train::{Epoch, Progress, TrainInput, Trained, train};

//! Multi-layer perceptron for tables: the network on any Burn device, and its exact CPU form.
//!
//! The weights file is the seam between the two: training makes [`MlpWeights`] out of an [`Mlp`],
//! serving makes a [`CpuMlp`] or a [`DeviceMlp`] out of them.

mod config;
mod cpu;
mod device;
mod init;
mod link;
mod network;
mod shape;
mod weights;

pub use config::MlpConfig;
pub use cpu::CpuMlp;
pub use device::{DeviceMlp, DeviceMlpError};
pub use link::{Link, OutputScale};
pub use network::{Mlp, input_tensors};
pub use shape::{MlpShape, ShapeError};
pub use weights::{MlpWeights, WeightTensor, WeightsError};

#[cfg(test)]
pub(crate) mod tests;

//! Prediction of forests on a GPU, written once for CUDA and Vulkan, with the bits of
//! [`CpuForest`](super::CpuForest). In reading order: nodes are packed and numbers become integers on the
//! host, then each thread takes a row down all trees.

mod packed;

mod columns;

mod kernel;

mod forest;

mod predictor;

pub use forest::GpuForest;
pub use predictor::DeviceForest;

#[cfg(test)]
mod reference;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

//! Trees on a GPU: histograms and partitions of rows, written once for CUDA and Vulkan, with the
//! same sums as on the CPU, bit by bit. Knows rows, bins and which cuts may be the best; the host decides between those.

pub(in crate::trees) mod buffer;
mod error;
pub(in crate::trees) mod guard;
mod histogram;
mod matrix;
mod orders;
mod partition;
mod records;
mod rows;
mod scores;
mod search;
mod store;
mod tasks;

pub use error::GpuError;
pub use histogram::GpuHistogram;
pub use orders::{Done, Order};
pub use rows::GpuRows;
pub use search::{Found, Question};
pub use store::open;
#[cfg(test)]
pub(super) use store::shared;

#[cfg(test)]
pub(in crate::trees) mod testing;
#[cfg(test)]
mod tests;

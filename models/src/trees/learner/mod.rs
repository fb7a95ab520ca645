//! Grows one tree from gradients. In reading order: values become bins, gradients become integers, rows are
//! summed into histograms, splits are found on them, and rows are partitioned by the splits.

mod bins;
mod cuts;
mod search;

mod layout;
mod matrix;

mod loss;

mod gradient;
mod histogram;
mod rows;

mod store;

mod exact;
pub(in crate::trees) mod gpu;

mod columns;
mod scan;
mod split;

mod grow;
mod tree;

#[cfg(test)]
mod tests;

pub use bins::{FeatureBins, Sampled};
pub use cuts::CutBudget;
pub use gpu::GpuError;
pub use gradient::{Gradients, Units};
pub use grow::{GrowError, Growth, TreeLearner};
pub use loss::{HESSIAN_MIN, RowLoss, RowScores, SigmoidTable, sigmoid, sigmoid_table};
pub use matrix::BinnedMatrix;
pub use tree::{Grown, Leaf};

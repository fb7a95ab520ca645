use super::gpu::GpuError;
use super::gradient::{Draw, Gradients, Units};
use super::histogram::Histogram;
use super::matrix::BinnedMatrix;
use super::rows::{Done, Order, Segments};
use super::tree::Leaf;

/// Where the rows of a tree under construction are: in this machine's memory, or on a GPU. All stores give the
/// same sums, to the bit.
pub trait RowStore {
    /// Begins a tree with all rows; `None` where the loss is not finite.
    fn start(&mut self, draw: Draw, loss: &dyn Gradients) -> Result<Option<Units>, GpuError>;

    /// The rows that take part, and their histogram.
    fn root(&mut self, matrix: &BinnedMatrix) -> Result<(Segments, Histogram), GpuError>;

    /// Carries out splits: partitions the rows, and sums those of the wanted sides.
    fn split(&mut self, matrix: &BinnedMatrix, orders: &[Order]) -> Result<Vec<Done>, GpuError>;

    /// Adds to each row's number the value of the leaf it ended in; `values` is by node.
    fn add_values(&self, leaves: &[Leaf], values: &[f32], to: &mut [f32]) -> Result<(), GpuError>;

    /// Whether leaves hold the rows that do not take part, too.
    fn holds_all(&self) -> bool {
        true
    }

    /// Numbers of the rows that ended in a leaf, in no particular order.
    fn rows_of(&self, leaf: &Leaf) -> Result<Vec<u32>, GpuError>;

    /// Takes back the memory of a histogram.
    fn recycle(&self, _: Histogram) {}
}

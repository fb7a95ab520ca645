use super::gpu::GpuError;
use super::gpu::{Found, GpuHistogram, Question};
use super::gradient::{Draw, Gradients, Units};
use super::histogram::{Histogram, Sums};
use super::matrix::BinnedMatrix;
use super::rows::{Done, Order, Segments};
use super::split::Regularisation;
use super::tree::Leaf;

/// The histogram of a node.
pub enum NodeHistogram {
    /// In this machine's memory.
    Here(Histogram),
    /// On the device of its store, which looks through it there.
    There(GpuHistogram),
}

impl NodeHistogram {
    /// What a part leaves, where both are in this machine's memory.
    pub fn less(self, part: &Self) -> Result<Self, GpuError> {
        if let (Self::Here(mut whole), Self::Here(part)) = (self, part) {
            whole.subtract(part);
            return Ok(Self::Here(whole));
        }
        Err(elsewhere())
    }
}

/// Where the values of leaves were added.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Added {
    /// To the numbers that were given.
    Here,
    /// To the store's own copy of the first scores it was given, which is the one that counts from then on.
    OnDevice,
}

/// All rows that take part in a tree.
pub struct Root {
    pub segments: Segments,
    pub total: Sums,
    pub histogram: NodeHistogram,
}

/// Where the rows of a tree under construction are: in this machine's memory, or on a GPU. All stores give the
/// same sums, to the bit.
pub trait RowStore {
    /// Begins a tree with all rows; `None` where the loss is not finite.
    fn start(&mut self, draw: Draw, loss: &dyn Gradients) -> Result<Option<Units>, GpuError>;

    /// The rows that take part.
    fn root(&mut self, matrix: &BinnedMatrix) -> Result<Root, GpuError>;

    /// Carries out splits: partitions the rows, and sums those of the wanted sides.
    fn split(&mut self, matrix: &BinnedMatrix, orders: &[Order]) -> Result<Vec<Done>, GpuError>;

    /// Adds to each row's number the value of the leaf it ended in; `values` is by node.
    fn add_values(&mut self, leaves: &[Leaf], values: &[f32], to: &mut [f32]) -> Result<Added, GpuError>;

    /// Whether leaves hold the rows that do not take part, too.
    fn holds_all(&self) -> bool {
        true
    }

    /// Numbers of the rows that ended in a leaf, in no particular order.
    fn rows_of(&self, leaf: &Leaf) -> Result<Vec<u32>, GpuError>;

    /// Takes back the memory of a histogram.
    fn recycle(&self, _: NodeHistogram) {}

    /// The histogram of what a part leaves of a whole.
    fn subtract(&self, whole: NodeHistogram, part: &NodeHistogram) -> Result<NodeHistogram, GpuError> {
        whole.less(part)
    }

    /// What can be the best split of nodes whose histograms are on the store's device.
    fn search(
        &self,
        _: (Units, &Regularisation),
        questions: &[Question<'_>],
    ) -> Result<Vec<Found>, GpuError> {
        if questions.is_empty() { Ok(Vec::new()) } else { Err(elsewhere()) }
    }
}

/// A store was asked about a histogram that is not its own.
fn elsewhere() -> GpuError {
    GpuError::Input { what: "a histogram that is not where its store is".into() }
}

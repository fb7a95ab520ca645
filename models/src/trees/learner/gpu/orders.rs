use std::ops::Range;

use super::super::layout::Layout;
use super::super::rows::Side;
use super::super::store::NodeHistogram;
use super::GpuError;

/// A split to be carried out.
#[derive(Clone, Debug)]
pub struct Order {
    /// The node's stretch of records.
    pub rows: Range<usize>,
    /// Which of the two buffers they are in.
    pub parity: usize,
    /// Place of the feature in the row.
    pub place: usize,
    /// Whether rows of a bin go left.
    pub goes_left: Vec<bool>,
    /// Side whose histogram is wanted.
    pub build: Option<Side>,
}

/// What came of a split. In the other buffer, the left rows are now the first `n_left` of the same
/// stretch and the right ones the rest.
#[derive(Default)]
pub struct Done {
    /// Rows that went left.
    pub n_left: usize,
    /// Histogram of the wanted side.
    pub histogram: Option<NodeHistogram>,
}

impl Order {
    /// Kernels check nothing: what is wrong must not reach them.
    pub(super) fn check(&self, layout: &Layout, n_rows: usize) -> Result<(), GpuError> {
        check_stretch(&self.rows, self.parity, n_rows)?;
        let slot = layout.slots.get(self.place);
        match slot {
            Some(slot) if slot.n_bins == self.goes_left.len() => Ok(()),
            Some(slot) => {
                let what =
                    format!("{} sides for the {} bins of a feature", self.goes_left.len(), slot.n_bins);
                Err(GpuError::Input { what })
            }
            None => Err(GpuError::Input { what: format!("no feature is at place {}", self.place) }),
        }
    }
}

pub(super) fn check_stretch(rows: &Range<usize>, parity: usize, n_rows: usize) -> Result<(), GpuError> {
    if rows.start <= rows.end && rows.end <= n_rows && parity < 2 {
        return Ok(());
    }
    Err(GpuError::Input {
        what: format!("records {rows:?} of buffer {parity}, there are {n_rows} in each of two"),
    })
}

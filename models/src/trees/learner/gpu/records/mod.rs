//! The records of all rows: reset for a new tree, and in the end told which leaf they are in.

mod arrays;
mod kernel;
#[cfg(test)]
pub(super) mod reference;
#[cfg(test)]
mod tests;

pub(super) use arrays::{Leaf, Records};
pub(super) use kernel::RecordArrays;

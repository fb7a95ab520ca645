//! Boosting: one tree after the other, each on the gradients that those before it leave.
//!
//! The table is read twice, for the cuts of the bins and for the bins; the float matrix is never whole in memory.

mod base;
mod checkpoint;
mod input;
mod lambda;
mod losses;
mod math;
mod objective;
mod sketch;
mod table;
#[cfg(test)]
mod tests;
mod train;

pub use input::{BoostInput, Boosted, Features};
pub use train::boost;

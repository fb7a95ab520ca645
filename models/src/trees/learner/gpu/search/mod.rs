//! Which cuts of numbers may be the best split of a node. The device works them out in 32-bit floats, whose last bits
//! differ from device to device, so it answers with all cuts that its error bounds cannot tell from the best one,
//! each with its exact sums; the host, whose arithmetic has one answer, decides between those few.

mod kernel;
mod launch;
#[cfg(test)]
pub(super) mod reference;
#[cfg(test)]
mod tests;

pub use launch::{Found, Question};
pub(super) use launch::{Search, search, subtract};

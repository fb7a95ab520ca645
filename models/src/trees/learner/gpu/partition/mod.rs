//! Splits the records of nodes in two, from one buffer into the other.

mod kernel;
mod launch;
#[cfg(test)]
pub(super) mod reference;
#[cfg(test)]
mod tests;

pub(super) use launch::partition;

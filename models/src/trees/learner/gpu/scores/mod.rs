//! Raw scores that stay on the device: gradients of losses that have one answer everywhere, and the values of leaves.

mod kernel;
mod launch;
#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;

pub(super) use launch::Scores;

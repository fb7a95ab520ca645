//! Sums of gradients and hessians by bin, exact to the last bit for any number of rows.

mod kernel;
mod launch;
#[cfg(test)]
pub(super) mod reference;
#[cfg(test)]
mod tests;
mod tile;

pub use launch::GpuHistogram;
pub(super) use launch::{LIMBS, Node, Part, bins, histograms, sums};
pub(super) use tile::{DIRECT_BINS_MIN, GROUP_WORDS, Group, TILE_BINS, Tile, group_table, tile_table};

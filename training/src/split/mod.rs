//! Which rows train, which stop the training, which judge it.

mod assign;
mod config;
mod hash;

pub use assign::{SplitError, SplitInput, assign};
pub use config::{Part, SplitConfig, SplitKind};
pub(crate) use hash::splitmix64;

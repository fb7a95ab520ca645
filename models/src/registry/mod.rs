//! Versions of models under their names, and the aliases that point at them.

mod files;
mod history;
mod local;
mod names;
mod seam;

pub use history::AliasChange;
pub use local::LocalRegistry;
pub use names::{check_alias, check_name};
pub use seam::{ModelInfo, Registry, RegistryError, ResolvedVersion, VersionInfo, VersionRef};

#[doc(hidden)]
pub mod contract;
#[cfg(test)]
mod tests;

//! The versions that are loaded, as one table that is replaced under running requests, and the
//! thread that replaces it when the registry changes.

mod error;
mod load;
mod loaded;
mod reload;
mod table;

pub use error::ServeError;
pub use load::Loader;
pub use loaded::LoadedVersion;
pub use reload::Reloader;
pub use table::{ServedModel, Table};

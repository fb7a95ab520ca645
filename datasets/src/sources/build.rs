use std::path::Path;
use std::sync::Arc;

use super::files::FilesSource;
use super::{Source, SourceConfig, SourceError};

/// The source that the configuration describes: the one list of all kinds. Paths are relative to
/// `base_dir`. No I/O: files are looked for when the source is asked for something.
pub fn build(config: &SourceConfig, base_dir: &Path) -> Result<Arc<dyn Source>, SourceError> {
    match config {
        SourceConfig::Files(files) => Ok(Arc::new(FilesSource::new(files.clone(), base_dir)?)),
    }
}

/// Whether the configuration makes sense in itself. No I/O.
pub fn check(config: &SourceConfig) -> Result<(), SourceError> {
    build(config, Path::new(".")).map(drop)
}

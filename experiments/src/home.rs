//! Where everything Cupola keeps lies on disk.

use std::path::{Path, PathBuf};

/// The home folder, `./.cupola` by default.
#[derive(Clone, Debug)]
pub struct Home {
    root: PathBuf,
}

impl Home {
    /// A home at this folder; nothing is created.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Delta tables, `PIPELINE/TABLE` inside.
    pub fn lake(&self) -> PathBuf {
        self.root.join("lake")
    }

    /// The local model registry.
    pub fn models(&self) -> PathBuf {
        self.root.join("models")
    }

    /// Run journals, a folder each.
    pub fn runs(&self) -> PathBuf {
        self.root.join("runs")
    }

    /// Finished stages of a pipeline, by address.
    pub fn stages(&self, pipeline: &str) -> PathBuf {
        self.root.join("stages").join(pipeline)
    }

    /// Held by the process that runs the pipeline.
    pub fn lock(&self, pipeline: &str) -> PathBuf {
        self.stages(pipeline).join("lock")
    }
}

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use super::error::RunError;
use super::observer::Stage;

/// Results of stages by address, as JSON beside a folder for larger artefacts.
pub struct StageStore {
    root: PathBuf,
}

impl StageStore {
    /// A store at this folder, which is created.
    pub fn open(root: PathBuf) -> Result<Self, RunError> {
        fs::create_dir_all(&root).map_err(|source| RunError::Io { path: root.clone(), source })?;
        Ok(Self { root })
    }

    /// The result kept under an address. A damaged one counts as absent: the stage runs again.
    pub fn get<T: DeserializeOwned>(&self, stage: Stage, address: &str) -> Option<T> {
        let text = fs::read(self.file(stage, address)).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// Keeps a result, whole or not at all.
    pub fn put<T: Serialize>(&self, stage: Stage, address: &str, result: &T) -> Result<(), RunError> {
        write_json(&self.file(stage, address), result)
    }

    /// Folder for artefacts of a stage's result, such as checkpoints.
    pub fn folder(&self, stage: Stage, address: &str) -> Result<PathBuf, RunError> {
        let path = self.root.join(format!("{stage}-{address}"));
        fs::create_dir_all(&path).map_err(|source| RunError::Io { path: path.clone(), source })?;
        Ok(path)
    }

    /// A file of the pipeline that is no stage's result.
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    fn file(&self, stage: Stage, address: &str) -> PathBuf {
        self.root.join(format!("{stage}-{address}.json"))
    }
}

/// Hash of everything a stage's result depends on: 16 hex digits of SHA-256 over its JSON.
pub fn address<T: Serialize>(inputs: &T) -> Result<String, RunError> {
    let text = serde_json::to_vec(inputs).map_err(|error| RunError::Data(error.to_string()))?;
    let mut hash = Sha256::new();
    hash.update(env!("CARGO_PKG_VERSION"));
    hash.update(text);
    Ok(hex(&hash.finalize()[..8]))
}

/// Lower-case hex digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Writes JSON under a temporary name, syncs it and renames it.
pub fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), RunError> {
    let text = serde_json::to_vec_pretty(value).map_err(|error| RunError::Data(error.to_string()))?;
    write(path, &text)
}

/// Writes a file under a temporary name, syncs it and renames it.
pub fn write(path: &Path, content: &[u8]) -> Result<(), RunError> {
    let failed = |source| RunError::Io { path: path.to_owned(), source };
    let temporary = path.with_extension("tmp");
    let mut file = File::create(&temporary).map_err(failed)?;
    file.write_all(content).and_then(|()| file.sync_all()).map_err(failed)?;
    fs::rename(&temporary, path).map_err(failed)
}

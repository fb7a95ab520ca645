//! Files of one model in the local registry.
//!
//! ```text
//! NAME/versions/N/         bundle of version N, with `registration.json` beside its files
//! NAME/aliases.json        version by alias
//! NAME/history.jsonl       changes of aliases, oldest first
//! NAME/.lock               held while an alias changes
//! ```

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::{AliasChange, RegistryError};
use crate::bundle::sync_dir;

pub(super) const REGISTRATION: &str = "registration.json";

/// What is known of a version beside its bundle.
#[derive(Serialize, Deserialize)]
pub(super) struct Registration {
    /// RFC 3339 in UTC.
    pub created: String,
    pub run_id: String,
}

/// The folder of one model.
pub(super) struct ModelFiles {
    pub dir: PathBuf,
}

impl ModelFiles {
    pub fn versions_dir(&self) -> PathBuf {
        self.dir.join("versions")
    }

    pub fn version_dir(&self, version: u64) -> PathBuf {
        self.versions_dir().join(version.to_string())
    }

    fn aliases_path(&self) -> PathBuf {
        self.dir.join("aliases.json")
    }

    fn history_path(&self) -> PathBuf {
        self.dir.join("history.jsonl")
    }

    /// Version numbers, ascending. Empty without a folder.
    pub fn versions(&self) -> Result<Vec<u64>, RegistryError> {
        let dir = self.versions_dir();
        let entries = match fs::read_dir(&dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed("list", &dir, &error)),
        };
        let mut versions = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|error| failed("list", &dir, &error))?;
            // What is no number is somebody's temporary folder.
            versions.extend(entry.file_name().to_str().and_then(|name| name.parse::<u64>().ok()));
        }
        versions.sort_unstable();
        Ok(versions)
    }

    pub fn registration(&self, version: u64) -> Result<Registration, RegistryError> {
        let path = self.version_dir(version).join(REGISTRATION);
        let bytes = fs::read(&path).map_err(|error| failed("read", &path, &error))?;
        parse(&path, &bytes)
    }

    /// Version by alias, in the order the aliases were first set.
    pub fn aliases(&self) -> Result<IndexMap<String, u64>, RegistryError> {
        match self.aliases_text()? {
            Some(bytes) => parse(&self.aliases_path(), &bytes),
            None => Ok(IndexMap::new()),
        }
    }

    /// `aliases.json` as it is; `None` if no alias was ever set.
    pub fn aliases_text(&self) -> Result<Option<Vec<u8>>, RegistryError> {
        let path = self.aliases_path();
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("read", &path, &error)),
        }
    }

    /// Replaces `aliases.json` whole.
    pub fn write_aliases(&self, aliases: &IndexMap<String, u64>) -> Result<(), RegistryError> {
        let path = self.aliases_path();
        let write = || -> std::io::Result<()> {
            let mut file = tempfile::NamedTempFile::new_in(&self.dir)?;
            serde_json::to_writer_pretty(&mut file, aliases)?;
            file.write_all(b"\n")?;
            #[cfg(unix)]
            {
                use std::os::unix::fs::PermissionsExt;
                file.as_file().set_permissions(fs::Permissions::from_mode(0o644))?;
            }
            file.as_file().sync_all()?;
            file.persist(&path)?;
            sync_dir(&self.dir)
        };
        write().map_err(|error| failed("write", &path, &error))
    }

    /// Changes of aliases, oldest first. A last line that was cut off by a crash was never acted
    /// on and does not count.
    pub fn history(&self) -> Result<Vec<AliasChange>, RegistryError> {
        let path = self.history_path();
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed("read", &path, &error)),
        };
        let whole = &text[..whole_lines(&text)];
        whole
            .split(|&byte| byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| parse(&path, line))
            .collect()
    }

    /// Appends a change durably. Written before the alias changes: after a crash between the two,
    /// the history holds a step that was not taken, which [`super::history::before`] passes over.
    pub fn append_history(&self, change: &AliasChange) -> Result<(), RegistryError> {
        let path = self.history_path();
        let append = || -> std::io::Result<()> {
            let mut file =
                OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path)?;
            let mut text = Vec::new();
            file.read_to_end(&mut text)?;
            let end = whole_lines(&text) as u64;
            file.set_len(end)?;
            file.seek(SeekFrom::Start(end))?;
            let mut line = serde_json::to_vec(change)?;
            line.push(b'\n');
            file.write_all(&line)?;
            file.sync_all()?;
            sync_dir(&self.dir)
        };
        append().map_err(|error| failed("write", &path, &error))
    }

    /// Keeps other processes from changing this model's aliases until the file is dropped.
    pub fn lock(&self) -> Result<File, RegistryError> {
        let path = self.dir.join(".lock");
        let lock = || -> std::io::Result<File> {
            let file = OpenOptions::new().write(true).create(true).truncate(false).open(&path)?;
            file.lock()?;
            Ok(file)
        };
        lock().map_err(|error| failed("lock", &path, &error))
    }
}

/// Bytes up to and with the last line end.
fn whole_lines(text: &[u8]) -> usize {
    text.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1)
}

fn parse<T: serde::de::DeserializeOwned>(path: &Path, bytes: &[u8]) -> Result<T, RegistryError> {
    serde_json::from_slice(bytes)
        .map_err(|error| RegistryError::Damaged { path: path.into(), reason: error.to_string() })
}

pub(super) fn failed(action: &str, path: &Path, error: &std::io::Error) -> RegistryError {
    let registry = path.display().to_string();
    RegistryError::Io {
        registry,
        reason: format!("cannot {action} it: {error}; check that the folder is there and yours"),
    }
}

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use chrono::{DateTime, SecondsFormat, Utc};
use sha2::{Digest, Sha256};

use super::files::{ModelFiles, REGISTRATION, Registration, failed};
use super::{
    AliasChange, ModelInfo, Registry, RegistryError, ResolvedVersion, VersionInfo, VersionRef, check_alias,
    check_name, history,
};
use crate::bundle::{self, Manifest};

/// A folder of versions. Any number of processes may use it at once.
#[derive(Clone, Debug)]
pub struct LocalRegistry {
    root: PathBuf,
    now: fn() -> DateTime<Utc>,
}

impl LocalRegistry {
    /// A registry in a folder, which is created when the first model is registered.
    pub fn open(root: &Path) -> Result<Self, RegistryError> {
        Self::with_clock(root, Utc::now)
    }

    /// With another clock.
    pub fn with_clock(root: &Path, now: fn() -> DateTime<Utc>) -> Result<Self, RegistryError> {
        match fs::metadata(root) {
            Ok(found) if !found.is_dir() => Err(RegistryError::Io {
                registry: root.display().to_string(),
                reason: "it is a file; name a folder".into(),
            }),
            Err(error) if error.kind() != ErrorKind::NotFound => Err(failed("open", root, &error)),
            _ => Ok(Self { root: root.into(), now }),
        }
    }

    /// Changes of a model's aliases, oldest first.
    pub fn history(&self, name: &str) -> Result<Vec<AliasChange>, RegistryError> {
        self.known(name)?.history()
    }

    fn time(&self) -> String {
        (self.now)().to_rfc3339_opts(SecondsFormat::Millis, true)
    }

    fn files(&self, name: &str) -> ModelFiles {
        ModelFiles { dir: self.root.join(name) }
    }

    /// Names of all models, sorted.
    fn names(&self) -> Result<Vec<String>, RegistryError> {
        let entries = match fs::read_dir(&self.root) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed("list", &self.root, &error)),
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|error| failed("list", &self.root, &error))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if check_name(&name).is_ok() && !self.files(&name).versions()?.is_empty() {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    /// The files of a model that has at least one version.
    fn known(&self, name: &str) -> Result<ModelFiles, RegistryError> {
        check_name(name)?;
        let files = self.files(name);
        if files.versions()?.is_empty() {
            return Err(RegistryError::UnknownModel {
                name: name.into(),
                registry: format!("{} (--home DIR names another home folder)", self.place().display()),
                known: listed(self.names()?),
            });
        }
        Ok(files)
    }

    /// The folder as a person finds it from anywhere.
    fn place(&self) -> PathBuf {
        std::path::absolute(&self.root).unwrap_or_else(|_| self.root.clone())
    }

    /// Points an alias somewhere else, with a line in the history. The caller holds the lock.
    fn point(&self, files: &ModelFiles, change: AliasChange) -> Result<(), RegistryError> {
        let mut aliases = files.aliases()?;
        files.append_history(&change)?;
        match change.to {
            Some(version) => {
                aliases.insert(change.alias, version);
            }
            None => {
                aliases.shift_remove(&change.alias);
            }
        }
        files.write_aliases(&aliases)
    }

    fn info(&self, name: &str, files: &ModelFiles, version: u64) -> Result<VersionInfo, RegistryError> {
        let Registration { created, run_id } = files.registration(version)?;
        Ok(VersionInfo { name: name.into(), version, created, run_id })
    }
}

impl Registry for LocalRegistry {
    fn register(&self, name: &str, bundle: &Path) -> Result<VersionInfo, RegistryError> {
        check_name(name)?;
        let manifest = bundle::verify(bundle)?;
        let files = self.files(name);
        let versions = files.versions_dir();
        fs::create_dir_all(&versions).map_err(|error| failed("create", &versions, &error))?;
        let registration = Registration { created: self.time(), run_id: manifest.provenance.run_id.clone() };
        let copy = copy(bundle, &manifest, &registration, &versions)?;
        // The rename is the lock: of two processes with the same number, one finds the folder taken
        // and takes the next.
        loop {
            let version = files.versions()?.last().map_or(1, |last| last + 1);
            let to = files.version_dir(version);
            match fs::rename(copy.path(), &to) {
                Ok(()) => {
                    let _moved = copy.keep();
                    bundle::sync_dir(&versions).map_err(|error| failed("write", &versions, &error))?;
                    return self.info(name, &files, version);
                }
                Err(_) if to.exists() => {}
                Err(error) => return Err(failed("write", &to, &error)),
            }
        }
    }

    fn models(&self) -> Result<Vec<ModelInfo>, RegistryError> {
        let model = |name: String| {
            let files = self.files(&name);
            let versions = files.versions()?;
            let versions = versions.into_iter().map(|version| self.info(&name, &files, version));
            Ok(ModelInfo { versions: versions.collect::<Result<_, _>>()?, aliases: files.aliases()?, name })
        };
        self.names()?.into_iter().map(model).collect()
    }

    fn resolve(&self, name: &str, version: &VersionRef) -> Result<ResolvedVersion, RegistryError> {
        let files = self.known(name)?;
        let number = match version {
            VersionRef::Number(number) => Some(*number),
            VersionRef::Alias(alias) => files.aliases()?.get(alias).copied(),
        };
        match number.map(|number| (number, files.version_dir(number))) {
            Some((version, dir)) if dir.is_dir() => Ok(ResolvedVersion { name: name.into(), version, dir }),
            _ => Err(unknown(name, version.clone(), &files)),
        }
    }

    fn set_alias(&self, name: &str, alias: &str, version: Option<u64>) -> Result<Option<u64>, RegistryError> {
        check_alias(alias)?;
        let files = self.known(name)?;
        if let Some(number) = version
            && !files.version_dir(number).is_dir()
        {
            return Err(unknown(name, VersionRef::Number(number), &files));
        }
        let _lock = files.lock()?;
        let from = files.aliases()?.get(alias).copied();
        if from != version {
            let change =
                AliasChange { time: self.time(), alias: alias.into(), from, to: version, rollback: false };
            self.point(&files, change)?;
        }
        Ok(from)
    }

    fn rollback(&self, name: &str, alias: &str) -> Result<u64, RegistryError> {
        let files = self.known(name)?;
        let _lock = files.lock()?;
        let no = |reason: &str| RegistryError::NoRollback {
            name: name.into(),
            alias: alias.into(),
            reason: reason.into(),
        };
        let current = files.aliases()?.get(alias).copied().ok_or_else(|| no("it points at no version"))?;
        let to = history::before(&files.history()?, alias, current)
            .ok_or_else(|| no("it pointed at no version before"))?;
        if !files.version_dir(to).is_dir() {
            return Err(unknown(name, VersionRef::Number(to), &files));
        }
        let change = AliasChange {
            time: self.time(),
            alias: alias.into(),
            from: Some(current),
            to: Some(to),
            rollback: true,
        };
        self.point(&files, change)?;
        Ok(to)
    }

    fn revision(&self) -> Result<String, RegistryError> {
        let mut hash = Sha256::new();
        for name in self.names()? {
            let files = self.files(&name);
            let aliases = files.aliases_text()?.unwrap_or_default();
            hash.update(format!("{name}\n{:?}\n{}\n", files.versions()?, aliases.len()));
            hash.update(aliases);
        }
        Ok(hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect())
    }
}

/// Copies a bundle into a temporary folder beside the versions, durably.
fn copy(
    bundle: &Path,
    manifest: &Manifest,
    registration: &Registration,
    versions: &Path,
) -> Result<tempfile::TempDir, RegistryError> {
    let folder = tempfile::Builder::new().prefix(".version-").tempdir_in(versions);
    let folder = folder.map_err(|error| failed("write to", versions, &error))?;
    let all = || -> std::io::Result<()> {
        for name in bundle::files(manifest) {
            let to = folder.path().join(name);
            fs::copy(bundle.join(name), &to)?;
            File::open(&to)?.sync_all()?;
        }
        let mut file = File::create(folder.path().join(REGISTRATION))?;
        file.write_all(&serde_json::to_vec(registration)?)?;
        file.sync_all()?;
        bundle::open_to_all(folder.path());
        bundle::sync_dir(folder.path())
    };
    all().map_err(|error| failed("write", folder.path(), &error))?;
    // What was copied is what was verified, even if somebody wrote into the bundle meanwhile.
    bundle::verify(folder.path())?;
    Ok(folder)
}

fn unknown(name: &str, version: VersionRef, files: &ModelFiles) -> RegistryError {
    let versions = files.versions().unwrap_or_default().into_iter().map(|version| version.to_string());
    let aliases = files.aliases().unwrap_or_default().into_keys();
    RegistryError::UnknownVersion {
        name: name.into(),
        version,
        known: listed(versions.chain(aliases).collect()),
    }
}

fn listed(names: Vec<String>) -> String {
    if names.is_empty() { "none".into() } else { names.join(", ") }
}

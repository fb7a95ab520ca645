use std::fs;
use std::path::{Path, PathBuf};

use chrono::{DateTime, SecondsFormat, Utc};
use cupola_models::Manifest;
use cupola_models::registry::{ModelInfo, Registry, RegistryError, ResolvedVersion, VersionInfo, VersionRef};
use sha2::{Digest, Sha256};

use super::client::Client;
use super::config::MlflowConfig;
use super::error::MlflowError;
use super::logged_models::{self, LocalBundle, MANIFEST_FILE, sha256_hex};
use super::model_versions::{self, NewVersion, RegisteredModel, Version};
use super::storage::Storage;
use super::{experiments, runs};
use crate::journal::{Clock, FileLock};

/// Versions of models in MLflow's model registry. A version is a logged model that holds a bundle;
/// bundles that were resolved are kept under `<home>/cache/bundles/<digest>`.
pub struct MlflowRegistry {
    client: Client,
    cache: PathBuf,
    clock: Clock,
}

impl MlflowRegistry {
    /// Prepares to talk to a registry; does not talk yet.
    ///
    /// # Errors
    /// A setting that cannot be used.
    pub fn new(config: MlflowConfig, home: &Path, clock: Clock) -> Result<Self, MlflowError> {
        Ok(Self { client: Client::new(config)?, cache: home.join("cache").join("bundles"), clock })
    }

    fn try_register(&self, name: &str, dir: &Path) -> Result<VersionInfo, MlflowError> {
        let bundle = LocalBundle::open(dir)?;
        let manifest = &bundle.manifest;
        verify(dir, manifest)?;
        let registered_ms = (self.clock)();
        // The same for each attempt, so that an answer that got lost makes no second version.
        let registration = uuid::Uuid::new_v4().simple().to_string();
        self.client.retrying(|| {
            let experiment = self.client.config().experiment.as_deref().unwrap_or(&manifest.name);
            let experiment_id = experiments::ensure(&self.client, experiment)?;
            let run_id = &manifest.provenance.run_id;
            let run =
                if run_id.is_empty() { None } else { runs::find(&self.client, &[&experiment_id], run_id)? };
            let run = run.map(|run| run.info.run_id);
            let home = logged_models::Home {
                experiment_id: &experiment_id,
                run_id: run.as_deref(),
                created_ms: registered_ms,
            };
            let model = logged_models::ensure(&self.client, &home, &manifest.name, &bundle)?;
            let new = NewVersion {
                name,
                registration: &registration,
                model_id: &model.model_id,
                mlflow_run_id: run.as_deref(),
                run_id,
                bundle_digest: &bundle.digest,
                registered_ms,
            };
            Ok(info(name, &model_versions::ensure(&self.client, &new)?))
        })
    }

    fn try_models(&self) -> Result<Vec<ModelInfo>, MlflowError> {
        let models = self.client.retrying(|| model_versions::models(&self.client))?;
        models.into_iter().map(|model| self.model_info(&model)).collect()
    }

    fn model_info(&self, model: &RegisteredModel) -> Result<ModelInfo, MlflowError> {
        let versions = self.client.retrying(|| model_versions::of_model(&self.client, &model.name))?;
        Ok(ModelInfo {
            name: model.name.clone(),
            versions: versions.iter().map(|version| info(&model.name, version)).collect(),
            aliases: model.aliases(),
        })
    }

    fn model(&self, name: &str) -> Result<ModelInfo, RegistryError> {
        let found = self
            .client
            .retrying(|| model_versions::model(&self.client, name))
            .map_err(|error| self.error(&error))?;
        match found {
            Some(model) => self.model_info(&model).map_err(|error| self.error(&error)),
            None => {
                let known = self.try_models().map_err(|error| self.error(&error))?;
                let known: Vec<String> = known.into_iter().map(|model| model.name).collect();
                let known = if known.is_empty() { "none yet".into() } else { known.join(", ") };
                Err(RegistryError::UnknownModel {
                    name: name.into(),
                    registry: self.client.server().into(),
                    known,
                })
            }
        }
    }

    fn try_fetch(&self, name: &str, number: u64) -> Result<PathBuf, MlflowError> {
        let not_a_bundle = || MlflowError::NotABundle {
            name: name.into(),
            version: number,
            server: self.client.server().into(),
        };
        let versions = model_versions::of_model(&self.client, name)?;
        let version = versions.iter().find(|version| version.version == number).ok_or_else(not_a_bundle)?;
        let digest = version.bundle_digest().filter(|digest| is_digest(digest)).ok_or_else(not_a_bundle)?;
        let dir = self.cache.join(digest);
        let create = |source| MlflowError::file("create", &self.cache, source);
        fs::create_dir_all(&self.cache).map_err(create)?;
        if is_whole(&dir, digest) {
            return Ok(dir);
        }
        let model_id = version.source.strip_prefix("models:/").unwrap_or(&version.model_id);
        let model = logged_models::get(&self.client, model_id)?;
        let storage = Storage::new(&self.client, &model.artifact_uri)?;
        let partial = tempfile::Builder::new().prefix(".partial-").tempdir_in(&self.cache).map_err(create)?;
        self.download(&storage, partial.path(), digest)?;
        self.publish(partial, &dir, digest)?;
        Ok(dir)
    }

    fn download(&self, storage: &Storage<'_>, into: &Path, digest: &str) -> Result<(), MlflowError> {
        let path = into.join(MANIFEST_FILE);
        storage.download(MANIFEST_FILE, &path)?;
        let bytes = fs::read(&path).map_err(|source| MlflowError::file("read", &path, source))?;
        let damaged = |reason: String| MlflowError::Bundle {
            dir: into.into(),
            reason: format!("{reason}; register the model again"),
        };
        if sha256_hex(&bytes) != digest {
            return Err(damaged(format!(
                "{MANIFEST_FILE} from {} does not match its digest",
                self.client.server()
            )));
        }
        let manifest: Manifest = serde_json::from_slice(&bytes)
            .map_err(|reason| damaged(format!("{MANIFEST_FILE} cannot be read: {reason}")))?;
        for file in manifest.digests.keys() {
            if !is_inside(file) {
                return Err(damaged(format!("{MANIFEST_FILE} names a file outside the bundle, {file:?}")));
            }
            let local = into.join(file);
            if let Some(folder) = local.parent() {
                fs::create_dir_all(folder).map_err(|source| MlflowError::file("create", folder, source))?;
            }
            storage.download(file, &local)?;
        }
        verify(into, &manifest)
    }

    /// Gives a downloaded bundle its place, in one step.
    fn publish(&self, partial: tempfile::TempDir, dir: &Path, digest: &str) -> Result<(), MlflowError> {
        // Other processes may have the same bundle in hand.
        let lock = self.cache.join(".lock");
        let _turn = FileLock::take(&lock).map_err(|source| MlflowError::file("lock", &lock, source))?;
        if is_whole(dir, digest) {
            return Ok(());
        }
        let rename = |source| MlflowError::file("replace", dir, source);
        if dir.exists() {
            fs::remove_dir_all(dir).map_err(rename)?;
        }
        fs::rename(partial.keep(), dir).map_err(rename)
    }

    fn error(&self, error: &MlflowError) -> RegistryError {
        RegistryError::Io { registry: self.client.server().into(), reason: error.to_string() }
    }
}

impl Registry for MlflowRegistry {
    fn register(&self, name: &str, bundle: &Path) -> Result<VersionInfo, RegistryError> {
        self.try_register(name, bundle).map_err(|error| self.error(&error))
    }

    fn models(&self) -> Result<Vec<ModelInfo>, RegistryError> {
        self.try_models().map_err(|error| self.error(&error))
    }

    fn resolve(&self, name: &str, version: &VersionRef) -> Result<ResolvedVersion, RegistryError> {
        let model = self.model(name)?;
        let number = find(&model, version)?;
        let dir =
            self.client.retrying(|| self.try_fetch(name, number)).map_err(|error| self.error(&error))?;
        Ok(ResolvedVersion { name: name.into(), version: number, dir })
    }

    fn set_alias(&self, name: &str, alias: &str, version: Option<u64>) -> Result<Option<u64>, RegistryError> {
        let model = self.model(name)?;
        let before = model.aliases.get(alias).copied();
        if before == version {
            return Ok(before);
        }
        let changed = match version {
            Some(number) => {
                find(&model, &VersionRef::Number(number))?;
                self.client.retrying(|| model_versions::set_alias(&self.client, name, alias, number))
            }
            None => self.client.retrying(|| model_versions::delete_alias(&self.client, name, alias)),
        };
        changed.map(|()| before).map_err(|error| self.error(&error))
    }

    fn revision(&self) -> Result<String, RegistryError> {
        let models = model_versions::models(&self.client).map_err(|error| self.error(&error))?;
        let mut digest = Sha256::new();
        for model in models {
            digest.update(format!("{:?} {}", model.name, model.newest()));
            let mut aliases: Vec<_> = model.aliases().into_iter().collect();
            aliases.sort();
            digest.update(format!("{aliases:?}\n"));
        }
        Ok(digest.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect())
    }
}

fn find(model: &ModelInfo, wanted: &VersionRef) -> Result<u64, RegistryError> {
    let number = match wanted {
        VersionRef::Number(number) => Some(*number),
        VersionRef::Alias(alias) => model.aliases.get(alias).copied(),
    };
    number.filter(|&number| model.versions.iter().any(|version| version.version == number)).ok_or_else(|| {
        let versions = model.versions.iter().map(|version| version.version.to_string());
        let aliases = model.aliases.iter().map(|(alias, version)| format!("{alias} ({version})"));
        let known: Vec<String> = versions.chain(aliases).collect();
        let known = if known.is_empty() { "none yet".into() } else { known.join(", ") };
        RegistryError::UnknownVersion { name: model.name.clone(), version: wanted.clone(), known }
    })
}

fn info(name: &str, version: &Version) -> VersionInfo {
    let created =
        DateTime::<Utc>::from_timestamp_millis(version.creation_timestamp as i64).unwrap_or_default();
    VersionInfo {
        name: name.into(),
        version: version.version,
        created: created.to_rfc3339_opts(SecondsFormat::Millis, true),
        run_id: version.run_id().into(),
    }
}

/// Whether a folder holds the whole bundle with a digest.
fn is_whole(dir: &Path, digest: &str) -> bool {
    let Ok(bytes) = fs::read(dir.join(MANIFEST_FILE)) else { return false };
    sha256_hex(&bytes) == digest
        && serde_json::from_slice::<Manifest>(&bytes).is_ok_and(|manifest| verify(dir, &manifest).is_ok())
}

/// Checks every file of a bundle against its digest.
fn verify(dir: &Path, manifest: &Manifest) -> Result<(), MlflowError> {
    for (file, digest) in &manifest.digests {
        let path = dir.join(file);
        let mut hasher = Sha256::new();
        let mut source = fs::File::open(&path).map_err(|source| MlflowError::file("read", &path, source))?;
        std::io::copy(&mut source, &mut hasher).map_err(|source| MlflowError::file("read", &path, source))?;
        let found: String = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        if found != *digest {
            let reason = format!(
                "{file} does not match its digest: it was changed or damaged; train or register again"
            );
            return Err(MlflowError::Bundle { dir: dir.into(), reason });
        }
    }
    Ok(())
}

fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Whether a name from a server stays inside the folder it is put into.
fn is_inside(file: &str) -> bool {
    let parts: Vec<_> = Path::new(file).components().collect();
    !file.contains('\\')
        && !parts.is_empty()
        && parts.iter().all(|part| matches!(part, std::path::Component::Normal(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bundle_cannot_write_outside_its_folder() {
        assert!(is_inside("model.safetensors") && is_inside("plan/fitted.json"));
        for name in ["../x", "/etc/passwd", "a/../../x", "", "a\\b"] {
            assert!(!is_inside(name), "{name}");
        }
    }
}

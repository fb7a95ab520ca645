use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cupola_datasets::FittedPlan;
use serde::de::DeserializeOwned;

use super::kinds::{Parts, forest, predictor};
use super::{
    Bundle, BundleError, FORMAT, MANIFEST, MANIFEST_DIGEST, Manifest, PLAN, PROFILE, WEIGHTS, digest,
};
use crate::device::Device;
use crate::trees::Forest;

/// Files that every bundle has.
const REQUIRED: [&str; 3] = [PLAN, WEIGHTS, PROFILE];

impl Bundle {
    /// Loads a bundle onto a device. Nothing is used whose digest does not match.
    pub fn load(dir: &Path, device: Device) -> Result<Self, BundleError> {
        let manifest = verify(dir)?;
        let files = Files { dir };
        // Read anew, so checked anew: a file may change between two reads.
        let plan: FittedPlan = files.json(PLAN, &files.read_checked(PLAN, &manifest)?)?;
        let weights = files.read_checked(WEIGHTS, &manifest)?;
        let parts = Parts { dir, manifest: &manifest, plan: &plan, weights: &weights };
        let predictor = predictor(&parts, device)?;
        Ok(Self { dir: dir.into(), plan: Arc::new(plan.compile()?), predictor, manifest })
    }

    /// The plan and the trees of a bundle, to train on from.
    ///
    /// # Errors
    /// The bundle is damaged, or holds another kind of model.
    pub fn load_forest(dir: &Path) -> Result<(FittedPlan, Forest), BundleError> {
        let manifest = verify(dir)?;
        let files = Files { dir };
        let plan: FittedPlan = files.json(PLAN, &files.read_checked(PLAN, &manifest)?)?;
        let weights = files.read_checked(WEIGHTS, &manifest)?;
        let forest = forest(&Parts { dir, manifest: &manifest, plan: &plan, weights: &weights })?;
        Ok((plan, forest))
    }

    /// The reference profile, in the form that whoever measures against it reads.
    pub fn profile<T: DeserializeOwned>(&self) -> Result<T, BundleError> {
        let files = Files { dir: &self.dir };
        files.json(PROFILE, &files.read_checked(PROFILE, &self.manifest)?)
    }
}

/// Reads a bundle's manifest and compares every file with its digest.
pub fn verify(dir: &Path) -> Result<Manifest, BundleError> {
    let files = Files { dir };
    let text = files.read(MANIFEST)?;
    let guard = files.read(MANIFEST_DIGEST)?;
    let (found, suffix) = guard.split_at(guard.len().min(64));
    if suffix != format!("  {MANIFEST}\n").as_bytes()
        || !found.iter().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'))
    {
        return Err(files.damaged(MANIFEST_DIGEST));
    }
    if found != digest::of_bytes(&text).as_bytes() {
        return Err(files.damaged(MANIFEST));
    }
    let format: FormatOnly = files.json(MANIFEST, &text)?;
    if format.format != u64::from(FORMAT) {
        return Err(BundleError::Format { dir: dir.into(), found: format.format, supported: FORMAT });
    }
    let manifest: Manifest = files.json(MANIFEST, &text)?;
    for file in REQUIRED {
        if !manifest.digests.contains_key(file) {
            return Err(BundleError::Missing { dir: dir.into(), file: file.into() });
        }
    }
    for (file, expected) in &manifest.digests {
        let path = files.path(file)?;
        let found = digest::of_file(&path).map_err(|source| files.failed(file, source))?;
        if found != *expected {
            return Err(files.damaged(file));
        }
    }
    Ok(manifest)
}

/// Names of all files of a bundle.
pub fn files(manifest: &Manifest) -> impl Iterator<Item = &str> {
    manifest.digests.keys().map(String::as_str).chain([MANIFEST, MANIFEST_DIGEST])
}

/// The one field that every format has.
#[derive(serde::Deserialize)]
struct FormatOnly {
    format: u64,
}

struct Files<'a> {
    dir: &'a Path,
}

impl Files<'_> {
    /// A file's path. Names come from the manifest: one that leads out of the bundle is refused.
    fn path(&self, file: &str) -> Result<PathBuf, BundleError> {
        if file.contains(['/', '\\']) || file.starts_with('.') {
            let reason = format!("{file:?} is no file name");
            return Err(BundleError::Content { dir: self.dir.into(), file: MANIFEST.into(), reason });
        }
        Ok(self.dir.join(file))
    }

    fn read(&self, file: &str) -> Result<Vec<u8>, BundleError> {
        std::fs::read(self.dir.join(file)).map_err(|source| self.failed(file, source))
    }

    fn read_checked(&self, file: &str, manifest: &Manifest) -> Result<Vec<u8>, BundleError> {
        let bytes = self.read(file)?;
        match manifest.digests.get(file) {
            Some(expected) if *expected == digest::of_bytes(&bytes) => Ok(bytes),
            _ => Err(self.damaged(file)),
        }
    }

    fn json<T: DeserializeOwned>(&self, file: &str, bytes: &[u8]) -> Result<T, BundleError> {
        serde_json::from_slice(bytes).map_err(|error| BundleError::Content {
            dir: self.dir.into(),
            file: file.into(),
            reason: error.to_string(),
        })
    }

    fn failed(&self, file: &str, source: std::io::Error) -> BundleError {
        if source.kind() == ErrorKind::NotFound {
            BundleError::Missing { dir: self.dir.into(), file: file.into() }
        } else {
            BundleError::Io { action: "read", path: self.dir.join(file), source }
        }
    }

    fn damaged(&self, file: &str) -> BundleError {
        BundleError::Digest { dir: self.dir.into(), file: file.into() }
    }
}

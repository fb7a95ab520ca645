use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use cupola_datasets::FittedPlan;
use indexmap::IndexMap;

use super::kinds::{Encoded, ModelParts};
use super::{
    Bundle, BundleError, FORMAT, MANIFEST, MANIFEST_DIGEST, Manifest, ONNX, PLAN, PROFILE, Provenance,
    Signature, WEIGHTS, digest,
};
use crate::predict::Task;

/// What a bundle is written from.
pub struct BundleParts<'a> {
    /// Model name.
    pub name: String,
    /// The trained model.
    pub model: ModelParts<'a>,
    /// The fitted plan.
    pub plan: &'a FittedPlan,
    /// Reference profile.
    pub profile: serde_json::Value,
    /// Meaning of the scores.
    pub task: Task,
    /// Columns that say which row it is.
    pub identity: Vec<String>,
    /// Where it comes from.
    pub provenance: Provenance,
    /// Metrics of the test part, by name.
    pub metrics: IndexMap<String, f64>,
    /// Decision threshold of a binary model.
    pub threshold: Option<f64>,
}

impl Bundle {
    /// Writes a bundle to `dir`, which must not exist: all of it (fsynced, then renamed into place)
    /// or nothing. The same parts give the same bytes.
    pub fn write(parts: BundleParts<'_>, dir: &Path) -> Result<Manifest, BundleError> {
        let Encoded { kind, model, weights, onnx } = parts.model.encode(&parts.task)?;
        let mut files = vec![
            (PLAN, json(parts.plan, dir, PLAN)?),
            (WEIGHTS, weights),
            (PROFILE, json(&parts.profile, dir, PROFILE)?),
        ];
        files.extend(onnx.map(|bytes| (ONNX, bytes)));
        let digests =
            files.iter().map(|(name, bytes)| ((*name).to_owned(), digest::of_bytes(bytes))).collect();
        let manifest = Manifest {
            format: FORMAT,
            name: parts.name,
            kind: kind.into(),
            signature: Signature {
                input: parts.plan.input.clone(),
                task: parts.task,
                identity: parts.identity,
            },
            provenance: parts.provenance,
            metrics: parts.metrics,
            threshold: parts.threshold,
            model,
            digests,
        };
        let text = json(&manifest, dir, MANIFEST)?;
        let guard = format!("{}  {MANIFEST}\n", digest::of_bytes(&text));
        let all = files.iter().map(|(name, bytes)| (*name, bytes.as_slice()));
        place(dir, all.chain([(MANIFEST, text.as_slice()), (MANIFEST_DIGEST, guard.as_bytes())]))?;
        Ok(manifest)
    }
}

fn json(value: &impl serde::Serialize, dir: &Path, file: &str) -> Result<Vec<u8>, BundleError> {
    let content = |error: serde_json::Error| BundleError::Content {
        dir: dir.into(),
        file: file.into(),
        reason: error.to_string(),
    };
    let mut text = serde_json::to_vec_pretty(value).map_err(content)?;
    text.push(b'\n');
    Ok(text)
}

/// Writes files into a temporary sibling of `dir` and renames it, so that `dir` is there whole or
/// not at all, even after a power failure.
fn place<'a>(dir: &Path, files: impl Iterator<Item = (&'a str, &'a [u8])>) -> Result<(), BundleError> {
    if dir.exists() {
        return Err(BundleError::Exists { dir: dir.into() });
    }
    let parent = match dir.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    let failed = |action: &'static str, path: &Path| {
        let path = path.to_owned();
        move |source| BundleError::Io { action, path, source }
    };
    std::fs::create_dir_all(&parent).map_err(failed("create", &parent))?;
    let temporary = tempfile::Builder::new()
        .prefix(".bundle-")
        .tempdir_in(&parent)
        .map_err(failed("create a folder in", &parent))?;
    for (name, bytes) in files {
        let path = temporary.path().join(name);
        let mut file = File::create(&path).map_err(failed("write", &path))?;
        file.write_all(bytes).and_then(|()| file.sync_all()).map_err(failed("write", &path))?;
    }
    open_to_all(temporary.path());
    sync_dir(temporary.path()).map_err(failed("write", temporary.path()))?;
    match std::fs::rename(temporary.path(), dir) {
        Ok(()) => {
            let _moved = temporary.keep();
            sync_dir(&parent).map_err(failed("write", &parent))
        }
        Err(_) if dir.exists() => Err(BundleError::Exists { dir: dir.into() }),
        Err(source) => Err(BundleError::Io { action: "write", path: dir.into(), source }),
    }
}

/// Temporary folders are private; a bundle is as readable as any other folder.
pub(crate) fn open_to_all(dir: &Path) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // A folder that stays private is no reason to fail.
        let _ = std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o755));
    }
    #[cfg(not(unix))]
    let _ = dir;
}

/// Makes a folder's entries durable. Only Unix can and needs to.
pub(crate) fn sync_dir(dir: &Path) -> std::io::Result<()> {
    if cfg!(unix) { File::open(dir)?.sync_all() } else { Ok(()) }
}

use std::fs;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use cupola_models::Manifest;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::client::Client;
use super::error::MlflowError;
use super::mlmodel::{self, Identity};
use super::storage::Storage;
use super::{limits, runs};

/// Tag with the SHA-256 of a bundle's manifest, and so of the whole bundle.
pub(super) const DIGEST_TAG: &str = "cupola.bundle_digest";
pub(super) const MANIFEST_FILE: &str = "bundle.json";

#[derive(Deserialize)]
struct One {
    model: Model,
}

#[derive(Deserialize)]
struct Many {
    #[serde(default)]
    models: Vec<Model>,
}

#[derive(Clone, Deserialize)]
struct Model {
    info: ModelInfo,
}

/// A logged model as MLflow tells it.
#[derive(Clone, Deserialize)]
pub(super) struct ModelInfo {
    pub model_id: String,
    pub artifact_uri: String,
    #[serde(default)]
    status: Value,
    #[serde(default)]
    tags: Vec<Tag>,
}

#[derive(Clone, Deserialize)]
struct Tag {
    key: String,
    #[serde(default)]
    value: String,
}

impl ModelInfo {
    fn is_ready(&self) -> bool {
        self.status == "LOGGED_MODEL_READY" || self.status == 2
    }

    /// Digest of the bundle that it is, if it is one.
    pub(super) fn bundle_digest(&self) -> Option<&str> {
        self.tags.iter().find(|tag| tag.key == DIGEST_TAG).map(|tag| tag.value.as_str())
    }
}

/// A bundle on the local disk, on its way to the server.
pub(super) struct LocalBundle<'a> {
    pub dir: &'a Path,
    pub manifest: Manifest,
    pub digest: String,
}

impl<'a> LocalBundle<'a> {
    /// Reads the manifest; the files are read when they are sent.
    pub(super) fn open(dir: &'a Path) -> Result<Self, MlflowError> {
        let path = dir.join(MANIFEST_FILE);
        let bytes = fs::read(&path).map_err(|source| MlflowError::file("read", &path, source))?;
        let manifest = serde_json::from_slice(&bytes).map_err(|reason| MlflowError::Bundle {
            dir: dir.into(),
            reason: format!("{MANIFEST_FILE} cannot be read: {reason}; train again"),
        })?;
        Ok(Self { dir, manifest, digest: sha256_hex(&bytes) })
    }
}

/// Where a logged model belongs.
pub(super) struct Home<'a> {
    pub experiment_id: &'a str,
    /// Run on the server that made it.
    pub run_id: Option<&'a str>,
    pub created_ms: u64,
}

/// Makes sure that the server has a bundle as a logged model that is ready, and only once, however
/// often this is called: a bundle is known again by its digest.
pub(super) fn ensure(
    client: &Client,
    home: &Home<'_>,
    name: &str,
    bundle: &LocalBundle<'_>,
) -> Result<ModelInfo, MlflowError> {
    // The shipper and the registry of one process may come with the same bundle at the same time.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);

    let model = match find(client, home.experiment_id, &bundle.digest)? {
        Some(model) if model.is_ready() => return Ok(model),
        Some(model) => model,
        None => create(client, home, name, bundle)?,
    };
    let storage = Storage::new(client, &model.artifact_uri)?;
    let uploaded = upload(&storage, home, name, bundle, &model.model_id);
    let status = if uploaded.is_ok() { "LOGGED_MODEL_READY" } else { "LOGGED_MODEL_UPLOAD_FAILED" };
    if uploaded.as_ref().is_err_and(MlflowError::is_transient) {
        // It stays pending and is taken up again.
        return uploaded.map(|()| model);
    }
    let body = json!({ "model_id": model.model_id, "status": status });
    let told = client.tell(Method::PATCH, &format!("logged-models/{}", model.model_id), &body);
    uploaded.and(told).map(|()| model)
}

/// The logged model with an id.
pub(super) fn get(client: &Client, model_id: &str) -> Result<ModelInfo, MlflowError> {
    Ok(client.get::<One>(&format!("logged-models/{model_id}"), &[])?.model.info)
}

fn find(client: &Client, experiment_id: &str, digest: &str) -> Result<Option<ModelInfo>, MlflowError> {
    let body = json!({
        "experiment_ids": [experiment_id],
        "filter": format!("tags.`{DIGEST_TAG}` = '{digest}'"),
        "max_results": 1,
    });
    let found: Many = client.post("logged-models/search", &body)?;
    Ok(found.models.into_iter().next().map(|model| model.info))
}

fn create(
    client: &Client,
    home: &Home<'_>,
    name: &str,
    bundle: &LocalBundle<'_>,
) -> Result<ModelInfo, MlflowError> {
    let provenance = &bundle.manifest.provenance;
    let pair = |key: &str, value: &str| json!({ "key": key, "value": limits::param(value) });
    let mut params = vec![
        pair("kind", &bundle.manifest.kind),
        pair("task", &text(&json!(bundle.manifest.signature.task.kind()))),
        pair("seed", &provenance.seed.to_string()),
        pair("device", &text(&json!(provenance.device))),
        pair("pipeline_hash", &provenance.pipeline_hash),
    ];
    if let Some(table) = &provenance.table {
        params.push(pair("table", &format!("{}@{}", table.table, table.version)));
    }
    let mut body = json!({
        "experiment_id": home.experiment_id,
        "name": limits::model_name(name),
        "model_type": bundle.manifest.kind,
        "params": params,
        "tags": [
            pair(DIGEST_TAG, &bundle.digest),
            pair(runs::RUN_ID_TAG, &provenance.run_id),
            pair("cupola.version", &provenance.cupola_version),
        ],
    });
    if let Some(run_id) = home.run_id {
        body["source_run_id"] = Value::from(run_id);
    }
    Ok(client.post::<One>("logged-models", &body)?.model.info)
}

fn upload(
    storage: &Storage<'_>,
    home: &Home<'_>,
    name: &str,
    bundle: &LocalBundle<'_>,
    model_id: &str,
) -> Result<(), MlflowError> {
    storage.upload(bundle.dir, "")?;
    let identity = Identity { model_id, run_id: home.run_id, name, created_ms: home.created_ms };
    // MLmodel last: a model that has it is whole.
    let files = mlmodel::files(&bundle.manifest, bundle.dir, &identity);
    files.into_iter().rev().try_for_each(|(name, text)| storage.write(name, text))
}

/// A JSON value as people write it.
fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), Into::into)
}

/// SHA-256 in hex.
pub(super) fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

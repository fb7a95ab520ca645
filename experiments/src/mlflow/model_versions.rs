use indexmap::IndexMap;
use reqwest::Method;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use super::client::Client;
use super::error::MlflowError;
use super::logged_models::DIGEST_TAG;
use super::runs::RUN_ID_TAG;

/// Tag that marks what this product put into the registry.
const OWN_TAG: &str = "cupola";
/// Tag that finds again the version that one call has made.
const REGISTRATION_TAG: &str = "cupola.registration";
/// Tag with the time of registration, milliseconds since 1970 in UTC.
const REGISTERED_TAG: &str = "cupola.registered_ms";

/// A version as MLflow tells it.
#[derive(Clone, Deserialize)]
pub(super) struct Version {
    #[serde(deserialize_with = "number")]
    pub version: u64,
    #[serde(default)]
    pub creation_timestamp: u64,
    #[serde(default)]
    pub source: String,
    #[serde(default)]
    pub model_id: String,
    #[serde(default)]
    tags: Vec<Tag>,
}

#[derive(Clone, Deserialize)]
struct Tag {
    key: String,
    #[serde(default)]
    value: String,
}

impl Version {
    fn tag(&self, key: &str) -> Option<&str> {
        self.tags.iter().find(|tag| tag.key == key).map(|tag| tag.value.as_str())
    }

    /// Our run that made it.
    pub(super) fn run_id(&self) -> &str {
        self.tag(RUN_ID_TAG).unwrap_or_default()
    }

    /// Digest of the bundle that it is.
    pub(super) fn bundle_digest(&self) -> Option<&str> {
        self.tag(DIGEST_TAG)
    }

    fn registered_ms(&self) -> Option<u64> {
        self.tag(REGISTERED_TAG)?.parse().ok()
    }
}

/// A registered model as MLflow tells it.
#[derive(Clone, Deserialize)]
pub(super) struct RegisteredModel {
    pub name: String,
    #[serde(default)]
    aliases: Vec<Alias>,
    #[serde(default)]
    latest_versions: Vec<Version>,
    #[serde(default)]
    tags: Vec<Tag>,
}

#[derive(Clone, Deserialize)]
struct Alias {
    alias: String,
    #[serde(deserialize_with = "number")]
    version: u64,
}

impl RegisteredModel {
    /// Version by alias.
    pub(super) fn aliases(&self) -> IndexMap<String, u64> {
        self.aliases.iter().map(|alias| (alias.alias.clone(), alias.version)).collect()
    }

    /// Newest version, if there is one.
    pub(super) fn newest(&self) -> u64 {
        self.latest_versions.iter().map(|version| version.version).max().unwrap_or(0)
    }

    fn is_ours(&self) -> bool {
        self.tags.iter().any(|tag| tag.key == OWN_TAG)
    }
}

/// A version to be made.
pub(super) struct NewVersion<'a> {
    /// Registered model.
    pub name: &'a str,
    /// Different for each version to be made, the same for each attempt to make it.
    pub registration: &'a str,
    pub model_id: &'a str,
    /// Run on the server.
    pub mlflow_run_id: Option<&'a str>,
    /// Run of ours.
    pub run_id: &'a str,
    pub bundle_digest: &'a str,
    pub registered_ms: u64,
}

/// Makes a version, unless an earlier attempt has made it.
pub(super) fn ensure(client: &Client, new: &NewVersion<'_>) -> Result<Version, MlflowError> {
    #[derive(Deserialize)]
    struct Created {
        model_version: Version,
    }
    let tag = |key: &str, value: &str| json!({ "key": key, "value": value });
    ensure_model(client, new.name)?;
    let filter =
        format!("name = {} and tags.`{REGISTRATION_TAG}` = '{}'", quoted(new.name), new.registration);
    if let Some(made) = search(client, &filter)?.into_iter().next() {
        return Ok(made);
    }
    let mut body = json!({
        "name": new.name,
        "source": format!("models:/{}", new.model_id),
        "model_id": new.model_id,
        "tags": [
            tag(REGISTRATION_TAG, new.registration),
            tag(REGISTERED_TAG, &new.registered_ms.to_string()),
            tag(RUN_ID_TAG, new.run_id),
            tag(DIGEST_TAG, new.bundle_digest),
        ],
    });
    if let Some(run_id) = new.mlflow_run_id {
        body["run_id"] = Value::from(run_id);
    }
    Ok(client.post::<Created>("model-versions/create", &body)?.model_version)
}

fn ensure_model(client: &Client, name: &str) -> Result<(), MlflowError> {
    let mark = json!({ "key": OWN_TAG, "value": "true" });
    match client.tell(Method::POST, "registered-models/create", &json!({ "name": name, "tags": [mark] })) {
        Err(error) if error.is_already_there() => {
            let tag = json!({ "name": name, "key": OWN_TAG, "value": "true" });
            client.tell(Method::POST, "registered-models/set-tag", &tag)
        }
        result => result,
    }
}

/// All versions of a model, ascending.
pub(super) fn of_model(client: &Client, name: &str) -> Result<Vec<Version>, MlflowError> {
    let mut versions = search(client, &format!("name = {}", quoted(name)))?;
    versions.sort_by_key(|version| version.version);
    Ok(versions)
}

fn search(client: &Client, filter: &str) -> Result<Vec<Version>, MlflowError> {
    #[derive(Deserialize)]
    struct Page {
        #[serde(default)]
        model_versions: Vec<Version>,
        next_page_token: Option<String>,
    }
    pages(|token| {
        let page: Page = client.get(
            "model-versions/search",
            &[("filter", filter), ("max_results", "1000"), ("page_token", token)],
        )?;
        Ok((page.model_versions, page.next_page_token))
    })
}

/// All registered models that hold versions of ours.
pub(super) fn models(client: &Client) -> Result<Vec<RegisteredModel>, MlflowError> {
    #[derive(Deserialize)]
    struct Page {
        #[serde(default)]
        registered_models: Vec<RegisteredModel>,
        next_page_token: Option<String>,
    }
    let filter = format!("tags.`{OWN_TAG}` = 'true'");
    let mut models = pages(|token| {
        let page: Page = client.get(
            "registered-models/search",
            &[("filter", &filter), ("max_results", "1000"), ("page_token", token)],
        )?;
        Ok((page.registered_models, page.next_page_token))
    })?;
    models.retain(RegisteredModel::is_ours);
    models.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(models)
}

/// One registered model, if it is there.
pub(super) fn model(client: &Client, name: &str) -> Result<Option<RegisteredModel>, MlflowError> {
    #[derive(Deserialize)]
    struct One {
        registered_model: RegisteredModel,
    }
    match client.get::<One>("registered-models/get", &[("name", name)]) {
        Ok(found) => Ok(Some(found.registered_model)),
        Err(error) if error.is_not_there() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Points an alias at a version.
pub(super) fn set_alias(client: &Client, name: &str, alias: &str, version: u64) -> Result<(), MlflowError> {
    let body = json!({ "name": name, "alias": alias, "version": version.to_string() });
    client.tell(Method::POST, "registered-models/alias", &body)
}

/// Removes an alias.
pub(super) fn delete_alias(client: &Client, name: &str, alias: &str) -> Result<(), MlflowError> {
    client.tell(Method::DELETE, "registered-models/alias", &json!({ "name": name, "alias": alias }))
}

/// Points an alias at a version as a run did, unless a version registered later has it: a run that
/// is delivered late must not undo what came after it.
pub(super) fn set_alias_in_order(
    client: &Client,
    name: &str,
    alias: &str,
    version: &Version,
) -> Result<(), MlflowError> {
    let holder = model(client, name)?.and_then(|model| model.aliases().get(alias).copied());
    if let Some(holder) = holder {
        let versions = of_model(client, name)?;
        let holder_ms =
            versions.iter().find(|other| other.version == holder).and_then(Version::registered_ms);
        if holder_ms > version.registered_ms() {
            return Ok(());
        }
    }
    set_alias(client, name, alias, version.version)
}

fn pages<T>(
    mut page: impl FnMut(&str) -> Result<(Vec<T>, Option<String>), MlflowError>,
) -> Result<Vec<T>, MlflowError> {
    let mut all = Vec::new();
    let mut token = String::new();
    loop {
        let (items, next) = page(&token)?;
        all.extend(items);
        match next {
            Some(next) if !next.is_empty() => token = next,
            _ => return Ok(all),
        }
    }
}

fn quoted(name: &str) -> String {
    if name.contains('\'') { format!("\"{name}\"") } else { format!("'{name}'") }
}

/// Versions come as numbers or as texts.
fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let value = Value::deserialize(deserializer)?;
    value
        .as_u64()
        .or_else(|| value.as_str()?.parse().ok())
        .ok_or_else(|| serde::de::Error::custom(format!("{value} is not a version")))
}

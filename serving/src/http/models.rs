use actix_web::{HttpRequest, HttpResponse};
use cupola_datasets::schema::Schema;
use cupola_models::Task;
use indexmap::IndexMap;
use serde::Serialize;

use super::auth;
use super::errors::ApiError;
use super::state::Worker;
use crate::versions::{LoadedVersion, ServedModel};

/// `GET /v1/models`: names, versions and aliases of what is served.
pub async fn list(request: HttpRequest) -> HttpResponse {
    respond(&request, |worker| {
        let table = worker.app.table.load();
        let models: Vec<Listed<'_>> = table.values().map(|model| Listed::from(&**model)).collect();
        Ok(serde_json::json!({ "models": models }))
    })
}

/// `GET /v1/models/{name}`: its versions with their signatures and metrics.
pub async fn show(request: HttpRequest) -> HttpResponse {
    respond(&request, |worker| {
        let model = worker.app.model(request.match_info().get("name").unwrap_or_default())?;
        let versions: Vec<Version<'_>> = model.versions.values().map(|v| Version::of(&model, v)).collect();
        Ok(serde_json::json!({ "model": Listed::from(&*model), "versions": versions }))
    })
}

fn respond(
    request: &HttpRequest,
    make: impl FnOnce(&Worker) -> Result<serde_json::Value, ApiError>,
) -> HttpResponse {
    let worker = Worker::of(request);
    match auth::check(request, &worker.app).and_then(|()| make(worker)) {
        Ok(body) => HttpResponse::Ok().content_type("application/json").body(body.to_string()),
        Err(error) => error.reply(&worker.ids.borrow_mut().of(request), &worker.app.metrics),
    }
}

#[derive(Serialize)]
struct Listed<'a> {
    name: &'a str,
    versions: Vec<u64>,
    aliases: &'a IndexMap<String, u64>,
    route: &'static str,
}

impl<'a> From<&'a ServedModel> for Listed<'a> {
    fn from(model: &'a ServedModel) -> Self {
        Self {
            name: &model.name,
            versions: model.versions.keys().copied().collect(),
            aliases: &model.aliases,
            route: model.router.kind(),
        }
    }
}

#[derive(Serialize)]
struct Version<'a> {
    version: u64,
    aliases: Vec<&'a str>,
    kind: &'a str,
    created: &'a str,
    run_id: &'a str,
    task: &'a Task,
    threshold: Option<f64>,
    metrics: &'a IndexMap<String, f64>,
    input: &'a Schema,
}

impl<'a> Version<'a> {
    fn of(model: &'a ServedModel, version: &'a LoadedVersion) -> Self {
        let manifest = &version.manifest;
        Self {
            version: version.version,
            aliases: model.aliases_of(version.version),
            kind: &manifest.kind,
            created: &manifest.provenance.created,
            run_id: &manifest.provenance.run_id,
            task: version.task(),
            threshold: manifest.threshold,
            metrics: &manifest.metrics,
            input: version.input(),
        }
    }
}

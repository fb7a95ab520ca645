use actix_web::{HttpRequest, HttpResponse};
use cupola_datasets::schema::{Column, ColumnType, Schema};
use cupola_models::Task;
use serde_json::{Map, Value, json};

use super::state::Worker;
use crate::versions::{LoadedVersion, ServedModel};

/// `GET /openapi.json`: OpenAPI 3.1, with the input columns of each served model.
pub async fn document(request: HttpRequest) -> HttpResponse {
    let app = &Worker::of(&request).app;
    let table = app.table.load();
    let mut paths = general_paths();
    let mut schemas = general_schemas();
    for model in table.values() {
        let Some(version) = model.default_version() else { continue };
        let record = format!("{}.Record", component(&model.name));
        let prediction = format!("{}.Prediction", component(&model.name));
        schemas.insert(record.clone(), record_schema(version.input()));
        schemas.insert(prediction.clone(), prediction_schema(version));
        let path = format!("/v1/models/{}/predict", model.name);
        paths.insert(path, predict_path(model, &record, &prediction));
    }
    let mut document = json!({
        "openapi": "3.1.0",
        "info": { "title": "Cupola", "version": env!("CARGO_PKG_VERSION") },
        "paths": paths,
        "components": { "schemas": schemas },
    });
    if app.config.token.is_some() {
        document["components"]["securitySchemes"] =
            json!({ "token": { "type": "http", "scheme": "bearer" } });
        document["security"] = json!([{ "token": [] }]);
    }
    HttpResponse::Ok().content_type("application/json").body(document.to_string())
}

/// Component names allow letters, digits, `.`, `-` and `_`.
fn component(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || "-_".contains(c) { c } else { '_' }).collect()
}

fn general_paths() -> Map<String, Value> {
    let get = |summary: &str, content: &str| {
        json!({ "get": { "summary": summary, "responses": {
            "200": { "description": "OK", "content": { content: {} } } } } })
    };
    let mut paths = Map::new();
    let json_type = "application/json";
    paths.insert("/v1/models".into(), get("Models that are served", json_type));
    paths.insert("/health/live".into(), get("Whether the process answers", json_type));
    let mut ready = get("Whether predictions are accepted", json_type);
    ready["get"]["responses"]["503"] = json!({ "description": "Starting or stopping" });
    paths.insert("/health/ready".into(), ready);
    paths.insert("/metrics".into(), get("Prometheus metrics", "text/plain"));
    paths
}

fn predict_path(model: &ServedModel, record: &str, prediction: &str) -> Value {
    let versions: Vec<u64> = model.versions.keys().copied().collect();
    json!({
        "post": {
            "summary": format!("Score one record or many with {}", model.name),
            "description": format!(
                "Served versions: {}. To choose one: /v1/models/{}/versions/VERSION/predict, VERSION being a number or an alias.",
                model.known(), model.name
            ),
            "x-versions": versions,
            "requestBody": { "required": true, "content": { "application/json": { "schema": { "oneOf": [
                reference(record),
                { "type": "object", "required": ["records"], "properties": {
                    "records": { "type": "array", "minItems": 1, "items": reference(record) } } },
            ] } } } },
            "responses": responses(prediction),
        }
    })
}

fn responses(prediction: &str) -> Value {
    let mut responses = Map::new();
    let reply = json!({
        "type": "object",
        "required": ["request_id", "model", "version", "predictions"],
        "properties": {
            "request_id": { "type": "string" },
            "model": { "type": "string" },
            "version": { "type": ["integer", "null"], "description": "null when records went to several versions" },
            "predictions": { "type": "array", "items": reference(prediction) },
        },
    });
    let content = |schema: Value| json!({ "application/json": { "schema": schema } });
    responses.insert("200".into(), json!({ "description": "Scores", "content": content(reply) }));
    for (status, description) in [
        ("400", "Not JSON, or no record"),
        ("401", "No valid bearer token, where one is configured"),
        ("404", "No such model or version"),
        ("408", "The body was not sent in time"),
        ("413", "Body or number of records too large"),
        ("415", "Not application/json"),
        ("422", "A record breaks the schema; `fields` says where"),
        ("429", "Too much is waiting; try again after Retry-After"),
        ("500", "Fault of the server or the model"),
        ("503", "Starting or stopping"),
    ] {
        let error = json!({ "description": description, "content": content(reference("Error")) });
        responses.insert(status.into(), error);
    }
    responses.into()
}

fn reference(schema: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{schema}") })
}

fn general_schemas() -> Map<String, Value> {
    let text = json!({ "type": "string" });
    let field = json!({
        "type": "object",
        "properties": { "record": { "type": "integer" }, "column": text, "code": text, "message": text },
    });
    let error = json!({
        "type": "object",
        "required": ["code", "message", "request_id"],
        "properties": {
            "code": text, "message": text, "request_id": text,
            "fields": { "type": "array", "items": field },
        },
    });
    let body = json!({ "type": "object", "required": ["error"], "properties": { "error": error } });
    Map::from_iter([("Error".to_string(), body)])
}

fn record_schema(input: &Schema) -> Value {
    let required: Vec<&String> =
        input.columns.iter().filter(|(_, c)| c.required).map(|(name, _)| name).collect();
    let properties: Map<String, Value> =
        input.columns.iter().map(|(name, column)| (name.clone(), column_schema(column))).collect();
    json!({ "type": "object", "required": required, "properties": properties })
}

fn column_schema(column: &Column) -> Value {
    let (kind, format) = match column.kind {
        ColumnType::Bool => ("boolean", None),
        ColumnType::Int64 => ("integer", Some("int64")),
        ColumnType::Float64 => ("number", Some("double")),
        ColumnType::String => ("string", None),
        ColumnType::Timestamp => ("string", Some("date-time")),
    };
    let mut schema = Map::new();
    let kind = if column.required { json!(kind) } else { json!([kind, "null"]) };
    schema.insert("type".into(), kind);
    schema.extend(format.map(|format| ("format".to_string(), json!(format))));
    schema.extend(column.min.map(|min| ("minimum".to_string(), json!(min))));
    schema.extend(column.max.map(|max| ("maximum".to_string(), json!(max))));
    schema.extend(column.pattern.as_ref().map(|p| ("pattern".to_string(), json!(format!("^(?:{p})$")))));
    if !column.allowed.is_empty() && column.kind == ColumnType::String {
        schema.insert("enum".into(), json!(column.allowed));
    }
    schema.into()
}

fn prediction_schema(version: &LoadedVersion) -> Value {
    let probability = json!({ "type": "number", "minimum": 0, "maximum": 1 });
    let properties = match version.task() {
        Task::Binary { classes } => json!({
            "score": probability, "label": { "type": "string", "enum": classes } }),
        Task::Multiclass { classes } => json!({
            "label": { "type": "string", "enum": classes },
            "scores": { "type": "object", "additionalProperties": probability } }),
        Task::Regression | Task::Ranking => json!({ "score": { "type": "number" } }),
        Task::Poisson => json!({ "score": { "type": "number", "minimum": 0 } }),
    };
    json!({ "type": "object", "properties": properties })
}

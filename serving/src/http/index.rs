use std::fmt::Write;

use actix_web::{HttpRequest, HttpResponse};
use cupola_datasets::schema::{Column, ColumnType, Schema};
use serde_json::{Map, Value, json};

use super::state::Worker;
use crate::versions::ServedModel;

/// `GET /`: what is here and how to try it, for people.
pub async fn page(request: HttpRequest) -> HttpResponse {
    let app = &Worker::of(&request).app;
    let host = request.connection_info().host().to_string();
    let mut html = String::from(HEAD);
    for model in app.table.load().values() {
        // Writing to a string cannot fail.
        let _ = write_model(&mut html, model, &host, app.config.token.is_some());
    }
    html.push_str(FOOT);
    HttpResponse::Ok().content_type("text/html; charset=utf-8").body(html)
}

const HEAD: &str = "<!doctype html><html lang=en><meta charset=utf-8><title>Cupola</title>\
    <meta name=viewport content=\"width=device-width\">\
    <style>body{font:16px/1.5 system-ui;max-width:50rem;margin:2rem auto;padding:0 1rem}\
    pre{background:#f3f3f3;padding:1rem;overflow-x:auto}@media(prefers-color-scheme:dark)\
    {body{background:#181818;color:#ddd}pre{background:#282828}a{color:#8bf}}</style>\
    <h1>Cupola</h1><p>Models served here:</p>";
const FOOT: &str = "<p><a href=/openapi.json>OpenAPI document</a> &middot; <a href=/v1/models>models</a> &middot; \
    <a href=/metrics>metrics</a> &middot; <a href=/health/ready>ready?</a></p></html>\n";

fn write_model(html: &mut String, model: &ServedModel, host: &str, token: bool) -> std::fmt::Result {
    let Some(version) = model.default_version() else { return Ok(()) };
    let example = example(version.input()).to_string().replace('\'', "'\\''");
    let token = if token { " -H \"Authorization: Bearer $CUPOLA_SERVE_TOKEN\"" } else { "" };
    let command = format!(
        "curl http://{host}/v1/models/{}/predict -H 'Content-Type: application/json'{token} \\\n  -d '{example}'",
        model.name
    );
    write!(
        html,
        "<h2>{}</h2><p>Versions {}</p><pre>{}</pre>",
        escape(&model.name),
        escape(&model.known()),
        escape(&command)
    )
}

/// A record that the schema accepts, apart from patterns.
fn example(input: &Schema) -> Value {
    let fields = input.columns.iter().map(|(name, column)| (name.clone(), example_value(column)));
    Value::Object(fields.collect::<Map<_, _>>())
}

fn example_value(column: &Column) -> Value {
    let first = column.allowed.first();
    let number = column.min.or(column.max.map(|max| max.min(0.0))).unwrap_or(0.0);
    match column.kind {
        ColumnType::Bool => json!(first.is_some_and(|text| text == "true")),
        ColumnType::Int64 => {
            json!(first.and_then(|text| text.parse::<i64>().ok()).unwrap_or(number.ceil() as i64))
        }
        ColumnType::Float64 => json!(first.and_then(|text| text.parse().ok()).unwrap_or(number)),
        ColumnType::String => json!(first.map_or("", String::as_str)),
        ColumnType::Timestamp => json!("2026-01-01T00:00:00Z"),
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

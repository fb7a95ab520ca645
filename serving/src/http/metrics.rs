use actix_web::{HttpRequest, HttpResponse};

use super::errors::ApiError;
use super::state::Worker;
use crate::scoring::DriftWatch;

/// `GET /metrics`: Prometheus text.
pub async fn metrics(request: HttpRequest) -> HttpResponse {
    let app = &Worker::of(&request).app;
    for version in app.table.load().values().flat_map(|model| model.versions.values()) {
        version.metrics.show_waiting(version.batcher.waiting_rows());
        version.batcher.work().drift().into_iter().for_each(DriftWatch::show);
    }
    app.metrics.set_ready(app.not_ready().is_none());
    match app.metrics.encode() {
        Ok(text) => HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(text),
        Err(error) => ApiError::Failed { reason: error.to_string() }.reply("metrics", &app.metrics),
    }
}

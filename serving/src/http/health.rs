use std::sync::atomic::Ordering;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse};

use super::state::Worker;

/// `GET /health/live`: the process answers.
pub async fn live() -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(r#"{"live":true}"#)
}

/// `GET /health/ready`: 200 once every version has run, 503 before that and while draining.
pub async fn ready(request: HttpRequest) -> HttpResponse {
    let app = &Worker::of(&request).app;
    let (status, body) = if app.draining.load(Ordering::Relaxed) {
        (StatusCode::SERVICE_UNAVAILABLE, r#"{"ready":false,"reason":"draining"}"#)
    } else if !app.warm.load(Ordering::Acquire) {
        (StatusCode::SERVICE_UNAVAILABLE, r#"{"ready":false,"reason":"warming"}"#)
    } else {
        (StatusCode::OK, r#"{"ready":true}"#)
    };
    HttpResponse::build(status).content_type("application/json").body(body)
}

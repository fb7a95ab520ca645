use std::rc::Rc;

use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, Resource};

use super::errors::ApiError;
use super::state::Worker;
use super::{health, index, metrics, models, openapi, predict};

/// The URL tree. Prediction comes first since paths are tried in order.
pub fn configure(config: &mut ServiceConfig, worker: Rc<Worker>) {
    let post = |path: &str| -> Resource {
        web::resource(path).route(web::post().to(predict::predict)).default_service(web::to(only_post))
    };
    let get = |path: &str| web::resource(path).default_service(web::to(only_get));
    config
        .app_data(worker)
        .service(post("/v1/models/{name}/predict"))
        .service(post("/v1/models/{name}/versions/{version}/predict"))
        .service(get("/health/live").route(web::get().to(health::live)))
        .service(get("/health/ready").route(web::get().to(health::ready)))
        .service(get("/metrics").route(web::get().to(metrics::metrics)))
        .service(get("/v1/models").route(web::get().to(models::list)))
        .service(get("/v1/models/{name}").route(web::get().to(models::show)))
        .service(get("/openapi.json").route(web::get().to(openapi::document)))
        .service(get("/").route(web::get().to(index::page)))
        .default_service(web::to(not_found));
}

async fn only_post(request: HttpRequest) -> HttpResponse {
    refuse(&request, ApiError::Method { method: request.method().to_string(), allow: "POST" })
}

async fn only_get(request: HttpRequest) -> HttpResponse {
    refuse(&request, ApiError::Method { method: request.method().to_string(), allow: "GET" })
}

async fn not_found(request: HttpRequest) -> HttpResponse {
    refuse(&request, ApiError::NotFound)
}

fn refuse(request: &HttpRequest, error: ApiError) -> HttpResponse {
    let worker = Worker::of(request);
    let id = worker.ids.borrow_mut().of(request);
    error.reply(&id, &worker.app.metrics)
}

use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use actix_web::http::header::CONTENT_TYPE;
use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;
use cupola_models::VersionRef;
use prometheus::IntGauge;
use tokio::sync::oneshot::Receiver;

use super::errors::ApiError;
use super::reply::{Share, write_reply};
use super::state::Worker;
use super::{auth, body, request_id, shadow};
use crate::records::{Records, field, split};
use crate::routing::{RouteBy, Router};
use crate::scoring::{Answer, JobError, PredictJob};
use crate::versions::{LoadedVersion, ServedModel};

/// `POST /v1/models/{name}/predict` and `POST /v1/models/{name}/versions/{version}/predict`.
pub async fn predict(request: HttpRequest, payload: Payload) -> HttpResponse {
    let start = Instant::now();
    let worker = Worker::of(&request);
    let id = worker.ids.borrow_mut().of(&request);
    let _in_flight = InFlight::enter(worker.app.metrics.in_flight());
    match answer(&request, payload, worker, &id).await {
        Ok(shares) => {
            let took = start.elapsed();
            shares.iter().for_each(|s| s.version.metrics.answered(s.answer.n_rows, took));
            let mut response = HttpResponse::Ok();
            response.insert_header((CONTENT_TYPE, "application/json"));
            response.insert_header((request_id::HEADER, id.as_str()));
            response.body(write_reply(&id, &shares))
        }
        Err(error) => error.reply(&id, &worker.app.metrics),
    }
}

async fn answer(
    request: &HttpRequest,
    payload: Payload,
    worker: &Rc<Worker>,
    id: &str,
) -> Result<Vec<Share>, ApiError> {
    let app = &worker.app;
    app.not_ready().map_or(Ok(()), Err)?;
    auth::check(request, app)?;
    let path = request.match_info();
    let model = app.model(path.get("name").unwrap_or_default())?;
    let named = path.get("version").map(|version| find(&model, version)).transpose()?;
    let body = body::json(request, payload, app).await?;
    let records = split(&body)?;
    let max = app.config.records_max;
    if records.len() > max {
        return Err(ApiError::TooManyRecords { found: records.len(), max });
    }
    let asked = Asked { id, body, records };
    match (named, &model.router) {
        (Some(version), _) => one(worker, &version, asked, "named").await,
        (None, Router::Pinned(version)) => one(worker, version, asked, "pinned").await,
        (None, Router::Shadow { answer, shadow }) => {
            let beside = shadow::start(shadow, &asked.body, &asked.records);
            let shares = one(worker, answer, asked, "shadow").await;
            shadow::compare(beside, shares.as_ref().ok());
            shares
        }
        (None, Router::Ab(split)) => match split.by() {
            RouteBy::Field(name) => by_field(worker, asked, name, |key| split.pick(key)).await,
            RouteBy::Header(name) => {
                let key = request.headers().get(name).map_or(id.as_bytes(), |value| value.as_bytes());
                one(worker, split.pick(key), asked, "ab").await
            }
            RouteBy::Request => one(worker, split.pick(id.as_bytes()), asked, "ab").await,
        },
    }
}

/// A request as far as it was read.
struct Asked<'r> {
    id: &'r str,
    body: Bytes,
    records: Records,
}

fn find(model: &ServedModel, version: &str) -> Result<Arc<LoadedVersion>, ApiError> {
    let found = model.find(&VersionRef::from(version.to_string())).cloned();
    found.ok_or_else(|| ApiError::UnknownVersion {
        model: model.name.clone(),
        version: version.into(),
        known: model.known(),
    })
}

/// All records to one version.
async fn one(
    worker: &Rc<Worker>,
    version: &Arc<LoadedVersion>,
    asked: Asked<'_>,
    route: &str,
) -> Result<Vec<Share>, ApiError> {
    let pending = submit(worker, version, asked.body, asked.records, route)?;
    let answer = receive(pending).await?;
    Ok(vec![Share { version: version.clone(), answer, places: None }])
}

/// Each record to the version of its own key; a record without the field goes by the request's id.
async fn by_field<'m>(
    worker: &Rc<Worker>,
    asked: Asked<'_>,
    name: &str,
    pick: impl Fn(&[u8]) -> &'m Arc<LoadedVersion>,
) -> Result<Vec<Share>, ApiError> {
    let mut parts: Vec<(&Arc<LoadedVersion>, Vec<usize>)> = Vec::new();
    for i in 0..asked.records.len() {
        let key = field(asked.records.get(&asked.body, i), name);
        let version = pick(key.as_ref().map_or(asked.id.as_bytes(), |key| key.as_bytes()));
        match parts.iter_mut().find(|(known, _)| Arc::ptr_eq(known, version)) {
            Some((_, places)) => places.push(i),
            None => parts.push((version, vec![i])),
        }
    }
    if let [(version, _)] = parts[..] {
        let version = version.clone();
        return one(worker, &version, asked, "ab").await;
    }
    let mut pending = Vec::with_capacity(parts.len());
    for (version, places) in parts {
        let records = asked.records.select(&places, asked.body.len());
        let answer = submit(worker, version, asked.body.clone(), records, "ab")?;
        pending.push((version.clone(), answer, places));
    }
    let mut shares = Vec::with_capacity(pending.len());
    for (version, answer, places) in pending {
        let answer = receive(answer).await.map_err(|error| at_places(error, &places))?;
        shares.push(Share { version, answer, places: Some(places) });
    }
    Ok(shares)
}

type Pending = Receiver<Result<Answer, JobError>>;

fn submit(
    worker: &Rc<Worker>,
    version: &Arc<LoadedVersion>,
    body: Bytes,
    records: Records,
    route: &str,
) -> Result<Pending, ApiError> {
    let n_records = records.len();
    let (job, answer) = PredictJob::new(body, records);
    let weight = job.weight();
    worker.submit(version, version.batcher.admit(job, weight)?);
    version.metrics.routed(route, n_records);
    Ok(answer)
}

async fn receive(pending: Pending) -> Result<Answer, ApiError> {
    match pending.await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(ApiError::Failed { reason: "the batch panicked".into() }),
    }
}

/// Numbers records as the request does.
fn at_places(mut error: ApiError, places: &[usize]) -> ApiError {
    if let ApiError::InvalidRecord { fields, .. } = &mut error {
        fields.iter_mut().for_each(|field| field.record = places[field.record]);
    }
    error
}

/// Counts a request while it is worked on.
struct InFlight(IntGauge);

impl InFlight {
    fn enter(gauge: &IntGauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

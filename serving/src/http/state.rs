use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix_web::HttpRequest;
use arc_swap::ArcSwap;

use super::body_budget::BodyBudget;
use super::errors::ApiError;
use super::request_id::RequestIds;
use crate::batching::{Lane, Queued};
use crate::config::ServeConfig;
use crate::scoring::{PredictJob, ScoreWork};
use crate::telemetry::Metrics;
use crate::versions::{LoadedVersion, ServedModel, Table};

/// What all threads of a server share.
pub struct AppState {
    pub config: ServeConfig,
    pub table: Arc<ArcSwap<Table>>,
    pub metrics: Metrics,
    pub bodies: Arc<BodyBudget>,
    /// Every version has run once.
    pub warm: AtomicBool,
    /// No new prediction is admitted; the server is about to stop.
    pub draining: AtomicBool,
}

impl AppState {
    /// Why requests are not accepted, if they are not.
    pub fn not_ready(&self) -> Option<ApiError> {
        if self.draining.load(Ordering::Relaxed) {
            Some(ApiError::Draining)
        } else if !self.warm.load(Ordering::Acquire) {
            Some(ApiError::Warming)
        } else {
            None
        }
    }

    /// The served model of that name.
    pub fn model(&self, name: &str) -> Result<Arc<ServedModel>, ApiError> {
        let table = self.table.load();
        table.get(name).cloned().ok_or_else(|| ApiError::UnknownModel {
            name: name.into(),
            known: table.keys().cloned().collect::<Vec<_>>().join(", "),
        })
    }
}

/// What one event loop has for itself.
pub struct Worker {
    pub app: Arc<AppState>,
    lane: Lane<ScoreWork>,
    pub ids: RefCell<RequestIds>,
}

impl Worker {
    pub fn new(app: Arc<AppState>) -> Rc<Self> {
        Rc::new(Self { app, lane: Lane::default(), ids: RefCell::default() })
    }

    /// The worker that runs `request`. Every app is made with one.
    #[expect(clippy::expect_used, reason = "`app::configure` puts it there")]
    pub fn of(request: &HttpRequest) -> &Rc<Self> {
        request.app_data().expect("the app was made with a worker")
    }

    /// Has a job scored together with all others of this round of the event loop.
    pub fn submit(self: &Rc<Self>, version: &LoadedVersion, job: Queued<PredictJob>) {
        if self.lane.submit(&version.batcher, job) {
            let worker = self.clone();
            // A new task comes after those that are ready already, so they join the batch.
            actix_web::rt::spawn(async move { worker.lane.flush() });
        }
    }
}

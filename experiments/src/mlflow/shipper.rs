use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::backoff::Backoff;
use super::client::Client;
use super::config::MlflowConfig;
use super::error::MlflowError;
use super::shipment::Shipment;
use super::state::ShippedState;
use crate::journal::{Journal, SyncedLen};

/// Sends a run to MLflow while it goes on, from a thread of its own that reads the journal. The
/// run never waits for it.
pub struct Shipper {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// How far a shipper got.
#[derive(Clone, Debug, Default)]
pub struct Shipped {
    /// Everything in the journal has arrived.
    pub is_complete: bool,
    /// What has arrived.
    pub state: ShippedState,
    /// Why it is not complete.
    pub error: Option<String>,
}

#[derive(Default)]
struct Shared {
    stopping: AtomicBool,
    status: Mutex<Status>,
    changed: Condvar,
}

#[derive(Default)]
struct Status {
    shipped: Shipped,
    /// Everything up to this byte has arrived.
    offset: u64,
    has_ended: bool,
    failures: u64,
}

/// A cause that only a person can remove is looked at again this seldom.
const BLOCKED_INTERVAL: Duration = Duration::from_secs(60);

impl Shipper {
    /// Starts to send a run.
    ///
    /// # Errors
    /// A setting that cannot be used. A server that is not there is no error.
    pub fn start(config: MlflowConfig, journal: &Journal) -> Result<Self, MlflowError> {
        let client = Client::new(config)?;
        let shared = Arc::new(Shared::default());
        let (run, synced, theirs) = (journal.run_dir().clone(), journal.synced(), shared.clone());
        let work = move || {
            let worker = Worker { client: &client, shared: &theirs, synced };
            worker.run(run);
            theirs.update(|status| status.has_ended = true);
        };
        let thread =
            std::thread::Builder::new().name("cupola-mlflow".into()).spawn(work).map_err(|source| {
                MlflowError::file("start a thread to send", &journal.run_dir().journal(), source)
            })?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// How far it is now.
    pub fn status(&self) -> Shipped {
        self.shared.status.lock().unwrap_or_else(PoisonError::into_inner).shipped.clone()
    }

    /// Sends what is left, for at most `wait`, or until an attempt fails; call it after the journal
    /// has finished. What is missing then, `sync` delivers later.
    pub fn finish(mut self, wait: Duration) -> Shipped {
        self.shared.stop();
        let deadline = Instant::now() + wait;
        let mut status = self.shared.status.lock().unwrap_or_else(PoisonError::into_inner);
        while !status.has_ended {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            status = self.shared.changed.wait_timeout(status, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        let (has_ended, mut shipped) = (status.has_ended, status.shipped.clone());
        drop(status);
        if let (true, Some(thread)) = (has_ended, self.thread.take()) {
            let _ = thread.join();
        }
        if !shipped.is_complete && shipped.error.is_none() {
            shipped.error = Some("time is up; `cupola runs sync` delivers the rest".into());
        }
        shipped
    }
}

impl Drop for Shipper {
    fn drop(&mut self) {
        // Not joined: it may be waiting for an answer that never comes. Its notes are whole at any
        // moment, so it may be cut off.
        self.shared.stop();
    }
}

impl Shared {
    fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.update(|_| ());
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    fn update(&self, change: impl FnOnce(&mut Status)) {
        change(&mut self.status.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_all();
    }

    /// Sleeps, but not past the order to stop.
    fn sleep(&self, time: Duration) {
        let deadline = Instant::now() + time;
        let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        while !self.is_stopping() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            status = self.changed.wait_timeout(status, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

struct Worker<'a> {
    client: &'a Client,
    shared: &'a Shared,
    synced: SyncedLen,
}

impl Worker<'_> {
    fn run(&self, run: crate::journal::RunDir) {
        let mut backoff = Backoff::new(self.client.config());
        let mut shipment = None;
        loop {
            // Read before sending: what is written after the order to stop is not waited for.
            let is_stopping = self.shared.is_stopping();
            match self.advance(&run, &mut shipment) {
                Ok(()) => {
                    backoff.reset();
                    if is_stopping {
                        return;
                    }
                    self.shared.sleep(self.client.config().poll_interval);
                }
                Err(error) => {
                    self.failed(&error);
                    if is_stopping {
                        return;
                    }
                    self.shared.sleep(if error.is_transient() { backoff.next() } else { BLOCKED_INTERVAL });
                }
            }
        }
    }

    /// Sends everything that is there.
    fn advance<'a>(
        &'a self,
        run: &crate::journal::RunDir,
        shipment: &mut Option<Shipment<'a>>,
    ) -> Result<(), MlflowError> {
        if shipment.is_none() {
            *shipment = Shipment::open(self.client, run.clone())?;
        }
        let Some(shipment) = shipment else {
            return Err(MlflowError::Config {
                variable: "MLFLOW_TRACKING_URI",
                reason: "another process is sending this run".into(),
            });
        };
        loop {
            let went_on = shipment.advance(self.synced.get())?;
            let state = shipment.state().clone();
            self.shared.update(|status| {
                status.offset = state.offset;
                status.shipped = Shipped { is_complete: !went_on, state, error: None };
            });
            if !went_on {
                return Ok(());
            }
        }
    }

    fn failed(&self, error: &MlflowError) {
        self.shared.update(|status| {
            // Once per outage, not per attempt.
            if status.shipped.error.is_none() {
                tracing::warn!("{error}; the run goes on and is kept in its journal");
            }
            status.failures += 1;
            status.shipped.is_complete = false;
            status.shipped.error = Some(error.to_string());
        });
    }
}

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use arc_swap::ArcSwap;
use crossbeam_channel::{RecvTimeoutError, Sender, bounded};

use super::error::ServeError;
use super::load::Loader;
use super::table::Table;

/// The thread that follows the registry. Stops when dropped.
pub struct Reloader {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Reloader {
    /// Starts it; `revision` is the one `table` was loaded at.
    pub fn start(loader: Loader, table: Arc<ArcSwap<Table>>, revision: String) -> std::io::Result<Self> {
        let interval = Duration::from_millis(loader.config.reload_interval_ms);
        let (stop, stopped) = bounded(0);
        let mut follower = Follower { loader, table, revision, failure: String::new() };
        let thread = thread::Builder::new().name("reload".into()).spawn(move || {
            while stopped.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
                follower.look();
            }
        })?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Reloader {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // It logs its own failures and never panics.
            let _ = thread.join();
        }
    }
}

struct Follower {
    loader: Loader,
    table: Arc<ArcSwap<Table>>,
    revision: String,
    /// The last failure told, so that one that lasts is told once.
    failure: String,
}

impl Follower {
    /// Takes over what has changed. What failed is tried again at every look.
    fn look(&mut self) {
        let revision = match self.loader.registry.revision() {
            Ok(revision) => revision,
            Err(error) => return self.failed(&[error.into()]),
        };
        if revision == self.revision && self.failure.is_empty() {
            return;
        }
        match self.loader.reload(&self.table.load()) {
            Err(error) => self.failed(&[error]),
            Ok((table, errors)) => {
                let changed = describe(&table) != describe(&self.table.load());
                if changed {
                    tracing::info!(serving = describe(&table), "registry changed");
                    self.table.store(Arc::new(table));
                    self.loader.metrics.count_reload(true);
                }
                self.revision = revision;
                if errors.is_empty() { self.failure.clear() } else { self.failed(&errors) }
            }
        }
    }

    fn failed(&mut self, errors: &[ServeError]) {
        let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
        let failure = texts.join("; ");
        if failure != self.failure {
            tracing::error!(error = failure, "cannot follow the registry; what was served stays as it was");
            self.loader.metrics.count_reload(false);
            self.failure = failure;
        }
    }
}

/// `fraud: 1, 2 (champion)`, for each model.
fn describe(table: &Table) -> String {
    let models: Vec<String> = table.values().map(|m| format!("{}: {}", m.name, m.known())).collect();
    models.join("; ")
}

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use actix_web::dev::ServerHandle as ActixHandle;
use actix_web::{App, HttpServer};
use arc_swap::ArcSwap;
use cupola_models::{Registry, device};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::app;
use super::body_budget::BodyBudget;
use super::state::{AppState, Worker};
use crate::config::ServeConfig;
use crate::telemetry::Metrics;
use crate::versions::{Loader, Reloader, ServeError};

/// Time a client has for the head of a request.
const HEAD_SECONDS_MAX: u64 = 10;
/// Time an idle connection is kept.
const KEEP_ALIVE_SECONDS: u64 = 75;
/// How often a draining server looks whether it is done.
const DRAIN_STEP: Duration = Duration::from_millis(10);
/// How long a draining server still answers at least. Who sends on an open connection meanwhile is
/// told to close it; a connection that the server closes by itself may cut off a request on its way.
const DRAIN_MIN: Duration = Duration::from_millis(250);

/// A server that has its models and its port.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    app: Arc<AppState>,
    loader: Loader,
    revision: String,
    stop: watch::Sender<bool>,
}

/// Stops a running server from elsewhere.
#[derive(Clone, Debug)]
pub struct ServerHandle {
    stop: watch::Sender<bool>,
}

impl ServerHandle {
    /// Has the server finish what it has admitted, then return from [`Server::run`].
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }
}

impl Server {
    /// Takes the port and loads the models of those names, or all that the route fits. Nothing is
    /// answered before [`Server::run`].
    pub fn build(
        config: ServeConfig,
        registry: Arc<dyn Registry>,
        models: &[String],
    ) -> Result<Self, ServeError> {
        config.validate()?;
        let listener = listen(&config.bind)?;
        let device = device::choose(config.device)?;
        let metrics = Metrics::new()?;
        let loader = Loader {
            registry,
            names: models.to_vec(),
            config: config.clone(),
            device,
            metrics: metrics.clone(),
        };
        // Read before the table: a change in between is then seen by the first look.
        let revision = loader.registry.revision()?;
        let table = Arc::new(ArcSwap::from_pointee(loader.load()?));
        let app = AppState {
            bodies: BodyBudget::new(config.bodies_mib_max << 20),
            config,
            table,
            metrics,
            warm: AtomicBool::new(false),
            draining: AtomicBool::new(false),
        };
        let address = listener.local_addr()?;
        Ok(Self { listener, address, app: Arc::new(app), loader, revision, stop: watch::Sender::new(false) })
    }

    /// Where it listens; has the real port where 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A way to stop it.
    pub fn handle(&self) -> ServerHandle {
        ServerHandle { stop: self.stop.clone() }
    }

    /// Names and versions that are served, for people.
    pub fn serving(&self) -> Vec<String> {
        let table = self.app.table.load();
        table.values().map(|model| format!("{} {}", model.name, model.known())).collect()
    }

    /// Answers until SIGTERM, SIGINT or [`ServerHandle::stop`], then until all that was admitted is
    /// answered or `drain_seconds_max` have passed.
    pub fn run(self) -> Result<(), ServeError> {
        tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(self.serve())
    }

    async fn serve(self) -> Result<(), ServeError> {
        let Self { listener, address, app, loader, revision, stop } = self;
        let drain_seconds_max = app.config.drain_seconds_max;
        let state = app.clone();
        let server = HttpServer::new(move || {
            let worker = Worker::new(state.clone());
            App::new().configure(move |config| app::configure(config, worker))
        })
        .workers(app.config.http_workers())
        .max_connections(app.config.connections_max.div_ceil(app.config.http_workers()))
        .client_request_timeout(Duration::from_secs(HEAD_SECONDS_MAX))
        .keep_alive(Duration::from_secs(KEEP_ALIVE_SECONDS))
        .tcp_nodelay(true)
        .shutdown_timeout(drain_seconds_max)
        .disable_signals()
        .listen(listener)?
        .run();
        let running = tokio::spawn(drain_on_stop(app.clone(), server.handle(), stop.subscribe()));
        let warm = warm_up(app.clone(), loader, revision, stop);
        tracing::info!(%address, "listening");
        server.await?;
        running.abort();
        warm.join().unwrap_or(Ok(None)).map(drop)
    }
}

fn listen(bind: &str) -> Result<TcpListener, ServeError> {
    let address: SocketAddr = bind
        .replace("localhost:", "127.0.0.1:")
        .parse()
        .map_err(|_| ServeError::Address { bind: bind.into() })?;
    TcpListener::bind(address).map_err(|source| match source.kind() {
        ErrorKind::AddrInUse => ServeError::Taken { address },
        _ => ServeError::Bind { address, source },
    })
}

/// Runs every version once, beside the server, which says "not ready" meanwhile; then follows the
/// registry. A version that does not score stops the server.
fn warm_up(
    app: Arc<AppState>,
    loader: Loader,
    revision: String,
    stop: watch::Sender<bool>,
) -> thread::JoinHandle<Result<Option<Reloader>, ServeError>> {
    thread::spawn(move || {
        let warmed = app.table.load().values().flat_map(|m| m.versions.values()).try_for_each(|v| v.warm());
        let reloader = warmed.and_then(|()| Ok(Reloader::start(loader, app.table.clone(), revision)?));
        match &reloader {
            Ok(_) => app.warm.store(true, Ordering::Release),
            Err(_) => drop(stop.send(true)),
        }
        reloader.map(Some)
    })
}

/// Waits for the end to be asked for, then for the admitted requests, then stops the server.
async fn drain_on_stop(
    app: Arc<AppState>,
    server: ActixHandle,
    mut stop: watch::Receiver<bool>,
) -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => tracing::info!("SIGTERM: draining"),
        _ = interrupt.recv() => tracing::info!("SIGINT: draining"),
        // Without a handle left, nobody but a signal can ask.
        Ok(_) = stop.wait_for(|stop| *stop) => tracing::info!("asked to stop: draining"),
    }
    app.draining.store(true, Ordering::Relaxed);
    let start = Instant::now();
    let max = Duration::from_secs(app.config.drain_seconds_max);
    // The port stays open meanwhile, so that whoever asks learns that this server is not ready.
    while start.elapsed() < max && (app.metrics.in_flight().get() > 0 || start.elapsed() < DRAIN_MIN) {
        tokio::time::sleep(DRAIN_STEP).await;
    }
    let left = app.metrics.in_flight().get();
    if left > 0 {
        tracing::error!(requests = left, "drain_seconds_max has passed; these requests are cut off");
    }
    // Graceful: answers on their way out are still sent, idle connections are closed.
    server.stop(left == 0).await;
    Ok(())
}

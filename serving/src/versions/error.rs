use std::io;
use std::net::SocketAddr;

use cupola_models::VersionRef;
use cupola_models::bundle::BundleError;
use cupola_models::device::DeviceError;
use cupola_models::registry::RegistryError;

use crate::config::ConfigError;
use crate::scoring::ScoreError;
use crate::telemetry::MetricsError;

/// Why models cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The configuration contradicts itself.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The registry cannot be read, or has not what was asked for.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The registry has no model that could be served.
    #[error(
        "the registry has no model with a version to serve; train one with `cupola run`, or point an alias at one with `cupola models promote`"
    )]
    NoModel,
    /// The route names a version that is not there.
    #[error(
        "serve.route sends requests for {model} to {version}, which it does not have; known: {known}; change the route, or point the alias with `cupola models promote`"
    )]
    Route {
        /// Model.
        model: String,
        /// Version or alias of the route.
        version: VersionRef,
        /// Versions and aliases that are there.
        known: String,
    },
    /// A bundle cannot be loaded.
    #[error("version {version} of {model}: {source}")]
    Bundle {
        /// Model.
        model: String,
        /// Version.
        version: u64,
        /// What is wrong with it.
        source: BundleError,
    },
    /// A bundle loads but does not score.
    #[error("version {version} of {model} does not score: {source}")]
    Warm {
        /// Model.
        model: String,
        /// Version.
        version: u64,
        /// What went wrong.
        source: ScoreError,
    },
    /// No such device.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// The address is not one.
    #[error("serve.bind {bind:?} is not an address and port, such as 127.0.0.1:8080 or [::1]:8080")]
    Address {
        /// Address as given.
        bind: String,
    },
    /// Another process listens there.
    #[error("{address} is taken by another process; stop it or choose another port with --bind")]
    Taken {
        /// Address as given.
        address: SocketAddr,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}; choose another address with --bind")]
    Bind {
        /// Address as given.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// Threads, signals or sockets cannot be had.
    #[error("the server cannot run: {0}")]
    Io(#[from] io::Error),
    /// Metrics cannot be kept.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
}

//! Scores over HTTP. In the order a request meets them: [`http`] takes it in, [`records`] cuts its
//! body, [`routing`] picks versions among those that [`versions`] has loaded, [`batching`] gathers
//! what many clients sent, [`scoring`] turns one batch into scores; [`telemetry`] counts.
//!
//! Batching knows neither Actix nor Burn; actix stays inside `http`. This crate never sees training.

pub mod config;

pub mod http;

pub mod records;

pub mod routing;

pub mod versions;

pub mod batching;

pub mod scoring;

pub mod telemetry;

pub use config::{ConfigError, ServeConfig, Token};
pub use http::{Server, ServerHandle};
pub use routing::RouteConfig;
pub use versions::ServeError;

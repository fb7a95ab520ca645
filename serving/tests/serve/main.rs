//! The server as its clients see it: real sockets, real bundles, a real registry.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod drain;
mod drift;
mod errors;
mod load;
mod observe;
mod predict;
mod reload;
mod routes;
mod support;

//! Runs and versions in a real MLflow server: shipped, read back by MLflow's own client, and
//! whole after crashes of either side.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod server;

mod proxy;

mod fixtures;

mod shipping;

mod crashes;

mod sync;

mod registry;

mod browser;

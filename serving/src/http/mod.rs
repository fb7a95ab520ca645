//! The Actix front: one file per thing under the URL tree, errors to statuses in one table, and the
//! server's life from bind to drain. The only place that knows Actix.

mod app;
mod auth;
mod body;
mod body_budget;
mod errors;
mod health;
mod index;
mod metrics;
mod models;
mod openapi;
mod predict;
mod reply;
mod request_id;
mod server;
mod shadow;
mod state;

pub use server::{Server, ServerHandle};

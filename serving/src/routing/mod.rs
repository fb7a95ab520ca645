//! Which version answers a request: the configured rule, and the rule with versions in hand.

mod config;
mod key;
mod router;

#[cfg(test)]
mod tests;

pub use config::{RouteConfig, RouteError};
pub use key::bucket;
pub use router::{RouteBy, Router};

//! What the server counts, under typed names, as Prometheus text.

mod metrics;
mod names;
mod version;

pub use metrics::{Metrics, MetricsError};
pub use version::{ShadowOutcome, VersionFacts, VersionMetrics};

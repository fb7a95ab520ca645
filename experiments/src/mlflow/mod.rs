//! MLflow over REST: ships run journals to a tracking server, and keeps versions in its model
//! registry. The shapes of MLflow's API stay in this module.
//!
//! Nothing here decides anything about a run; the journal does, and this repeats it, once.

mod config;

mod client;

mod limits;

mod backoff;

mod experiments;

mod runs;

mod batch;

mod datasets;

mod storage;

mod mlmodel;

mod logged_models;

mod model_versions;

mod state;

mod shipment;

mod shipper;

mod sync;

mod registry;

mod error;

pub use client::{Client, ServerInfo};
pub use config::{MlflowConfig, Secret};
pub use error::MlflowError;
pub use registry::MlflowRegistry;
pub use shipper::{Shipped, Shipper};
pub use state::{Refusal, ShippedState, shipped};
pub use sync::{SyncOutcome, SyncProgress, SyncReport, SyncedRun, sync};

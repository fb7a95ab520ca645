//! The run journal: one append-only, fsynced file of events per run, in `runs/<run_id>/`.
//!
//! It survives `kill -9` and is the only truth about a run; MLflow is fed from it. Nothing here
//! knows MLflow.

mod run_dir;

mod clock;

mod event;

mod provenance;

mod recorder;

mod writer;

mod lock;

mod reader;

mod summary;

mod find;

mod compare;

mod error;

pub use clock::{Clock, system_clock};
pub use compare::{Comparison, Difference, compare};
pub use error::JournalError;
pub use event::{
    Artifact, DatasetInput, DatasetRef, DatasetSource, Entry, Event, Git, LoggedModel, MetricValue, Metrics,
    PrimaryMetric, RegisteredVersion, RunEnd, RunFinished, RunStarted, StageDone,
};
pub use find::{find, short_ids};
pub use lock::FileLock;
pub use provenance::{git, user};
pub use reader::Reader;
pub use recorder::{Journal, JournalOptions, RunSpec, SyncedLen};
pub use run_dir::RunDir;
pub use summary::{MODEL_KIND, RunStatus, RunSummary, list};

#[cfg(test)]
mod tests;

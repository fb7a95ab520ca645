//! The stages of a pipeline. Each is a pure function of its inputs' versions and its
//! configuration; its result is kept under the hash of both, so a second run redoes only what
//! changed and a killed one goes on.

mod continued;
mod error;
mod evaluate;
mod features;
mod importance;
mod ingest;
mod label;
mod observer;
mod plot;
mod prepare;
mod register;
mod replay;
mod report;
mod run;
mod store;
mod train;

pub use error::{RunError, RunErrorKind};
pub use evaluate::rfc3339;
pub use label::LabelEncoder;
pub use observer::{Observer, Silent, Stage, StageSummary};
pub use replay::replay;
pub use run::{RunOptions, RunOutcome, run};

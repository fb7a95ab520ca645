use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A stage of a pipeline, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Source to raw table and quarantine.
    Ingest,
    /// Raw table to clean table and profile.
    Prepare,
    /// Clean table to feature table and fitted plan.
    Features,
    /// Feature table to weights.
    Train,
    /// Weights to metrics and report.
    Evaluate,
    /// Bundle to a version in the registry.
    Register,
}

impl Stage {
    /// All stages in order.
    pub const ALL: [Self; 6] =
        [Self::Ingest, Self::Prepare, Self::Features, Self::Train, Self::Evaluate, Self::Register];

    /// Its name in commands and files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Prepare => "prepare",
            Self::Features => "features",
            Self::Train => "train",
            Self::Evaluate => "evaluate",
            Self::Register => "register",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Stage {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|stage| stage.name() == text).ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|stage| stage.name()).collect();
            format!("unknown stage {text:?}; the stages are {}", names.join(", "))
        })
    }
}

/// What a finished stage tells.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StageSummary {
    /// The stage.
    pub stage: Stage,
    /// Whether an earlier result was taken because nothing changed.
    pub reused: bool,
    /// Wall time in this run.
    pub seconds: f64,
    /// One line for a person.
    pub text: String,
}

/// Watches a run, for a terminal or a log.
pub trait Observer: Sync {
    /// A stage begins.
    fn started(&self, stage: Stage);

    /// Work done in the current stage; `total` is `None` while it is unknown.
    fn progress(&self, stage: Stage, done: u64, total: Option<u64>, unit: &'static str, note: &str);

    /// A stage ended.
    fn finished(&self, summary: &StageSummary);
}

/// Watches nothing.
pub struct Silent;

impl Observer for Silent {
    fn started(&self, _: Stage) {}
    fn progress(&self, _: Stage, _: u64, _: Option<u64>, _: &'static str, _: &str) {}
    fn finished(&self, _: &StageSummary) {}
}

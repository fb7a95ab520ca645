use std::fmt;
use std::path::PathBuf;

use cupola_datasets::TableVersion;
use cupola_datasets::schema::Schema;
use indexmap::IndexMap;
use serde::de::{Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};

/// One line of the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Position in the journal, from 1, without gaps.
    pub seq: u64,
    /// When it happened, milliseconds since 1970 in UTC.
    pub time_ms: u64,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// What can happen in a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The first event of every journal.
    RunStarted(Box<RunStarted>),
    /// A new process goes on with an interrupted run.
    RunResumed {
        /// Device of the new process, if it says.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        device: Option<String>,
    },
    /// Settings; each key once in a run.
    Params {
        /// Values by key.
        params: IndexMap<String, String>,
    },
    /// Values at one step.
    Metrics(Metrics),
    /// Labels; a later value replaces an earlier one.
    Tags {
        /// Values by key.
        tags: IndexMap<String, String>,
    },
    /// Data the run read.
    Dataset(Box<DatasetInput>),
    /// A stage of the pipeline ended.
    Stage(StageDone),
    /// A file or folder worth keeping with the run.
    Artifact(Artifact),
    /// A bundle the run made.
    Model(LoggedModel),
    /// A bundle became a version of a model.
    Registered(RegisteredVersion),
    /// The run is over.
    RunFinished(RunFinished),
}

/// Everything known when a run starts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RunStarted {
    /// Id of the run, the folder's name.
    pub run_id: String,
    /// Named set it belongs to: the pipeline.
    pub experiment: String,
    /// Name for people.
    pub name: String,
    /// Start, milliseconds since 1970 in UTC.
    pub start_ms: u64,
    /// Settings.
    #[serde(default)]
    pub params: IndexMap<String, String>,
    /// Labels.
    #[serde(default)]
    pub tags: IndexMap<String, String>,
    /// Who started it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// What was run: the pipeline file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_name: Option<String>,
    /// Where it computes: `cpu`, `cuda:0`, ...
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// State of the repository the pipeline is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub git: Option<Git>,
    /// Run this one is a part of, such as a search over settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// What runs of the experiment are compared by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub primary_metric: Option<PrimaryMetric>,
}

/// State of a repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Git {
    /// Commit checked out.
    pub commit: String,
    /// Branch, unless detached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// Whether tracked files differ from the commit.
    pub dirty: bool,
    /// Where it comes from, without credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repo_url: Option<String>,
}

/// The metric that decides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrimaryMetric {
    /// Key, such as `test/pr_auc`.
    pub name: String,
    /// Whether more is better.
    pub greater_is_better: bool,
}

/// Values at one step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// Step of training; a test metric has the last one.
    pub step: u64,
    /// Values by key.
    pub metrics: IndexMap<String, MetricValue>,
    /// Logged model they belong to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Dataset they were measured on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dataset: Option<DatasetRef>,
}

/// Names a [`DatasetInput`] of the same run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatasetRef {
    /// Its name.
    pub name: String,
    /// Its digest.
    pub digest: String,
}

/// Data the run read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DatasetInput {
    /// Name, such as `card-fraud/features`.
    pub name: String,
    /// Changes with the content; at most 36 characters count.
    pub digest: String,
    /// What it was used for: `training`, `validation`, `test`.
    pub context: String,
    /// Where it is.
    pub source: DatasetSource,
    /// Its columns.
    pub schema: Schema,
    /// Its rows.
    pub n_rows: u64,
}

impl DatasetInput {
    /// How metrics name it.
    pub fn reference(&self) -> DatasetRef {
        DatasetRef { name: self.name.clone(), digest: self.digest.clone() }
    }
}

/// Where data is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum DatasetSource {
    /// A version of a table of the lake.
    Table {
        /// Folder of the table.
        path: PathBuf,
        /// Which version.
        table: TableVersion,
    },
    /// Files outside the lake.
    Files {
        /// Path or pattern.
        path: PathBuf,
    },
}

/// A stage of the pipeline ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StageDone {
    /// Its name.
    pub stage: String,
    /// Whether an earlier result was taken because nothing had changed.
    pub reused: bool,
    /// Wall time.
    pub seconds: f64,
    /// What it did, for a person.
    pub text: String,
}

/// A file or folder worth keeping with the run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifact {
    /// Where it is, relative to the home if it is inside.
    pub local: PathBuf,
    /// Folder among the run's artefacts that it goes into; empty for the top.
    pub folder: String,
}

/// A bundle the run made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoggedModel {
    /// Name of the model.
    pub name: String,
    /// Folder of the bundle, relative to the home if it is inside.
    pub bundle: PathBuf,
    /// Step of training it is from.
    pub step: u64,
}

/// A bundle became a version of a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegisteredVersion {
    /// Name of the model in the registry.
    pub name: String,
    /// Version there.
    pub version: u64,
    /// Alias it was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
    /// Logged model of this run that it is.
    pub model: String,
    /// Whether MLflow's own registry gave the number; then there is nothing to repeat there.
    #[serde(default)]
    pub in_mlflow: bool,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunEnd {
    /// To its end.
    Finished,
    /// With an error.
    Failed,
    /// Stopped by the user.
    Killed,
}

/// The run is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunFinished {
    /// How.
    pub status: RunEnd,
    /// When, milliseconds since 1970 in UTC.
    pub end_ms: u64,
    /// What went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A float that JSON can carry: NaN and infinities are the texts `NaN`, `Infinity`, `-Infinity`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MetricValue(pub f64);

impl Serialize for MetricValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            value if value.is_finite() => serializer.serialize_f64(value),
            value if value.is_nan() => serializer.serialize_str("NaN"),
            value if value > 0.0 => serializer.serialize_str("Infinity"),
            _ => serializer.serialize_str("-Infinity"),
        }
    }
}

impl<'de> Deserialize<'de> for MetricValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Value;
        impl Visitor<'_> for Value {
            type Value = MetricValue;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number, NaN, Infinity or -Infinity")
            }

            fn visit_f64<E>(self, value: f64) -> Result<MetricValue, E> {
                Ok(MetricValue(value))
            }

            fn visit_i64<E>(self, value: i64) -> Result<MetricValue, E> {
                Ok(MetricValue(value as f64))
            }

            fn visit_u64<E>(self, value: u64) -> Result<MetricValue, E> {
                Ok(MetricValue(value as f64))
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<MetricValue, E> {
                text.parse()
                    .map(MetricValue)
                    .map_err(|_| E::invalid_value(serde::de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_any(Value)
    }
}

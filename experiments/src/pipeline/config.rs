use cupola_datasets::features::{FeaturesConfig, Normalise};
use cupola_datasets::prepare::PrepareConfig;
use cupola_datasets::schema::Schema;
use cupola_datasets::sources::SourceConfig;
use cupola_models::DeviceChoice;
use cupola_models::mlp::MlpConfig;
use cupola_models::predict::TaskKind;
use cupola_models::trees::GbdtConfig;
use cupola_serving::ServeConfig;
use cupola_training::metrics::EvaluateConfig;
use cupola_training::split::SplitConfig;
use cupola_training::trainer::TrainConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Everything one `pipeline.toml` declares.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pipeline {
    /// Name of the pipeline, its model and its experiment: letters, digits, `-`, `_`, `.`.
    pub name: String,
    /// What to predict. Default: by the label's type and values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskKind>,
    /// Most records that may be quarantined before the run stops, as a share of all records.
    #[serde(default = "max_quarantined")]
    pub max_quarantined: f64,
    /// Sample data to make where the source's file is not there yet; for examples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample: Option<SampleConfig>,
    /// Where rows come from.
    pub source: SourceConfig,
    /// What a valid row looks like.
    #[serde(default)]
    pub schema: Schema,
    /// From the raw table to the clean table.
    #[serde(default)]
    pub prepare: PrepareConfig,
    /// From the clean table to numbers.
    #[serde(default)]
    pub features: FeaturesConfig,
    /// Which rows train, stop and judge.
    #[serde(default)]
    pub split: SplitConfig,
    /// The model.
    #[serde(default)]
    pub model: ModelConfig,
    /// The training loop.
    #[serde(default)]
    pub train: TrainConfig,
    /// How the model is judged.
    #[serde(default)]
    pub evaluate: EvaluateConfig,
    /// Where it computes: `auto`, `cpu`, `vulkan[:N]`, `cuda[:N]`.
    #[serde(default)]
    pub device: DeviceChoice,
    /// How it is served.
    #[serde(default)]
    pub serve: ServeConfig,
    /// Tracking; the standard `MLFLOW_*` variables win over it.
    #[serde(default)]
    pub mlflow: MlflowConfig,
}

fn max_quarantined() -> f64 {
    0.05
}

/// The `[model]` table. `kind` picks the model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum ModelConfig {
    /// A multi-layer perceptron for tables.
    Mlp(MlpConfig),
    /// Gradient-boosted trees.
    Gbdt(Box<GbdtConfig>),
}

impl ModelConfig {
    /// How numbers reach the model unless the pipeline says so.
    pub fn normalise(&self) -> Normalise {
        match self {
            Self::Mlp(_) => Normalise::Quantile,
            Self::Gbdt(_) => Normalise::Raw,
        }
    }
}

impl Default for ModelConfig {
    fn default() -> Self {
        Self::Mlp(MlpConfig::default())
    }
}

/// The `[sample]` table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SampleConfig {
    /// What to make.
    pub kind: SampleKind,
    /// Rows to make.
    pub rows: usize,
    /// Seed; the same seed makes the same rows.
    #[serde(default)]
    pub seed: u64,
}

/// Kind of sample data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SampleKind {
    /// Card transactions with three kinds of fraud.
    CardFraud,
}

/// The `[mlflow]` table.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MlflowConfig {
    /// Address of the tracking server. Without it, and without `MLFLOW_TRACKING_URI`, runs stay
    /// in the run journal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tracking_uri: Option<String>,
    /// Experiment name. Default: the pipeline's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub experiment: Option<String>,
}

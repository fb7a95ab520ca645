use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The `[evaluate]` table.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EvaluateConfig {
    /// Metric that models are compared by. Default: `roc_auc` for two classes, `log_loss` for more,
    /// `rmse` for numbers, `mean_poisson_deviance` for counts, `ndcg_at_10` for rankings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub primary: Option<String>,
    /// What wrong decisions of a binary model cost. With it, the decision threshold is the one of
    /// least cost on the validation part; without, the one of the greatest F1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<CostConfig>,
}

/// Cost of wrong decisions, in any unit; right ones cost nothing.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CostConfig {
    /// Cost of a negative row taken for positive.
    pub false_positive: f64,
    /// Cost of a positive row taken for negative.
    pub false_negative: f64,
}

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The network of `kind = "mlp"`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MlpConfig {
    /// Width of each hidden layer.
    pub hidden: Vec<usize>,
    /// Share of hidden units dropped in training. Default: 0.5 below 10,000 training rows, else 0.1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dropout: Option<f64>,
    /// Layer normalisation after each hidden layer.
    pub layer_norm: bool,
    /// Adds a layer's input to its output where both have the same width.
    pub residual: bool,
    /// Widest category embedding; a feature of k categories gets min(this, 1.6 k^0.56).
    pub embedding_width_max: usize,
}

impl Default for MlpConfig {
    fn default() -> Self {
        Self {
            hidden: vec![256, 256, 256],
            dropout: None,
            layer_norm: true,
            residual: false,
            embedding_width_max: 32,
        }
    }
}

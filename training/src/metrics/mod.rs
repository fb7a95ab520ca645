//! How good predictions are. Definitions follow scikit-learn, ties and weights included.

mod binary;
mod config;
mod counts;
mod curves;
mod error;
mod evaluate;
mod importance;
mod multiclass;
mod numbers;
mod ranking;

pub use config::{CostConfig, EvaluateConfig};
pub use curves::{CalibrationBin, CurvePoint, Curves};
pub use error::MetricsError;
pub use evaluate::{
    Confusion, Evaluation, Predictions, RELEVANCE_MAX, evaluate, evaluate_at, greater_is_better, metric_names,
};
pub(crate) use evaluate::{expected_label, is_label};
pub use importance::permutation_importance;
pub(crate) use ranking::mean_ndcg;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::mlp::{Link, OutputScale};
use crate::predict::TaskKind;

/// What boosted trees minimise, by XGBoost's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Objective {
    /// Log loss of two classes.
    #[serde(rename = "binary:logistic")]
    Logistic,
    /// Log loss of three or more classes.
    #[serde(rename = "multi:softprob")]
    Softmax,
    /// Squared error.
    #[serde(rename = "reg:squarederror")]
    SquaredError,
    /// Absolute error; leaves are medians.
    #[serde(rename = "reg:absoluteerror")]
    AbsoluteError,
    /// Squared near zero, linear beyond `huber_slope`.
    #[serde(rename = "reg:pseudohubererror")]
    Huber,
    /// Pinball loss of the quantile `quantile_alpha`; leaves are quantiles.
    #[serde(rename = "reg:quantileerror")]
    Quantile,
    /// Poisson deviance of counts, log link.
    #[serde(rename = "count:poisson")]
    Poisson,
    /// Gamma deviance of positive numbers, log link.
    #[serde(rename = "reg:gamma")]
    Gamma,
    /// Tweedie deviance of numbers of at least 0, log link.
    #[serde(rename = "reg:tweedie")]
    Tweedie,
    /// LambdaRank: pairs of a list, weighted by what their exchange changes in NDCG.
    #[serde(rename = "rank:ndcg", alias = "lambdarank")]
    LambdaRank,
}

impl Objective {
    /// The objective of a task that names none.
    pub fn of_task(task: TaskKind) -> Self {
        match task {
            TaskKind::Binary => Self::Logistic,
            TaskKind::Multiclass => Self::Softmax,
            TaskKind::Regression => Self::SquaredError,
            TaskKind::Poisson => Self::Poisson,
            TaskKind::Ranking => Self::LambdaRank,
        }
    }

    /// Whether its scores mean what the task's scores mean.
    pub fn fits(self, task: TaskKind) -> bool {
        match self {
            Self::Logistic => task == TaskKind::Binary,
            Self::Softmax => task == TaskKind::Multiclass,
            Self::LambdaRank => task == TaskKind::Ranking,
            Self::Poisson | Self::Tweedie => matches!(task, TaskKind::Poisson | TaskKind::Regression),
            _ => task == TaskKind::Regression,
        }
    }

    /// From raw scores to scores.
    pub fn link(self) -> Link {
        match self {
            Self::Logistic => Link::Sigmoid,
            Self::Softmax => Link::Softmax,
            Self::Poisson | Self::Gamma | Self::Tweedie => Link::Exp,
            _ => Link::Scale(OutputScale { mean: 0.0, sd: 1.0 }),
        }
    }

    /// Its name in pipeline files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Logistic => "binary:logistic",
            Self::Softmax => "multi:softprob",
            Self::SquaredError => "reg:squarederror",
            Self::AbsoluteError => "reg:absoluteerror",
            Self::Huber => "reg:pseudohubererror",
            Self::Quantile => "reg:quantileerror",
            Self::Poisson => "count:poisson",
            Self::Gamma => "reg:gamma",
            Self::Tweedie => "reg:tweedie",
            Self::LambdaRank => "rank:ndcg",
        }
    }
}

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::{CompiledPlan, PlanError};
use crate::schema::Schema;

/// The feature plan with everything learned from training rows. Serialised as `plan.json` in the
/// bundle; numbers survive it exactly.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FittedPlan {
    /// Columns a row must bring: those the features read, with their constraints.
    pub input: Schema,
    /// Scalar SQL features, in the order of declaration, the automatic ones of timestamps included.
    pub sql: IndexMap<String, String>,
    /// Numeric features, in model order.
    pub numeric: Vec<NumericFeature>,
    /// Categorical features, in model order.
    pub categorical: Vec<CategoricalFeature>,
}

/// A number's way into the model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NumericFeature {
    /// Feature name: that of its source, or `SOURCE.missing` for a missing flag.
    pub name: String,
    /// The column or SQL feature it reads. Bools are 0 and 1, timestamps seconds since 1970.
    pub source: String,
    /// What is done with it.
    pub step: NumericStep,
}

/// What is done with a number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum NumericStep {
    /// Impute, clip, normalise, in this order.
    Value {
        /// Value of a missing number.
        impute: f64,
        /// Limits to which a number is pulled back.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        clip: Option<[f64; 2]>,
        /// Normalisation.
        scale: Scale,
    },
    /// As it is, pulled back to the limits; a missing number is NaN. For models that learn from
    /// missing numbers.
    Raw {
        /// Limits to which a number is pulled back.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        clip: Option<[f64; 2]>,
    },
    /// 1 where the number is missing, 0 elsewhere.
    Missing,
}

/// How a number is normalised.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Scale {
    /// As it is.
    None,
    /// `(x - mean) / sd`.
    Standard {
        /// Mean of the training rows.
        mean: f64,
        /// Their standard deviation, above 0.
        sd: f64,
    },
    /// The normal quantile of the number's rank among the training rows.
    ///
    /// `quantiles` are those of the orders `i / (len - 1)`, at least two of them, ascending, with
    /// repeats where values are tied. The result is defined as in scikit-learn's
    /// `QuantileTransformer(output_distribution="normal")`, except that the normal quantile
    /// function is replaced between the knots by straight lines, at most 0.001 away from it.
    Quantile {
        /// Quantiles of the training rows.
        quantiles: Vec<f64>,
    },
    /// Always 0: the training rows had one value, or none.
    Constant,
}

/// A category's way into the model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CategoricalFeature {
    /// Feature name: a column or a SQL feature. Numbers and bools are read as text.
    pub name: String,
    /// Category `i` has code `i + 2`; 0 is missing, 1 unknown or rare.
    pub categories: Vec<String>,
}

impl CategoricalFeature {
    /// Number of codes, the two reserved ones included.
    pub fn cardinality(&self) -> usize {
        self.categories.len() + 2
    }
}

impl FittedPlan {
    /// Checks the plan and compiles its SQL.
    pub fn compile(self) -> Result<CompiledPlan, PlanError> {
        CompiledPlan::new(self)
    }

    /// Codes per categorical feature, in model order.
    pub fn cardinalities(&self) -> Vec<usize> {
        self.categorical.iter().map(CategoricalFeature::cardinality).collect()
    }
}

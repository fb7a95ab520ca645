use super::cuts::{self, CutBudget};

/// How the values of a feature become bins.
#[derive(Clone, Debug, PartialEq)]
pub enum FeatureBins {
    /// Bin 0 is missing; bin `b` from 1 holds the numbers from `cuts[b - 2]` (included) to `cuts[b - 1]`.
    Numeric {
        /// Ascending, finite.
        cuts: Vec<f32>,
    },
    /// The bin is the category's code.
    Categorical {
        /// Number of codes, at most 65,536.
        cardinality: usize,
    },
    /// Not learned from: one bin.
    Unused,
}

/// A sampled number, and what is to be learned of its row in standard deviations from the mean.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampled {
    /// Number of the feature; not NaN.
    pub value: f32,
    /// Target.
    pub target: f32,
}

impl FeatureBins {
    /// Bins of a number, with the cuts that its sample asks for; the sample is sorted.
    pub fn numeric(sample: &mut [Sampled], budget: CutBudget) -> Self {
        Self::Numeric { cuts: cuts::choose(sample, budget) }
    }

    /// Number of bins, that of missing numbers included.
    pub fn n_bins(&self) -> usize {
        match self {
            Self::Numeric { cuts } => cuts.len() + 2,
            Self::Categorical { cardinality } => *cardinality,
            Self::Unused => 1,
        }
    }
}

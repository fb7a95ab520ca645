use cupola_datasets::profile::{DataProfile, Histogram};
use serde::{Deserialize, Serialize};

/// `profile.json` of a bundle: what the data and the model's scores looked like when it was trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReferenceProfile {
    /// The columns.
    #[serde(flatten)]
    pub data: DataProfile,
    /// Scores of rows that training held out, one histogram of about equal counts per output; empty
    /// where they were not kept.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scores: Vec<Histogram>,
}

impl ReferenceProfile {
    /// With the distribution of `scores`, row-major `[n_rows, n_outputs]`.
    pub fn new(data: DataProfile, scores: &[f32], n_outputs: usize) -> Self {
        let output = |k| scores.iter().skip(k).step_by(n_outputs).map(|score| f64::from(*score));
        let scores = (0..n_outputs).filter_map(|k| Histogram::of_deciles(output(k).collect()));
        Self { data, scores: scores.collect() }
    }
}

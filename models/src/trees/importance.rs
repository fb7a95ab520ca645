use serde::{Deserialize, Serialize};

use super::{Forest, NodeRule};

/// What a feature does for a forest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Importance {
    /// Sum of the gains of its splits.
    pub gain: f64,
    /// Sum of the covers of its splits.
    pub cover: f64,
    /// Its splits.
    pub n_splits: usize,
}

impl Forest {
    /// Importance of each feature, numeric ones first.
    pub fn importance(&self) -> Vec<Importance> {
        let mut of = vec![Importance::default(); self.shape.n_features()];
        for node in &self.nodes {
            let Some(NodeRule::Below { feature, .. } | NodeRule::In { feature, .. }) = node.rule else {
                continue;
            };
            let importance = &mut of[feature as usize];
            importance.gain += f64::from(node.gain);
            importance.cover += f64::from(node.cover);
            importance.n_splits += 1;
        }
        of
    }
}

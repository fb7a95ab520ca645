use cupola_datasets::FeatureBatch;
use serde::{Deserialize, Serialize};

use super::MlpConfig;
use crate::predict::PredictError;

/// Everything that fixes the tensors of a network. Saved in the bundle's manifest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MlpShape {
    /// Numeric features per row.
    pub n_numeric: usize,
    /// Number of codes of each categorical feature, in model order.
    pub cardinalities: Vec<usize>,
    /// Layers.
    pub config: MlpConfig,
    /// Raw outputs per row.
    pub n_outputs: usize,
}

/// A dense layer of the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DenseShape {
    /// Prefix of its tensors: `hidden.0`, ..., `output`.
    pub name: String,
    pub n_inputs: usize,
    pub n_outputs: usize,
    pub layer_norm: bool,
    pub residual: bool,
}

/// Why no network has this shape.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShapeError {
    /// Nothing to read.
    #[error(
        "the network has no input: the feature plan has neither a numeric nor a categorical feature; add one under [features]"
    )]
    NoFeatures,
    /// Nothing to predict.
    #[error("the network has no output; the task needs at least one")]
    NoOutputs,
    /// A layer or table without a single number in it.
    #[error("{what} of the network is 0; set it to 1 or more")]
    Empty {
        /// What is empty.
        what: String,
    },
    /// Not a probability.
    #[error("dropout is {found}; it must be at least 0 and below 1")]
    Dropout {
        /// Value as given.
        found: String,
    },
}

impl MlpShape {
    /// Checks that a network of this shape can be built.
    pub fn check(&self) -> Result<(), ShapeError> {
        let empty = |what: String| Err(ShapeError::Empty { what });
        if self.n_numeric == 0 && self.cardinalities.is_empty() {
            return Err(ShapeError::NoFeatures);
        }
        if self.n_outputs == 0 {
            return Err(ShapeError::NoOutputs);
        }
        if let Some(i) = self.config.hidden.iter().position(|&width| width == 0) {
            return empty(format!("hidden[{i}]"));
        }
        if let Some(j) = self.cardinalities.iter().position(|&k| k == 0) {
            return empty(format!("the number of categories of categorical feature {j}"));
        }
        if self.config.embedding_width_max == 0 {
            return empty("embedding_width_max".into());
        }
        if !(0.0..1.0).contains(&self.dropout()) {
            return Err(ShapeError::Dropout { found: self.dropout().to_string() });
        }
        Ok(())
    }

    /// Share of hidden units dropped in training; the trainer sets it where the pipeline does not.
    pub fn dropout(&self) -> f64 {
        self.config.dropout.unwrap_or(0.0)
    }

    /// Width of the embedding of categorical feature `j`: min(`embedding_width_max`, 1.6 k^0.56
    /// rounded up), the rule of fastai's tabular learner.
    pub fn embedding_width(&self, j: usize) -> usize {
        let rule = (1.6 * (self.cardinalities[j] as f64).powf(0.56)).ceil() as usize;
        rule.min(self.config.embedding_width_max)
    }

    /// Width of the first layer's input: the numbers, then each feature's embedding.
    pub fn input_width(&self) -> usize {
        let embedded: usize = (0..self.cardinalities.len()).map(|j| self.embedding_width(j)).sum();
        self.n_numeric + embedded
    }

    /// Trainable numbers in the network.
    pub fn n_parameters(&self) -> usize {
        self.tensors().iter().map(|(_, shape)| shape.iter().product::<usize>()).sum()
    }

    /// Whether hidden layer `i` adds its input to its output.
    pub fn is_residual(&self, i: usize) -> bool {
        let n_inputs = if i == 0 { self.input_width() } else { self.config.hidden[i - 1] };
        self.config.residual && n_inputs == self.config.hidden[i]
    }

    /// The dense layers in order, the output last.
    pub(super) fn dense(&self) -> Vec<DenseShape> {
        let mut n_inputs = self.input_width();
        let mut layers = Vec::with_capacity(self.config.hidden.len() + 1);
        for (i, &width) in self.config.hidden.iter().enumerate() {
            layers.push(DenseShape {
                name: format!("hidden.{i}"),
                n_inputs,
                n_outputs: width,
                layer_norm: self.config.layer_norm,
                residual: self.is_residual(i),
            });
            n_inputs = width;
        }
        layers.push(DenseShape {
            name: "output".into(),
            n_inputs,
            n_outputs: self.n_outputs,
            layer_norm: false,
            residual: false,
        });
        layers
    }

    /// Checks that a batch fits: its widths, its lengths, and every category code.
    pub fn check_batch(&self, batch: &FeatureBatch) -> Result<(), PredictError> {
        let n_categorical = self.cardinalities.len();
        let expected = self.n_numeric + n_categorical;
        let found = batch.n_numeric + batch.n_categorical;
        let whole = batch.numeric.len() == batch.n_rows * batch.n_numeric
            && batch.categorical.len() == batch.n_rows * batch.n_categorical;
        if batch.n_numeric != self.n_numeric || expected != found || !whole {
            return Err(PredictError::Shape { expected, found });
        }
        if n_categorical > 0 {
            for row in batch.categorical.chunks_exact(n_categorical) {
                for (feature, (&code, &cardinality)) in row.iter().zip(&self.cardinalities).enumerate() {
                    if code as usize >= cardinality {
                        return Err(PredictError::Code { feature, code, cardinality });
                    }
                }
            }
        }
        Ok(())
    }

    /// Name and shape of every trained tensor, in the order of the forward pass.
    pub fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        let mut tensors: Vec<(String, Vec<usize>)> = self
            .cardinalities
            .iter()
            .enumerate()
            .map(|(j, &k)| (format!("embedding.{j}.weight"), vec![k, self.embedding_width(j)]))
            .collect();
        for layer in self.dense() {
            tensors.push((format!("{}.weight", layer.name), vec![layer.n_outputs, layer.n_inputs]));
            tensors.push((format!("{}.bias", layer.name), vec![layer.n_outputs]));
            if layer.layer_norm {
                tensors.push((format!("{}.norm.weight", layer.name), vec![layer.n_outputs]));
                tensors.push((format!("{}.norm.bias", layer.name), vec![layer.n_outputs]));
            }
        }
        tensors
    }
}

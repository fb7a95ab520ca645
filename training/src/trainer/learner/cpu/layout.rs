use std::ops::Range;

use cupola_models::mlp::{MlpShape, MlpWeights, WeightTensor, WeightsError};

/// Where each of the network's tensors lies in one buffer of all parameters, in the order of
/// [`MlpShape::tensors`].
pub(super) struct Layout {
    pub n_numeric: usize,
    pub input_width: usize,
    pub embeddings: Vec<Table>,
    /// The output layer last.
    pub layers: Vec<Layer>,
    tensors: Vec<(String, Vec<usize>)>,
}

/// The embedding of a categorical feature: `[cardinality, width]`.
pub(super) struct Table {
    pub values: Range<usize>,
    pub width: usize,
}

/// A dense layer: `[n_outputs, n_inputs]` and `[n_outputs]`.
pub(super) struct Layer {
    pub n_inputs: usize,
    pub n_outputs: usize,
    pub weight: Range<usize>,
    pub bias: Range<usize>,
    pub norm: Option<Norm>,
    pub residual: bool,
}

/// A layer normalisation: `[n_outputs]` each.
pub(super) struct Norm {
    pub weight: Range<usize>,
    pub bias: Range<usize>,
}

impl Layout {
    pub fn new(shape: &MlpShape) -> Self {
        let mut end = 0;
        let mut take = |n: usize| {
            end += n;
            end - n..end
        };
        let embeddings = (0..shape.cardinalities.len())
            .map(|j| {
                let width = shape.embedding_width(j);
                Table { values: take(shape.cardinalities[j] * width), width }
            })
            .collect();
        let mut n_inputs = shape.input_width();
        let mut layers = Vec::new();
        let hidden = shape.config.hidden.iter().enumerate();
        let hidden = hidden.map(|(i, &width)| (width, shape.config.layer_norm, shape.is_residual(i)));
        for (n_outputs, layer_norm, residual) in hidden.chain([(shape.n_outputs, false, false)]) {
            let (weight, bias) = (take(n_outputs * n_inputs), take(n_outputs));
            let norm = layer_norm.then(|| Norm { weight: take(n_outputs), bias: take(n_outputs) });
            layers.push(Layer { n_inputs, n_outputs, weight, bias, norm, residual });
            n_inputs = n_outputs;
        }
        Self {
            n_numeric: shape.n_numeric,
            input_width: shape.input_width(),
            embeddings,
            layers,
            tensors: shape.tensors(),
        }
    }

    /// All parameters in one buffer.
    pub fn flatten(&self, weights: &MlpWeights) -> Result<Vec<f32>, WeightsError> {
        let mut flat = Vec::new();
        for (name, _) in &self.tensors {
            let tensor = weights.get(name).ok_or_else(|| WeightsError::Missing { name: name.clone() })?;
            flat.extend_from_slice(&tensor.values);
        }
        Ok(flat)
    }

    /// The weights in such a buffer.
    pub fn weights(&self, flat: &[f32]) -> MlpWeights {
        let (mut weights, mut rest) = (MlpWeights::default(), flat);
        for (name, shape) in &self.tensors {
            let (values, behind) = rest.split_at(shape.iter().product());
            weights.insert(name.clone(), WeightTensor { shape: shape.clone(), values: values.to_vec() });
            rest = behind;
        }
        weights
    }
}

use burn::module::{Module, Param, ParamId};
use burn::nn::{Dropout, DropoutConfig, Embedding, LayerNorm, LayerNormConfig, Linear};
use burn::tensor::activation::relu;
use burn::tensor::backend::Backend;
use burn::tensor::{Int, Tensor, TensorData};
use cupola_datasets::FeatureBatch;

use super::shape::DenseShape;
use super::{MlpShape, MlpWeights, WeightTensor, WeightsError};

/// The network on a Burn device.
///
/// Numbers and the embeddings of the categories are joined, then pass through the hidden layers:
/// linear, layer normalisation if configured, ReLU, dropout, and the layer's input added where the
/// widths allow it. Dropout acts on devices with automatic differentiation only.
#[derive(Module, Debug)]
pub struct Mlp<B: Backend> {
    embeddings: Vec<Embedding<B>>,
    hidden: Vec<Hidden<B>>,
    output: Linear<B>,
    n_numeric: usize,
}

#[derive(Module, Debug)]
struct Hidden<B: Backend> {
    linear: Linear<B>,
    norm: Option<LayerNorm<B>>,
    dropout: Dropout,
    residual: bool,
}

impl<B: Backend> Mlp<B> {
    /// A network with the weights of seed 0; see [`Self::init_seeded`].
    pub fn init(shape: &MlpShape, device: &B::Device) -> Result<Self, WeightsError> {
        Self::init_seeded(shape, 0, device)
    }

    /// A network to start training from, with [`MlpWeights::init`]'s weights.
    pub fn init_seeded(shape: &MlpShape, seed: u64, device: &B::Device) -> Result<Self, WeightsError> {
        Self::from_weights(shape, &MlpWeights::init(shape, seed), device)
    }

    /// A network with these weights. Parameter ids are the tensors' positions in
    /// [`MlpShape::tensors`], so that an optimiser's saved state fits a network built anew.
    pub fn from_weights(
        shape: &MlpShape,
        weights: &MlpWeights,
        device: &B::Device,
    ) -> Result<Self, WeightsError> {
        weights.check(shape)?;
        let mut loader = Loader { weights, device, n_loaded: 0 };
        let embeddings = (0..shape.cardinalities.len())
            .map(|j| {
                let size = [shape.cardinalities[j], shape.embedding_width(j)];
                Ok(Embedding { weight: loader.parameter(&format!("embedding.{j}.weight"), size)? })
            })
            .collect::<Result<_, WeightsError>>()?;
        let mut dense = shape.dense();
        let last = dense.pop();
        let hidden = dense
            .iter()
            .map(|layer| loader.hidden(layer, shape.dropout()))
            .collect::<Result<_, WeightsError>>()?;
        let last = last.ok_or_else(|| WeightsError::Missing { name: "output.weight".into() })?;
        let output = loader.linear(&last)?;
        Ok(Self { embeddings, hidden, output, n_numeric: shape.n_numeric })
    }

    /// Raw outputs `[n, n_outputs]`: logits, standardised values or log rates.
    ///
    /// `numeric` is `[n, n_numeric]`, `categorical` `[n, n_categorical]` with codes below each
    /// feature's cardinality. A network without features of one kind ignores that tensor.
    pub fn forward(&self, numeric: Tensor<B, 2>, categorical: Tensor<B, 2, Int>) -> Tensor<B, 2> {
        let mut x = self.join(numeric, categorical);
        for layer in &self.hidden {
            x = layer.forward(x);
        }
        self.output.forward(x)
    }

    fn join(&self, numeric: Tensor<B, 2>, categorical: Tensor<B, 2, Int>) -> Tensor<B, 2> {
        if self.embeddings.is_empty() {
            return numeric;
        }
        let [n, _] = categorical.dims();
        let mut parts = Vec::with_capacity(self.embeddings.len() + 1);
        if self.n_numeric > 0 {
            parts.push(numeric);
        }
        for (j, embedding) in self.embeddings.iter().enumerate() {
            let codes = categorical.clone().slice([0..n, j..j + 1]);
            let [_, width] = embedding.weight.dims();
            parts.push(embedding.forward(codes).reshape([n, width]));
        }
        if parts.len() == 1 { parts.remove(0) } else { Tensor::cat(parts, 1) }
    }

    /// The weights as they are now, read back from the device.
    pub fn to_weights(&self) -> Result<MlpWeights, WeightsError> {
        let mut weights = MlpWeights::default();
        for (j, embedding) in self.embeddings.iter().enumerate() {
            save(&mut weights, format!("embedding.{j}.weight"), embedding.weight.val())?;
        }
        for (i, layer) in self.hidden.iter().enumerate() {
            save_linear(&mut weights, &format!("hidden.{i}"), &layer.linear)?;
            if let Some(norm) = &layer.norm {
                save(&mut weights, format!("hidden.{i}.norm.weight"), norm.gamma.val())?;
                if let Some(beta) = &norm.beta {
                    save(&mut weights, format!("hidden.{i}.norm.bias"), beta.val())?;
                }
            }
        }
        save_linear(&mut weights, "output", &self.output)?;
        Ok(weights)
    }
}

impl<B: Backend> Hidden<B> {
    fn forward(&self, input: Tensor<B, 2>) -> Tensor<B, 2> {
        let mut x = self.linear.forward(input.clone());
        if let Some(norm) = &self.norm {
            x = norm.forward(x);
        }
        x = self.dropout.forward(relu(x));
        if self.residual { x + input } else { x }
    }
}

/// A batch as the network's two inputs. Where the batch has no feature of a kind, one column of
/// zeros stands in: devices have no empty tensors.
pub fn input_tensors<B: Backend>(
    batch: &FeatureBatch,
    device: &B::Device,
) -> (Tensor<B, 2>, Tensor<B, 2, Int>) {
    let n = batch.n_rows;
    let numeric = match batch.n_numeric {
        0 => TensorData::new(vec![0f32; n], [n, 1]),
        width => TensorData::new(batch.numeric.clone(), [n, width]),
    };
    let categorical = match batch.n_categorical {
        0 => TensorData::new(vec![0i32; n], [n, 1]),
        width => {
            TensorData::new(batch.categorical.iter().map(|&code| code as i32).collect::<Vec<_>>(), [n, width])
        }
    };
    (Tensor::from_data(numeric, device), Tensor::from_data(categorical, device))
}

/// Makes parameters out of weights, numbering them as it goes.
struct Loader<'a, B: Backend> {
    weights: &'a MlpWeights,
    device: &'a B::Device,
    n_loaded: u64,
}

impl<B: Backend> Loader<'_, B> {
    fn parameter<const D: usize>(
        &mut self,
        name: &str,
        size: [usize; D],
    ) -> Result<Param<Tensor<B, D>>, WeightsError> {
        let values = self.weights.sized(name, &size)?.values.clone();
        Ok(self.number(Tensor::from_data(TensorData::new(values, size), self.device)))
    }

    fn number<const D: usize>(&mut self, tensor: Tensor<B, D>) -> Param<Tensor<B, D>> {
        let id = ParamId::from(self.n_loaded);
        self.n_loaded += 1;
        Param::initialized(id, tensor.require_grad())
    }

    /// Burn keeps a linear layer's weight as `[in, out]`, the file as `[out, in]`.
    fn linear(&mut self, layer: &DenseShape) -> Result<Linear<B>, WeightsError> {
        let (n_in, n_out) = (layer.n_inputs, layer.n_outputs);
        let rows = &self.weights.sized(&format!("{}.weight", layer.name), &[n_out, n_in])?.values;
        let data = TensorData::new(transposed(rows, n_out, n_in), [n_in, n_out]);
        let weight = self.number(Tensor::from_data(data, self.device));
        let bias = Some(self.parameter(&format!("{}.bias", layer.name), [n_out])?);
        Ok(Linear { weight, bias })
    }

    fn hidden(&mut self, layer: &DenseShape, dropout: f64) -> Result<Hidden<B>, WeightsError> {
        let linear = self.linear(layer)?;
        let norm = if layer.layer_norm {
            let mut norm = LayerNormConfig::new(layer.n_outputs).init(self.device);
            norm.gamma = self.parameter(&format!("{}.norm.weight", layer.name), [layer.n_outputs])?;
            norm.beta = Some(self.parameter(&format!("{}.norm.bias", layer.name), [layer.n_outputs])?);
            Some(norm)
        } else {
            None
        };
        Ok(Hidden { linear, norm, dropout: DropoutConfig::new(dropout).init(), residual: layer.residual })
    }
}

fn save<B: Backend, const D: usize>(
    weights: &mut MlpWeights,
    name: String,
    tensor: Tensor<B, D>,
) -> Result<(), WeightsError> {
    let data = tensor.into_data();
    let shape = data.shape.to_vec();
    let values = data.convert::<f32>().into_vec().map_err(|error| WeightsError::Format {
        reason: format!("tensor {name} cannot be read back: {error:?}"),
    })?;
    weights.insert(name, WeightTensor { shape, values });
    Ok(())
}

fn save_linear<B: Backend>(
    weights: &mut MlpWeights,
    name: &str,
    linear: &Linear<B>,
) -> Result<(), WeightsError> {
    let weight_name = format!("{name}.weight");
    save(weights, weight_name.clone(), linear.weight.val())?;
    if let Some(WeightTensor { shape, values }) = weights.get(&weight_name).cloned() {
        let (n_in, n_out) = (shape[0], shape[1]);
        let values = transposed(&values, n_in, n_out);
        weights.insert(weight_name, WeightTensor { shape: vec![n_out, n_in], values });
    }
    match &linear.bias {
        Some(bias) => save(weights, format!("{name}.bias"), bias.val()),
        None => Ok(()),
    }
}

/// `[n_rows, n_columns]` to `[n_columns, n_rows]`.
fn transposed(values: &[f32], n_rows: usize, n_columns: usize) -> Vec<f32> {
    let mut out = vec![0.0; values.len()];
    for row in 0..n_rows {
        for column in 0..n_columns {
            out[column * n_rows + row] = values[row * n_columns + column];
        }
    }
    out
}

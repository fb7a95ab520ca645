use std::collections::BTreeMap;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use super::{MlpShape, OutputScale, ShapeError};

/// Named f32 tensors of a network, as they are kept in `weights.safetensors`.
///
/// Layouts are PyTorch's, so that `torch.nn.Linear` and `candle_nn::Linear` load them as they are:
///
/// | tensor | shape | for |
/// |---|---|---|
/// | `embedding.J.weight` | `[cardinality, width]` | categorical feature J |
/// | `hidden.I.weight`, `hidden.I.bias` | `[out, in]`, `[out]` | hidden layer I |
/// | `hidden.I.norm.weight`, `hidden.I.norm.bias` | `[out]` | its layer normalisation |
/// | `output.weight`, `output.bias` | `[n_outputs, in]`, `[n_outputs]` | output layer |
/// | `output.mean`, `output.sd` | `[1]` | regression: value = raw * sd + mean |
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MlpWeights {
    tensors: BTreeMap<String, WeightTensor>,
}

/// One tensor, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct WeightTensor {
    /// Size of each axis.
    pub shape: Vec<usize>,
    /// Its numbers, as many as the product of `shape`.
    pub values: Vec<f32>,
}

/// Why weights cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WeightsError {
    /// Not a safetensors file.
    #[error("the weights are not a safetensors file: {reason}; restore the file or train again")]
    Format {
        /// What the reader said.
        reason: String,
    },
    /// No network has this shape.
    #[error(transparent)]
    Network(#[from] ShapeError),
    /// A tensor that the network needs is not there.
    #[error("tensor {name} is missing from the weights; they belong to another network")]
    Missing {
        /// Tensor at fault.
        name: String,
    },
    /// A tensor that the network does not know.
    #[error("tensor {name} is no part of the network; the weights belong to another one")]
    Unexpected {
        /// Tensor at fault.
        name: String,
    },
    /// A tensor of another size.
    #[error(
        "tensor {name} has shape {found:?}, the network needs {expected:?}; the weights belong to another network"
    )]
    Shape {
        /// Tensor at fault.
        name: String,
        /// Shape the network needs.
        expected: Vec<usize>,
        /// Shape in the file.
        found: Vec<usize>,
    },
    /// NaN or infinity.
    #[error(
        "tensor {name} holds a number that is not finite; training diverged: lower the learning rate and train again"
    )]
    NotFinite {
        /// Tensor at fault.
        name: String,
    },
}

const MEAN: &str = "output.mean";
const SD: &str = "output.sd";

impl MlpWeights {
    /// A tensor by name.
    pub fn get(&self, name: &str) -> Option<&WeightTensor> {
        self.tensors.get(name)
    }

    /// Puts a tensor under a name, in place of the one that was there.
    pub fn insert(&mut self, name: impl Into<String>, tensor: WeightTensor) {
        self.tensors.insert(name.into(), tensor);
    }

    /// All tensors by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &WeightTensor)> {
        self.tensors.iter().map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// Keeps mean and standard deviation of a regression's labels beside the weights.
    pub fn set_output_scale(&mut self, scale: OutputScale) {
        self.insert(MEAN, WeightTensor { shape: vec![1], values: vec![scale.mean] });
        self.insert(SD, WeightTensor { shape: vec![1], values: vec![scale.sd] });
    }

    /// Mean and standard deviation of the labels; `None` unless they were set.
    pub fn output_scale(&self) -> Option<OutputScale> {
        let number = |name| self.get(name).and_then(|tensor| tensor.values.first().copied());
        Some(OutputScale { mean: number(MEAN)?, sd: number(SD)? })
    }

    /// Checks that these are the weights of a network of this shape: every tensor, no other, each
    /// of the right size, every number finite.
    pub fn check(&self, shape: &MlpShape) -> Result<(), WeightsError> {
        shape.check()?;
        let mut expected: BTreeMap<String, Vec<usize>> = shape.tensors().into_iter().collect();
        for (name, size) in &expected {
            self.sized(name, size)?;
        }
        expected.extend([MEAN, SD].map(|name| (name.into(), vec![1])));
        for (name, tensor) in self.iter() {
            match expected.get(name) {
                None => return Err(WeightsError::Unexpected { name: name.into() }),
                Some(size) => self.sized(name, size)?,
            };
            if !tensor.values.iter().all(|value| value.is_finite()) {
                return Err(WeightsError::NotFinite { name: name.into() });
            }
        }
        Ok(())
    }

    /// A tensor that must be there in this size.
    pub(super) fn sized(&self, name: &str, size: &[usize]) -> Result<&WeightTensor, WeightsError> {
        let tensor = self.get(name).ok_or_else(|| WeightsError::Missing { name: name.into() })?;
        if tensor.shape != size || tensor.values.len() != size.iter().product::<usize>() {
            return Err(WeightsError::Shape {
                name: name.into(),
                expected: size.to_vec(),
                found: tensor.shape.clone(),
            });
        }
        Ok(tensor)
    }

    /// The weights as a safetensors file. The same weights give the same bytes.
    pub fn to_safetensors(&self) -> Result<Vec<u8>, WeightsError> {
        let bytes: Vec<(&str, &[usize], Vec<u8>)> = self
            .iter()
            .map(|(name, tensor)| (name, tensor.shape.as_slice(), little_endian(&tensor.values)))
            .collect();
        let views: Vec<(&str, TensorView<'_>)> = bytes
            .iter()
            .map(|(name, shape, data)| Ok((*name, TensorView::new(Dtype::F32, shape.to_vec(), data)?)))
            .collect::<Result<_, safetensors::SafeTensorError>>()
            .map_err(format_error)?;
        safetensors::serialize(views, None).map_err(format_error)
    }

    /// Reads a safetensors file. Any tensor that is not f32 is an error.
    pub fn from_safetensors(bytes: &[u8]) -> Result<Self, WeightsError> {
        let file = SafeTensors::deserialize(bytes).map_err(format_error)?;
        let mut weights = Self::default();
        for (name, view) in file.iter() {
            if view.dtype() != Dtype::F32 {
                let reason = format!("tensor {name} has type {:?}, not F32", view.dtype());
                return Err(WeightsError::Format { reason });
            }
            let (numbers, _) = view.data().as_chunks::<4>();
            let values = numbers.iter().map(|number| f32::from_le_bytes(*number)).collect();
            weights.insert(name, WeightTensor { shape: view.shape().to_vec(), values });
        }
        Ok(weights)
    }
}

fn little_endian(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn format_error(error: safetensors::SafeTensorError) -> WeightsError {
    WeightsError::Format { reason: error.to_string() }
}

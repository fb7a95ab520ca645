use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::{MlpShape, MlpWeights, WeightTensor};

/// Codes 0 and 1 of every categorical feature: missing, and unknown or rare. Their embeddings
/// start at zero, so that a code that training never met stays neutral when serving meets it.
const N_RESERVED_CODES: usize = 2;

impl MlpWeights {
    /// Weights to start training from. The same shape and seed give the same numbers on every
    /// device.
    ///
    /// Dense layers as in PyTorch: U(-b, b) with b = 1/sqrt(inputs), weights and biases.
    /// Embeddings: U(-b, b) with b = 1/sqrt(width) (Gorishniy et al. 2021, "Revisiting deep
    /// learning models for tabular data"). Normalisation: weight 1, bias 0.
    pub fn init(shape: &MlpShape, seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut weights = Self::default();
        let mut n_inputs = shape.input_width();
        for (name, size) in shape.tensors() {
            let n: usize = size.iter().product();
            let values = if name.ends_with(".norm.weight") {
                vec![1.0; n]
            } else if name.ends_with(".norm.bias") {
                vec![0.0; n]
            } else if name.starts_with("embedding.") {
                let mut values = uniform(&mut rng, n, size[1]);
                values.iter_mut().take(N_RESERVED_CODES * size[1]).for_each(|value| *value = 0.0);
                values
            } else {
                // A layer's bias follows its weight and has the same bound.
                n_inputs = size.get(1).copied().unwrap_or(n_inputs);
                uniform(&mut rng, n, n_inputs)
            };
            weights.insert(name, WeightTensor { shape: size, values });
        }
        weights
    }
}

fn uniform(rng: &mut StdRng, n: usize, fan: usize) -> Vec<f32> {
    let bound = 1.0 / (fan.max(1) as f32).sqrt();
    (0..n).map(|_| rng.random_range(-bound..=bound)).collect()
}

use std::panic::{AssertUnwindSafe, catch_unwind};

use burn::{Dispatch, DispatchDevice};
use cupola_datasets::FeatureBatch;

use super::{Link, Mlp, MlpShape, MlpWeights, WeightsError, input_tensors};
use crate::device::{Device, panic_text};
use crate::predict::{PredictError, Predictor, Scores, Task};

/// The network on a GPU (or any other Burn device), weights loaded once.
///
/// Batches are padded to [`Self::BATCH_SIZES`] and longer ones split, so that a device compiles and
/// tunes its kernels for these sizes alone, at load. Scores agree with [`super::CpuMlp`] within a
/// relative error of 1e-3; bits may differ between batch sizes.
pub struct DeviceMlp {
    network: Mlp<Dispatch>,
    burn: DispatchDevice,
    device: Device,
    shape: MlpShape,
    link: Link,
}

/// Why a network cannot be put on a device.
#[derive(Debug, thiserror::Error)]
pub enum DeviceMlpError {
    /// The weights do not fit the shape.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The device failed.
    #[error(transparent)]
    Device(#[from] PredictError),
}

impl DeviceMlp {
    /// Rows per pass, ascending.
    pub const BATCH_SIZES: [usize; 4] = [1, 32, 256, 2048];

    /// Puts the weights on the device and warms it up with every batch size.
    pub fn load(
        shape: &MlpShape,
        weights: &MlpWeights,
        task: &Task,
        device: Device,
    ) -> Result<Self, DeviceMlpError> {
        let burn = device.burn();
        let network = guarded(device, || Mlp::from_weights(shape, weights, &burn))??;
        let link = Link::new(task, weights.output_scale());
        let loaded = Self { network, burn, device, shape: shape.clone(), link };
        for n_rows in Self::BATCH_SIZES {
            loaded.predict(&loaded.blank(n_rows))?;
        }
        Ok(loaded)
    }

    /// Rows of zeros and "missing".
    fn blank(&self, n_rows: usize) -> FeatureBatch {
        let (n_numeric, n_categorical) = (self.shape.n_numeric, self.shape.cardinalities.len());
        FeatureBatch {
            n_rows,
            n_numeric,
            n_categorical,
            numeric: vec![0.0; n_rows * n_numeric],
            categorical: vec![0; n_rows * n_categorical],
        }
    }

    /// Raw outputs of some of the batch's rows, padded to the next batch size and cut back.
    fn pass(&self, batch: &FeatureBatch, first: usize, n_rows: usize) -> Result<Vec<f32>, PredictError> {
        let [.., largest] = Self::BATCH_SIZES;
        let padded = Self::BATCH_SIZES.into_iter().find(|&size| size >= n_rows).unwrap_or(largest);
        let mut rows = self.blank(padded);
        let numeric = &batch.numeric[first * batch.n_numeric..][..n_rows * batch.n_numeric];
        rows.numeric[..numeric.len()].copy_from_slice(numeric);
        let codes = &batch.categorical[first * batch.n_categorical..][..n_rows * batch.n_categorical];
        rows.categorical[..codes.len()].copy_from_slice(codes);
        let raw = guarded(self.device, || {
            let (numeric, categorical) = input_tensors::<Dispatch>(&rows, &self.burn);
            self.network.forward(numeric, categorical).try_into_data()
        })?;
        let failed = |reason: String| PredictError::Device { device: self.device.to_string(), reason };
        let mut raw: Vec<f32> = raw
            .map_err(|error| failed(error.to_string()))?
            .into_vec()
            .map_err(|error| failed(format!("scores cannot be read back: {error:?}")))?;
        raw.truncate(n_rows * self.shape.n_outputs);
        Ok(raw)
    }
}

impl Predictor for DeviceMlp {
    fn predict(&self, batch: &FeatureBatch) -> Result<Scores, PredictError> {
        self.shape.check_batch(batch)?;
        let [.., largest] = Self::BATCH_SIZES;
        let n_outputs = self.shape.n_outputs;
        let mut values = Vec::with_capacity(batch.n_rows * n_outputs);
        for first in (0..batch.n_rows).step_by(largest) {
            values.extend(self.pass(batch, first, largest.min(batch.n_rows - first))?);
        }
        self.link.apply(&mut values, n_outputs);
        Ok(Scores { n_outputs, values })
    }

    fn batch_sizes(&self) -> &[usize] {
        &Self::BATCH_SIZES
    }
}

/// GPU runtimes panic where others return errors; a lost device must fail a request, not the server.
fn guarded<T>(device: Device, work: impl FnOnce() -> T) -> Result<T, PredictError> {
    catch_unwind(AssertUnwindSafe(work))
        .map_err(|panic| PredictError::Device { device: device.to_string(), reason: panic_text(&*panic) })
}

use burn::DispatchDevice;
use cubecl::cuda::CudaRuntime;
use cubecl::prelude::Runtime;
use cubecl::wgpu::WgpuRuntime;
use cupola_datasets::FeatureBatch;

use super::super::learner::gpu::GpuError;
use super::super::learner::gpu::guard::guarded;
use super::super::{CpuForest, Forest, ForestError};
use super::GpuForest;
use crate::device::Device;
use crate::predict::{PredictError, Predictor, Scores};

/// Rows from which a batch goes to the device; for fewer, the way there takes longer than this machine's cores.
const ROWS_MIN: usize = 4_096;

/// A forest on a GPU for large batches and on this machine's cores for others. The scores are the same bits, so
/// a device that fails costs time, not answers.
pub struct DeviceForest {
    device: Device,
    large: Option<Box<dyn RawScores>>,
    small: CpuForest,
}

trait RawScores: Send + Sync {
    fn raw(&self, batch: &FeatureBatch) -> Result<Vec<f32>, GpuError>;
}

impl<R: Runtime> RawScores for GpuForest<R> {
    fn raw(&self, batch: &FeatureBatch) -> Result<Vec<f32>, GpuError> {
        Self::raw(self, batch)
    }
}

impl DeviceForest {
    /// Puts a forest on a device.
    ///
    /// # Errors
    /// The forest cannot be packed.
    pub fn new(forest: &Forest, device: Device) -> Result<Self, ForestError> {
        let large = open(forest, device).unwrap_or_else(|error| {
            tracing::warn!(%device, %error, "the trees score on the CPU");
            None
        });
        Ok(Self { device, large, small: CpuForest::new(forest)? })
    }
}

fn open(forest: &Forest, device: Device) -> Result<Option<Box<dyn RawScores>>, GpuError> {
    Ok(match device.burn() {
        DispatchDevice::Cuda(on) => {
            Some(Box::new(guarded(|| GpuForest::new(CudaRuntime::client(&on), forest))?))
        }
        DispatchDevice::Vulkan(on) => {
            Some(Box::new(guarded(|| GpuForest::new(WgpuRuntime::client(&on), forest))?))
        }
        _ => None,
    })
}

impl Predictor for DeviceForest {
    fn predict(&self, batch: &FeatureBatch) -> Result<Scores, PredictError> {
        let Some(large) = self.large.as_ref().filter(|_| batch.n_rows >= ROWS_MIN) else {
            return self.small.predict(batch);
        };
        match large.raw(batch) {
            Ok(raw) => Ok(self.small.scores(raw)),
            Err(error) => {
                tracing::warn!(device = %self.device, %error, "a batch is scored on the CPU");
                self.small.predict(batch)
            }
        }
    }
}

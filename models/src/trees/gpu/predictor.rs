use burn::DispatchDevice;
use cubecl::cuda::CudaRuntime;
use cubecl::prelude::Runtime;
use cubecl::wgpu::WgpuRuntime;
use cupola_datasets::FeatureBatch;

use super::super::learner::gpu::GpuError;
use super::super::learner::gpu::guard::guarded;
use super::super::{CpuForest, Forest};
use super::GpuForest;
use crate::device::Device;
use crate::predict::{PredictError, Predictor, Scores};

/// Rows from which a batch goes to the device; for fewer, the way there takes longer than this machine's cores.
const ROWS_MIN: usize = 8_192;

/// A forest on a GPU for large batches and on this machine's cores for others. The scores are the same bits.
pub struct DeviceForest {
    device: Device,
    large: Box<dyn RawScores>,
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
    /// Puts a forest on a device; `None` where that is the CPU.
    ///
    /// # Errors
    /// The device fails, or cannot hold the forest.
    pub fn new(forest: &Forest, device: Device) -> Result<Option<Self>, PredictError> {
        let large: Result<Box<dyn RawScores>, GpuError> = match device.burn() {
            DispatchDevice::Cuda(on) => guarded(|| GpuForest::new(CudaRuntime::client(&on), forest))
                .map(|forest| Box::new(forest) as Box<dyn RawScores>),
            DispatchDevice::Vulkan(on) => guarded(|| GpuForest::new(WgpuRuntime::client(&on), forest))
                .map(|forest| Box::new(forest) as Box<dyn RawScores>),
            _ => return Ok(None),
        };
        let failed = |reason: String| PredictError::Device { device: device.to_string(), reason };
        let large = large.map_err(|error| failed(error.to_string()))?;
        let small = CpuForest::new(forest).map_err(|error| failed(error.to_string()))?;
        Ok(Some(Self { device, large, small }))
    }
}

impl Predictor for DeviceForest {
    fn predict(&self, batch: &FeatureBatch) -> Result<Scores, PredictError> {
        if batch.n_rows < ROWS_MIN {
            return self.small.predict(batch);
        }
        let raw = self.large.raw(batch).map_err(|error| PredictError::Device {
            device: self.device.to_string(),
            reason: error.to_string(),
        })?;
        Ok(self.small.scores(raw))
    }
}

use burn::DispatchDevice;
use burn::backend::cuda::CudaDevice;
use burn::backend::flex::FlexDevice;
use burn::backend::wgpu::WgpuDevice;

use super::{Device, vulkan};

impl Device {
    /// The device as Burn's `Dispatch` backend names it. Touches no driver; a device that is not
    /// there fails at its first use, so let [`super::choose`] pick it.
    pub fn burn(self) -> DispatchDevice {
        match self {
            Self::Cpu => DispatchDevice::Flex(FlexDevice),
            Self::Cuda(index) => DispatchDevice::Cuda(CudaDevice::new(index)),
            Self::Vulkan(index) => {
                let adapter = vulkan::adapters().get(index);
                DispatchDevice::Vulkan(
                    adapter.map_or(WgpuDevice::DefaultDevice, |adapter| adapter.burn.clone()),
                )
            }
        }
    }
}

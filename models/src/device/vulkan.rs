//! Vulkan devices of this machine, by wgpu, which finds none (and does not fail) without a driver.

use std::sync::OnceLock;

use burn::backend::wgpu::WgpuDevice;
use wgpu::{Backends, DeviceType, Instance, InstanceDescriptor};

/// A Vulkan device.
pub(super) struct Adapter {
    /// Name of the device and its driver.
    pub name: String,
    /// Whether it is a GPU, not a driver that computes on the CPU such as lavapipe.
    pub is_real_gpu: bool,
    /// How Burn finds it again: by kind, and position within the kind.
    pub burn: WgpuDevice,
}

/// All of them, in the order of `vulkan:N`: discrete, integrated and virtual GPUs, then the CPU.
/// Listed once per process.
pub(super) fn adapters() -> &'static [Adapter] {
    static ADAPTERS: OnceLock<Vec<Adapter>> = OnceLock::new();
    ADAPTERS.get_or_init(list)
}

fn list() -> Vec<Adapter> {
    let instance = Instance::new(InstanceDescriptor {
        backends: Backends::VULKAN,
        ..InstanceDescriptor::new_without_display_handle()
    });
    let found: Vec<_> = futures::executor::block_on(instance.enumerate_adapters(Backends::VULKAN))
        .iter()
        .map(|adapter| adapter.get_info())
        .collect();
    type OfIndex = fn(usize) -> WgpuDevice;
    let kinds: [(DeviceType, OfIndex); 4] = [
        (DeviceType::DiscreteGpu, WgpuDevice::DiscreteGpu),
        (DeviceType::IntegratedGpu, WgpuDevice::IntegratedGpu),
        (DeviceType::VirtualGpu, WgpuDevice::VirtualGpu),
        (DeviceType::Cpu, |_| WgpuDevice::Cpu),
    ];
    let mut adapters = Vec::new();
    for (kind, burn) in kinds {
        // Burn knows one Vulkan driver on the CPU, the first.
        let n_max = if kind == DeviceType::Cpu { 1 } else { usize::MAX };
        for (i, info) in found.iter().filter(|info| info.device_type == kind).take(n_max).enumerate() {
            let name = match info.driver.as_str() {
                "" => info.name.clone(),
                driver => format!("{} ({driver} {})", info.name, info.driver_info),
            };
            adapters.push(Adapter { name, is_real_gpu: kind != DeviceType::Cpu, burn: burn(i) });
        }
    }
    adapters
}

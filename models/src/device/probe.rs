use super::trial::trial;
use super::{Device, DeviceChoice, DeviceError, cuda, vulkan};

/// What is known of a device after it was tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceReport {
    /// The device. One entry stands for a whole kind where none of it was found.
    pub device: Device,
    /// What the driver calls it.
    pub name: String,
    /// Whether it computed rightly, or what is in the way.
    pub works: Result<(), String>,
    /// Whether it is a GPU, not the CPU behind a driver.
    pub is_real_gpu: bool,
}

/// Tries every device of this machine: the CPU, NVIDIA GPUs, Vulkan devices. Takes seconds where
/// kernels must be compiled. Never panics.
pub fn probe() -> Vec<DeviceReport> {
    let mut reports = vec![tried(Device::Cpu, cpu_name(), false)];
    match cuda::gpus() {
        Ok(names) => {
            reports.extend(
                names.into_iter().enumerate().map(|(index, name)| tried(Device::Cuda(index), name, true)),
            );
        }
        Err(reason) => reports.push(absent(Device::Cuda(0), "CUDA", reason)),
    }
    let adapters = vulkan::adapters();
    if adapters.is_empty() {
        reports.push(absent(Device::Vulkan(0), "Vulkan", NO_VULKAN.into()));
    }
    for (index, adapter) in adapters.iter().enumerate() {
        reports.push(tried(Device::Vulkan(index), adapter.name.clone(), adapter.is_real_gpu));
    }
    reports
}

/// The device to use. `auto` takes the first CUDA device that computes, else the first Vulkan
/// device that is a GPU and computes, else the CPU. A device that was named must work.
pub fn choose(choice: DeviceChoice) -> Result<Device, DeviceError> {
    match choice {
        DeviceChoice::Auto => Ok(fastest()),
        DeviceChoice::Fixed(device) => {
            check(device).map_err(|reason| DeviceError::Unavailable { device, reason })?;
            Ok(device)
        }
    }
}

const NO_VULKAN: &str =
    "no Vulkan driver shows a device; install your GPU's, or mesa-vulkan-drivers to compute on the CPU";

fn fastest() -> Device {
    let cuda = (0..cuda::gpus().map_or(0, |names| names.len())).map(Device::Cuda);
    if let Some(device) = cuda.into_iter().find(|&device| works(device)) {
        return device;
    }
    let gpus = vulkan::adapters().iter().enumerate().filter(|(_, adapter)| adapter.is_real_gpu);
    gpus.map(|(index, _)| Device::Vulkan(index)).find(|&device| works(device)).unwrap_or(Device::Cpu)
}

/// A GPU that is there but does not compute is worth a word: the user will wonder why the CPU is
/// busy.
fn works(device: Device) -> bool {
    match trial(device) {
        Ok(()) => true,
        Err(reason) => {
            tracing::warn!(%device, reason, "device is passed over: it does not compute");
            false
        }
    }
}

fn check(device: Device) -> Result<(), String> {
    match device {
        Device::Cpu => return Ok(()),
        Device::Cuda(index) => {
            let n = cuda::gpus()?.len();
            if index >= n {
                return Err(format!("there are {n} NVIDIA GPUs, the last is cuda:{}", n.saturating_sub(1)));
            }
        }
        Device::Vulkan(index) => match vulkan::adapters().len() {
            0 => return Err(NO_VULKAN.into()),
            n if index >= n => {
                return Err(format!("there are {n} Vulkan devices, the last is vulkan:{}", n - 1));
            }
            _ => {}
        },
    }
    trial(device)
}

fn tried(device: Device, name: String, is_real_gpu: bool) -> DeviceReport {
    DeviceReport { device, name, works: trial(device), is_real_gpu }
}

fn absent(device: Device, name: &str, reason: String) -> DeviceReport {
    DeviceReport { device, name: name.into(), works: Err(reason), is_real_gpu: false }
}

fn cpu_name() -> String {
    let n_cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{n_cores} cores, {}", std::env::consts::ARCH)
}

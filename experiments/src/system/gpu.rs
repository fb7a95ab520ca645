use nvml_wrapper::Nvml;

/// NVIDIA GPUs, through the driver's management library.
pub(super) struct Gpus {
    nvml: Nvml,
    n_gpus: u32,
}

impl Gpus {
    /// `None` on a machine without the library or without a GPU.
    pub(super) fn new() -> Option<Self> {
        let nvml = Nvml::init().ok()?;
        let n_gpus = nvml.device_count().ok().filter(|&n| n > 0)?;
        Some(Self { nvml, n_gpus })
    }

    /// Values by name; what a GPU does not tell is left out.
    pub(super) fn sample(&self) -> Vec<(String, f64)> {
        let mut values = Vec::new();
        for i in 0..self.n_gpus {
            let Ok(gpu) = self.nvml.device_by_index(i) else { continue };
            let mut add = |name: &str, value: f64| values.push((format!("system/gpu_{i}_{name}"), value));
            if let Ok(rates) = gpu.utilization_rates() {
                add("utilization_percentage", f64::from(rates.gpu));
            }
            if let Ok(memory) = gpu.memory_info() {
                add("memory_usage_megabytes", memory.used as f64 / 1e6);
                if memory.total > 0 {
                    add("memory_usage_percentage", memory.used as f64 / memory.total as f64 * 100.0);
                }
            }
            if let Ok(milliwatts) = gpu.power_usage() {
                add("power_usage_watts", f64::from(milliwatts) / 1e3);
                if let Ok(limit) = gpu.enforced_power_limit()
                    && limit > 0
                {
                    add("power_usage_percentage", f64::from(milliwatts) / f64::from(limit) * 100.0);
                }
            }
        }
        values
    }
}

use std::path::{Path, PathBuf};

use sysinfo::{Disks, Networks, System};

/// CPU, memory, one disk and the network of this machine.
pub(super) struct Host {
    system: System,
    networks: Networks,
    disk: PathBuf,
    received_before: u64,
    transmitted_before: u64,
}

const MEGABYTE: f64 = 1e6;

impl Host {
    pub(super) fn new(disk: &Path) -> Self {
        let mut system = System::new();
        system.refresh_cpu_usage();
        let networks = Networks::new_with_refreshed_list();
        let (received_before, transmitted_before) = totals(&networks);
        let disk = std::fs::canonicalize(disk).unwrap_or_else(|_| disk.into());
        Self { system, networks, disk, received_before, transmitted_before }
    }

    /// Values by name. Megabytes are 10^6 bytes; the network's are those since the sampling began,
    /// as MLflow counts them.
    pub(super) fn sample(&mut self) -> Vec<(String, f64)> {
        self.system.refresh_cpu_usage();
        self.system.refresh_memory();
        self.networks.refresh(true);
        let mut values = vec![
            ("cpu_utilization_percentage", f64::from(self.system.global_cpu_usage()).clamp(0.0, 100.0)),
            ("system_memory_usage_megabytes", self.system.used_memory() as f64 / MEGABYTE),
            ("system_memory_usage_percentage", share(self.system.used_memory(), self.system.total_memory())),
        ];
        let disks = Disks::new_with_refreshed_list();
        let holder = disks.iter().filter(|disk| self.disk.starts_with(disk.mount_point()));
        if let Some(disk) = holder.max_by_key(|disk| disk.mount_point().as_os_str().len()) {
            let used = disk.total_space().saturating_sub(disk.available_space());
            values.push(("disk_usage_percentage", share(used, disk.total_space())));
            values.push(("disk_usage_megabytes", used as f64 / MEGABYTE));
            values.push(("disk_available_megabytes", disk.available_space() as f64 / MEGABYTE));
        }
        let (received, transmitted) = totals(&self.networks);
        values.push((
            "network_receive_megabytes",
            received.saturating_sub(self.received_before) as f64 / MEGABYTE,
        ));
        values.push((
            "network_transmit_megabytes",
            transmitted.saturating_sub(self.transmitted_before) as f64 / MEGABYTE,
        ));
        values.into_iter().map(|(name, value)| (format!("system/{name}"), value)).collect()
    }
}

fn totals(networks: &Networks) -> (u64, u64) {
    networks.iter().fold((0, 0), |(received, transmitted), (_, data)| {
        (received + data.total_received(), transmitted + data.total_transmitted())
    })
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 * 100.0 }
}

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use super::gpu::Gpus;
use super::host::Host;
use crate::journal::Journal;
use cupola_training::tracker::Tracker;

/// How the machine is sampled.
#[derive(Clone, Debug)]
pub struct SamplerOptions {
    /// Time between samples.
    pub interval: Duration,
    /// The disk that holds this path is the one that is reported.
    pub disk: PathBuf,
    /// Step of the first sample; each next one is one more.
    pub first_step: u64,
}

impl SamplerOptions {
    /// Every 10 s, on from where the journal stands.
    pub fn of(journal: &Journal) -> Self {
        Self {
            interval: Duration::from_secs(10),
            disk: journal.run_dir().path(),
            first_step: journal.next_step("system/cpu_utilization_percentage"),
        }
    }
}

/// Records the state of the machine as metrics `system/...`, under MLflow's names, until it is
/// dropped.
pub struct Sampler {
    stop: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Sampler {
    /// Starts to sample. The first sample comes after one interval, since rates need two looks.
    ///
    /// # Errors
    /// No thread could be started.
    pub fn start(tracker: Arc<dyn Tracker>, options: SamplerOptions) -> std::io::Result<Self> {
        let (stop, stopped) = sync_channel(1);
        let thread = std::thread::Builder::new().name("cupola-system".into()).spawn(move || {
            let mut host = Host::new(&options.disk);
            let gpus = Gpus::new();
            let mut step = options.first_step;
            while stopped.recv_timeout(options.interval) == Err(RecvTimeoutError::Timeout) {
                let mut sample = host.sample();
                sample.extend(gpus.iter().flat_map(Gpus::sample));
                let named: Vec<(&str, f64)> =
                    sample.iter().map(|(name, value)| (name.as_str(), *value)).collect();
                tracker.metrics(step, &named);
                step += 1;
            }
        })?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{JournalOptions, RunSpec, RunStatus, list};

    #[test]
    fn the_machine_is_recorded_under_the_names_of_mlflow() {
        let home = tempfile::tempdir().unwrap();
        let journal =
            Arc::new(Journal::create(home.path(), RunSpec::default(), &JournalOptions::default()).unwrap());
        let options = SamplerOptions { interval: Duration::from_millis(300), ..SamplerOptions::of(&journal) };
        let sampler = Sampler::start(journal.clone(), options).unwrap();
        std::thread::sleep(Duration::from_millis(1000));
        drop(sampler);
        journal.flush().unwrap();
        let run = list(home.path()).unwrap().remove(0);
        assert_eq!(run.status, RunStatus::Running);
        let value = |name: &str| run.metrics[&format!("system/{name}")].0;
        for name in ["cpu_utilization_percentage", "system_memory_usage_percentage", "disk_usage_percentage"]
        {
            assert!((0.0..=100.0).contains(&value(name)), "{name} {}", value(name));
        }
        let kernel = std::fs::read_to_string("/proc/meminfo").unwrap();
        let total_kb: f64 =
            kernel.lines().next().unwrap().split_whitespace().nth(1).unwrap().parse().unwrap();
        let total_mb =
            value("system_memory_usage_megabytes") / value("system_memory_usage_percentage") * 100.0;
        assert!((total_mb / (total_kb * 1024.0 / 1e6) - 1.0).abs() < 0.01, "{total_mb} MB of memory in all");
        assert!(value("disk_available_megabytes") > 0.0 && value("disk_usage_megabytes") > 0.0);
        assert!(value("network_receive_megabytes") >= 0.0 && value("network_transmit_megabytes") >= 0.0);
    }
}

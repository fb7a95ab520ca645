use prometheus::{
    Encoder, GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder,
};

use super::names::{self, Name};

/// Request, queue and compute times: 50 us to 10 s.
const SECONDS: [f64; 17] = [
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0,
];
const ROWS: [f64; 13] =
    [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1_024.0, 2_048.0, 4_096.0];
const DIFFERENCES: [f64; 8] = [1e-6, 1e-4, 1e-3, 0.01, 0.05, 0.1, 0.25, 0.5];

/// A metric could not be made or written: two of one name, or an encoder at fault.
#[derive(Debug, thiserror::Error)]
#[error("metrics: {0}")]
pub struct MetricsError(#[from] prometheus::Error);

/// All metric families of a server.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Registry,
    pub(super) requests: IntCounterVec,
    pub(super) records: IntCounterVec,
    pub(super) errors: IntCounterVec,
    pub(super) request_seconds: HistogramVec,
    pub(super) queue_seconds: HistogramVec,
    pub(super) compute_seconds: HistogramVec,
    pub(super) batch_rows: HistogramVec,
    pub(super) in_flight: IntGauge,
    pub(super) queue_rows: IntGaugeVec,
    pub(super) model_info: IntGaugeVec,
    pub(super) route_decisions: IntCounterVec,
    pub(super) shadow_results: IntCounterVec,
    pub(super) shadow_difference: HistogramVec,
    pub(super) reloads: IntCounterVec,
    pub(super) feature_psi: GaugeVec,
    pub(super) score_psi: GaugeVec,
    ready: IntGauge,
}

const VERSION: [&str; 2] = ["model", "version"];

impl Metrics {
    /// Empty families.
    pub fn new() -> Result<Self, MetricsError> {
        let new = Families { registry: Registry::new() };
        let metrics = Self {
            requests: new.counters(&names::REQUESTS, &VERSION)?,
            records: new.counters(&names::RECORDS, &VERSION)?,
            errors: new.counters(&names::ERRORS, &["code", "status"])?,
            request_seconds: new.histograms(&names::REQUEST_SECONDS, &SECONDS)?,
            queue_seconds: new.histograms(&names::QUEUE_SECONDS, &SECONDS)?,
            compute_seconds: new.histograms(&names::COMPUTE_SECONDS, &SECONDS)?,
            batch_rows: new.histograms(&names::BATCH_ROWS, &ROWS)?,
            in_flight: new.gauge(&names::IN_FLIGHT)?,
            queue_rows: new.gauges(&names::QUEUE_ROWS, &VERSION)?,
            model_info: new.gauges(&names::MODEL_INFO, &["model", "version", "kind", "device", "run_id"])?,
            route_decisions: new.counters(&names::ROUTE_DECISIONS, &["model", "version", "route"])?,
            shadow_results: new.counters(&names::SHADOW_RESULTS, &["model", "version", "outcome"])?,
            shadow_difference: new.histograms(&names::SHADOW_DIFFERENCE, &DIFFERENCES)?,
            reloads: new.counters(&names::RELOADS, &["outcome"])?,
            feature_psi: new.float_gauges(&names::FEATURE_PSI, &["model", "version", "column"])?,
            score_psi: new.float_gauges(&names::SCORE_PSI, &["model", "version", "output"])?,
            ready: new.gauge(&names::READY)?,
            registry: new.registry.clone(),
        };
        new.gauges(&names::BUILD_INFO, &["version"])?.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        // A rate over a counter that appears with its first error would miss that error.
        let _ = ["applied", "failed"].map(|outcome| metrics.reloads.with_label_values(&[outcome]));
        Ok(metrics)
    }

    /// Counts an error reply.
    pub fn count_error(&self, code: &str, status: u16) {
        self.errors.with_label_values(&[code, &status.to_string()]).inc();
    }

    /// Counts a change of the registry.
    pub fn count_reload(&self, applied: bool) {
        self.reloads.with_label_values(&[if applied { "applied" } else { "failed" }]).inc();
    }

    /// Shows whether requests are accepted.
    pub fn set_ready(&self, ready: bool) {
        self.ready.set(i64::from(ready));
    }

    /// Requests admitted and not answered yet.
    pub fn in_flight(&self) -> &IntGauge {
        &self.in_flight
    }

    /// Everything as Prometheus text, format 0.0.4.
    pub fn encode(&self) -> Result<Vec<u8>, MetricsError> {
        let mut text = Vec::with_capacity(16 << 10);
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }
}

/// Makes families and registers them.
struct Families {
    registry: Registry,
}

impl Families {
    fn add<C: prometheus::core::Collector + Clone + 'static>(&self, family: C) -> Result<C, MetricsError> {
        self.registry.register(Box::new(family.clone()))?;
        Ok(family)
    }

    fn counters(&self, name: &Name, labels: &[&str]) -> Result<IntCounterVec, MetricsError> {
        self.add(IntCounterVec::new(Opts::new(name.name, name.help), labels)?)
    }

    fn gauge(&self, name: &Name) -> Result<IntGauge, MetricsError> {
        self.add(IntGauge::new(name.name, name.help)?)
    }

    fn gauges(&self, name: &Name, labels: &[&str]) -> Result<IntGaugeVec, MetricsError> {
        self.add(IntGaugeVec::new(Opts::new(name.name, name.help), labels)?)
    }

    fn float_gauges(&self, name: &Name, labels: &[&str]) -> Result<GaugeVec, MetricsError> {
        self.add(GaugeVec::new(Opts::new(name.name, name.help), labels)?)
    }

    fn histograms(&self, name: &Name, buckets: &[f64]) -> Result<HistogramVec, MetricsError> {
        let opts = HistogramOpts::new(name.name, name.help).buckets(buckets.to_vec());
        self.add(HistogramVec::new(opts, &VERSION)?)
    }
}

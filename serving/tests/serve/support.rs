use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use arrow::record_batch::RecordBatch;
use cupola_datasets::features::{CategoricalFeature, NumericFeature, NumericStep, Scale};
use cupola_datasets::records::RowsBuilder;
use cupola_datasets::schema::{Column, ColumnType};
use cupola_datasets::{FittedPlan, Schema};
use cupola_models::bundle::{BundleParts, ModelParts, Provenance};
use cupola_models::mlp::{MlpConfig, MlpShape, MlpWeights};
use cupola_models::registry::LocalRegistry;
use cupola_models::{Bundle, Device, DeviceChoice, Registry, Task, VersionRef};
use cupola_serving::{RouteConfig, ServeConfig, ServeError, Server, ServerHandle};
use indexmap::IndexMap;
use reqwest::blocking::Client;
use serde_json::{Value, json};

/// A registry in a folder of its own, with models of random weights.
pub struct Models {
    pub folder: tempfile::TempDir,
    pub registry: Arc<LocalRegistry>,
}

impl Models {
    /// One model `fraud`; version 1 is the champion, of seed 1.
    pub fn fraud() -> Self {
        let models = Self::empty();
        models.add("fraud", 1);
        models.alias("fraud", "champion", 1);
        models
    }

    /// `fraud` with versions 1, the champion, and 2, the challenger.
    pub fn two_versions() -> Self {
        let models = Self::fraud();
        models.add("fraud", 2);
        models.alias("fraud", "challenger", 2);
        models
    }

    pub fn empty() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let registry = Arc::new(LocalRegistry::open(&folder.path().join("models")).unwrap());
        Self { folder, registry }
    }

    /// Registers a binary model by seed; returns its version.
    pub fn add(&self, name: &str, seed: u64) -> u64 {
        self.register(name, &Network { seed, ..Network::default() })
    }

    pub fn register(&self, name: &str, network: &Network) -> u64 {
        static N: AtomicU64 = AtomicU64::new(0);
        let dir = self.folder.path().join(format!("bundle-{}", N.fetch_add(1, Ordering::Relaxed)));
        network.write(name, &dir);
        self.registry.register(name, &dir).unwrap().version
    }

    pub fn alias(&self, name: &str, alias: &str, version: u64) {
        self.registry.set_alias(name, alias, Some(version)).unwrap();
    }

    /// Where a version's bundle lies.
    pub fn dir(&self, name: &str, version: u64) -> PathBuf {
        self.registry.resolve(name, &VersionRef::Number(version)).unwrap().dir
    }

    /// What a version scores for `records`, without a server.
    pub fn score(&self, name: &str, version: u64, records: &[Value]) -> Vec<f32> {
        let bundle = Bundle::load(&self.dir(name, version), Device::Cpu).unwrap();
        bundle.score(&rows(records)).unwrap().values
    }

    pub fn serve(&self, config: ServeConfig) -> Running {
        self.try_serve(config, &[]).unwrap()
    }

    pub fn try_serve(&self, config: ServeConfig, names: &[&str]) -> Result<Running, ServeError> {
        let names: Vec<String> = names.iter().map(|name| name.to_string()).collect();
        let server = Server::build(config, self.registry.clone(), &names)?;
        let running = Running {
            base: format!("http://{}", server.address()),
            handle: server.handle(),
            client: Client::new(),
            thread: Some(thread::spawn(move || server.run())),
        };
        running.wait_until_ready();
        Ok(running)
    }
}

/// A small untrained network on one number, one more that may be missing, and one category.
pub struct Network {
    pub seed: u64,
    pub hidden: Vec<usize>,
    pub task: Task,
    /// Its reference profile.
    pub profile: Value,
}

impl Default for Network {
    fn default() -> Self {
        let task = Task::Binary { classes: ["genuine".into(), "fraud".into()] };
        Self { seed: 1, hidden: vec![16], task, profile: json!({}) }
    }
}

impl Network {
    fn write(&self, name: &str, dir: &Path) {
        let plan = plan();
        let shape = MlpShape {
            n_numeric: plan.numeric.len(),
            cardinalities: plan.cardinalities(),
            config: MlpConfig { hidden: self.hidden.clone(), ..MlpConfig::default() },
            n_outputs: self.task.n_outputs(),
        };
        let weights = MlpWeights::init(&shape, self.seed);
        let parts = BundleParts {
            name: name.into(),
            model: ModelParts::Mlp { shape: &shape, weights: &weights },
            plan: &plan,
            profile: self.profile.clone(),
            task: self.task.clone(),
            identity: Vec::new(),
            provenance: Provenance { run_id: format!("run-{}", self.seed), ..Provenance::default() },
            metrics: IndexMap::from([("roc_auc".into(), 0.75)]),
            threshold: matches!(self.task, Task::Binary { .. }).then_some(0.5),
        };
        Bundle::write(parts, dir).unwrap();
    }
}

fn column(kind: ColumnType, required: bool) -> Column {
    let (allowed, missing) = (Vec::new(), Vec::new());
    Column { kind, required, min: None, max: None, allowed, pattern: None, missing }
}

pub fn plan() -> FittedPlan {
    let amount = Column { min: Some(0.0), ..column(ColumnType::Float64, true) };
    let columns = IndexMap::from([
        ("amount".to_string(), amount),
        ("age".to_string(), column(ColumnType::Int64, false)),
        ("country".to_string(), column(ColumnType::String, false)),
    ]);
    let number = |name: &str, mean: f64, sd: f64| NumericFeature {
        name: name.into(),
        source: name.into(),
        step: NumericStep::Value { impute: mean, clip: None, scale: Scale::Standard { mean, sd } },
    };
    FittedPlan {
        input: Schema { columns, ..Schema::default() },
        sql: IndexMap::new(),
        numeric: vec![number("amount", 50.0, 25.0), number("age", 40.0, 15.0)],
        categorical: vec![CategoricalFeature {
            name: "country".into(),
            categories: ["DE", "FR", "IT"].map(String::from).into(),
        }],
    }
}

/// Records as typed rows.
pub fn rows(records: &[Value]) -> RecordBatch {
    let mut rows = RowsBuilder::new(Arc::new(plan().input));
    records.iter().for_each(|record| rows.push_json(record.to_string().as_bytes()).unwrap());
    rows.finish()
}

/// A record that differs with `i`.
pub fn record(i: usize) -> Value {
    json!({ "amount": 0.5 * i as f64, "age": 20 + i % 50, "country": (["DE", "FR", "ES"][i % 3]), "card_id": i })
}

pub fn config() -> ServeConfig {
    ServeConfig {
        bind: "127.0.0.1:0".into(),
        device: DeviceChoice::Fixed(Device::Cpu),
        reload_interval_ms: 20,
        ..ServeConfig::default()
    }
}

pub fn route(text: Value) -> ServeConfig {
    let route: RouteConfig = serde_json::from_value(text).unwrap();
    ServeConfig { route, ..config() }
}

/// A server on a free port; drained when dropped.
pub struct Running {
    pub base: String,
    pub handle: ServerHandle,
    pub client: Client,
    thread: Option<JoinHandle<Result<(), ServeError>>>,
}

/// A reply's status, body and request id header.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub body: Value,
    pub headers: reqwest::header::HeaderMap,
}

impl Reply {
    pub fn of(response: reqwest::blocking::Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().unwrap();
        Self { status, body: serde_json::from_str(&text).unwrap_or(Value::String(text)), headers }
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Status and code of an error.
    pub fn error(&self) -> (u16, &str) {
        (self.status, self.body["error"]["code"].as_str().unwrap_or("none"))
    }

    pub fn scores(&self) -> Vec<f32> {
        let predictions = self.body["predictions"].as_array().unwrap_or_else(|| panic!("{self:?}"));
        predictions.iter().map(|p| p["score"].as_f64().unwrap() as f32).collect()
    }
}

impl Running {
    pub fn get(&self, path: &str) -> Reply {
        Reply::of(self.client.get(format!("{}{path}", self.base)).send().unwrap())
    }

    pub fn post(&self, path: &str, body: impl ToString) -> Reply {
        self.post_with(path, body, &[])
    }

    pub fn post_with(&self, path: &str, body: impl ToString, headers: &[(&str, &str)]) -> Reply {
        let mut request = self.client.post(format!("{}{path}", self.base)).body(body.to_string());
        if !headers.iter().any(|(name, _)| *name == "content-type") {
            request = request.header("content-type", "application/json");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Reply::of(request.send().unwrap())
    }

    pub fn predict(&self, body: impl ToString) -> Reply {
        self.post("/v1/models/fraud/predict", body)
    }

    /// The value of a metric's series that has all of `labels`.
    pub fn metric(&self, name: &str, labels: &[&str]) -> Option<f64> {
        let Value::String(text) = self.get("/metrics").body else { panic!("not text") };
        let is_it = |line: &&str| {
            let series = line.strip_prefix(name).unwrap_or_default();
            series.starts_with(['{', ' ']) && labels.iter().all(|label| series.contains(label))
        };
        text.lines().find(is_it).map(|line| line.rsplit_once(' ').unwrap().1.parse().unwrap())
    }

    /// Waits until something is so; fails after ten seconds.
    pub fn until(&self, what: &str, mut is_so: impl FnMut(&Self) -> bool) {
        let start = Instant::now();
        while !is_so(self) {
            assert!(start.elapsed() < Duration::from_secs(10), "not within 10 s: {what}");
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn wait_until_ready(&self) {
        self.until("ready", |server| server.get("/health/ready").status == 200);
    }

    /// Stops it and returns how it ended.
    pub fn stop(mut self) -> Result<(), ServeError> {
        self.handle.stop();
        self.thread.take().unwrap().join().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.handle.stop();
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap().unwrap();
        }
    }
}

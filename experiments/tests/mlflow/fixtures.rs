use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cupola_datasets::TableVersion;
use cupola_datasets::schema::{Column, ColumnType, Schema};
use cupola_experiments::journal::{
    DatasetInput, DatasetSource, Entry, Event, Journal, JournalOptions, PrimaryMetric, Reader,
    RegisteredVersion, RunDir, RunEnd, RunSpec,
};
use cupola_models::bundle::{Manifest, Provenance, Signature};
use cupola_models::{Device, Task};
use cupola_training::tracker::Tracker;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::server::ask;

/// Start of every fixture's clock.
pub const START_MS: u64 = 1_790_000_000_000;

/// A clock that goes on by 1 s at each look.
pub fn options() -> JournalOptions {
    let now = AtomicU64::new(START_MS);
    JournalOptions {
        clock: Arc::new(move || now.fetch_add(1_000, Ordering::Relaxed)),
        ..JournalOptions::default()
    }
}

pub fn spec(experiment: &str, run_id: &str) -> RunSpec {
    RunSpec {
        run_id: Some(run_id.into()),
        experiment: experiment.into(),
        name: Some(format!("name-of-{run_id}")),
        params: [("train.lr".to_string(), "0.01".to_string())].into(),
        tags: [("team".to_string(), "fraud".to_string())].into(),
        source: Some("examples/card-fraud/pipeline.toml".into()),
        device: Some("cpu".into()),
        parent: None,
        primary_metric: Some(PrimaryMetric { name: "test/pr_auc".into(), greater_is_better: true }),
    }
}

pub fn schema() -> Schema {
    let column = |kind, required| Column {
        kind,
        required,
        min: None,
        max: None,
        allowed: vec![],
        pattern: None,
        missing: vec![],
    };
    Schema {
        label: Some("is_fraud".into()),
        columns: [
            ("amount".to_string(), column(ColumnType::Float64, true)),
            ("country".to_string(), column(ColumnType::String, false)),
            ("is_fraud".to_string(), column(ColumnType::Bool, false)),
        ]
        .into(),
        ..Schema::default()
    }
}

pub fn dataset() -> DatasetInput {
    DatasetInput {
        name: "card-fraud/features".into(),
        digest: "0123456789abcdef0123456789abcdef0123456789".into(),
        context: "training".into(),
        source: DatasetSource::Table {
            path: "lake/card-fraud/features".into(),
            table: TableVersion { table: "card-fraud/features".into(), version: 7, n_rows: 1234 },
        },
        schema: schema(),
        n_rows: 1234,
    }
}

/// Writes the files of a bundle; another `content` is another bundle.
pub fn bundle(dir: &Path, run_id: &str, content: &str) -> PathBuf {
    std::fs::create_dir_all(dir.join("plan")).unwrap();
    let files = [("model.safetensors", content), ("plan/fitted.json", "{}")];
    let mut manifest = Manifest {
        format: 1,
        name: "card-fraud".into(),
        kind: "mlp".into(),
        signature: Signature {
            input: schema(),
            task: Task::Binary { classes: ["0".into(), "1".into()] },
            identity: Vec::new(),
        },
        provenance: Provenance {
            run_id: run_id.into(),
            cupola_version: "0.1.0".into(),
            seed: 7,
            device: Device::default(),
            ..Provenance::default()
        },
        metrics: [("test/pr_auc".to_string(), 0.75)].into(),
        threshold: Some(0.5),
        model: Value::Null,
        digests: Default::default(),
    };
    for (name, text) in files {
        std::fs::write(dir.join(name), text).unwrap();
        let digest = Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect();
        manifest.digests.insert(name.into(), digest);
    }
    std::fs::write(dir.join("bundle.json"), serde_json::to_vec(&manifest).unwrap()).unwrap();
    dir.into()
}

/// Everything that happens in a run, up to its end.
pub fn whole_run(home: &Path, experiment: &str, run_id: &str, n_steps: u64) -> Journal {
    let journal = Journal::create(home, spec(experiment, run_id), &options()).unwrap();
    let dataset = dataset();
    let reference = dataset.reference();
    journal.dataset(dataset);
    journal.params(&[("train.epochs".into(), "3".into()), ("notes".into(), "x".repeat(7000))]);
    for step in 0..n_steps {
        journal.metrics(
            step,
            &[("train/loss", 1.0 / (step + 1) as f64), ("validation/roc_auc", 0.5 + step as f64 * 1e-4)],
        );
    }
    let folder = journal.run_dir().path();
    std::fs::create_dir_all(folder.join("report/plots")).unwrap();
    std::fs::write(folder.join("report/report.html"), "<h1>report</h1>").unwrap();
    std::fs::write(folder.join("report/plots/a b+1.svg"), "<svg/>").unwrap();
    journal.artifact(&folder.join("report"), "report");
    journal.model(
        "card-fraud",
        &bundle(&folder.join("bundle"), run_id, &format!("weights of {run_id}")),
        n_steps,
    );
    journal.metrics_of(
        Some("card-fraud"),
        Some(&reference),
        n_steps,
        &[("test/pr_auc", 0.75), ("test/odd", f64::NAN)],
    );
    journal.registered(RegisteredVersion {
        name: format!("{experiment}-model"),
        version: 1,
        alias: Some("champion".into()),
        model: "card-fraud".into(),
        in_mlflow: false,
    });
    journal
}

pub fn finish(journal: &Journal) {
    journal.finish(RunEnd::Finished, None).unwrap();
}

/// Every metric of a journal: key, step, timestamp, value.
pub fn recorded(home: &Path, run_id: &str) -> Vec<(String, i64, i64, String)> {
    let mut reader = Reader::open(&RunDir::new(home, run_id).unwrap().journal(), 0).unwrap();
    let entries: Vec<Entry> = std::iter::from_fn(|| reader.next(u64::MAX).unwrap()).collect();
    let mut metrics = Vec::new();
    for entry in entries {
        if let Event::Metrics(at) = entry.event {
            for (key, value) in at.metrics {
                metrics.push((
                    key,
                    at.step as i64,
                    entry.time_ms as i64,
                    format!("{:?}", value.0).to_lowercase(),
                ));
            }
        }
    }
    metrics.sort();
    metrics
}

/// Every metric of a run as MLflow's client tells them, in the same form.
pub fn arrived(run: &Value) -> Vec<(String, i64, i64, String)> {
    let mut metrics = Vec::new();
    for (key, history) in run["metrics"].as_object().unwrap() {
        for point in history.as_array().unwrap() {
            let value: f64 = point[2].as_str().unwrap().parse().unwrap();
            metrics.push((
                key.clone(),
                point[0].as_i64().unwrap(),
                point[1].as_i64().unwrap(),
                format!("{value:?}").to_lowercase(),
            ));
        }
    }
    metrics.sort();
    metrics
}

/// All that MLflow's own client tells of the runs with one of our ids.
pub fn read_runs(server: &str, run_id: &str) -> Vec<Value> {
    ask(server, READ_RUNS, &[run_id]).as_array().unwrap().clone()
}

/// The one run with one of our ids.
pub fn read_run(server: &str, run_id: &str) -> Value {
    let runs = read_runs(server, run_id);
    assert_eq!(runs.len(), 1, "one run with this id");
    runs[0].clone()
}

const READ_RUNS: &str = r#"
import json, sys
from mlflow import MlflowClient
client = MlflowClient()
experiments = [e.experiment_id for e in client.search_experiments()]
found = client.search_runs(experiments, f"tags.`cupola.run_id` = '{sys.argv[1]}'")
runs = []
for run in found:
    id = run.info.run_id
    def walk(path=None):
        for f in client.list_artifacts(id, path):
            yield from walk(f.path) if f.is_dir else [f.path]
    experiment = client.get_experiment(run.info.experiment_id)
    models = client.search_logged_models([run.info.experiment_id], filter_string=f"source_run_id = '{id}'")
    runs.append({
        "id": id, "name": run.info.run_name, "status": run.info.status, "start": run.info.start_time, "end": run.info.end_time,
        "experiment": experiment.name, "experiment_tags": experiment.tags,
        "params": run.data.params, "tags": run.data.tags,
        "metrics": {k: [[m.step, m.timestamp, repr(m.value)] for m in client.get_metric_history(id, k)] for k in run.data.metrics},
        "datasets": [{"name": d.dataset.name, "digest": d.dataset.digest, "type": d.dataset.source_type, "source": json.loads(d.dataset.source),
                      "schema": json.loads(d.dataset.schema), "profile": json.loads(d.dataset.profile),
                      "tags": {t.key: t.value for t in d.tags}} for d in run.inputs.dataset_inputs],
        "outputs": [[m.model_id, m.step] for m in (run.outputs.model_outputs if run.outputs else [])],
        "artifacts": sorted(walk()),
        "models": [{"id": m.model_id, "name": m.name, "status": str(m.status), "params": m.params, "tags": m.tags,
                    "metrics": [[x.key, x.step, repr(x.value), x.dataset_name, x.dataset_digest] for x in (m.metrics or [])],
                    "artifacts": sorted(f.path for f in client.list_logged_model_artifacts(m.model_id))} for m in models],
        "versions": [{"name": v.name, "version": int(v.version), "source": v.source, "run_id": v.run_id, "aliases": list(client.get_model_version(v.name, v.version).aliases), "status": v.status}
                     for v in client.search_model_versions(f"run_id = '{id}'")],
    })
print(json.dumps(runs))
"#;

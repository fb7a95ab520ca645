use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::client::Client;
use super::error::MlflowError;
use super::limits;
use crate::journal::{MetricValue, RunEnd, RunStarted};

/// Tag that finds a run of ours again; unique on a server.
pub(super) const RUN_ID_TAG: &str = "cupola.run_id";

#[derive(Deserialize)]
struct OneRun {
    run: Run,
}

#[derive(Default, Deserialize)]
struct ManyRuns {
    #[serde(default)]
    runs: Vec<Run>,
}

/// A run as MLflow tells it.
#[derive(Deserialize)]
pub(super) struct Run {
    pub info: RunInfo,
    #[serde(default)]
    pub data: RunData,
    #[serde(default)]
    pub outputs: RunOutputs,
}

#[derive(Deserialize)]
pub(super) struct RunInfo {
    pub run_id: String,
    #[serde(default)]
    pub artifact_uri: String,
    #[serde(default)]
    pub lifecycle_stage: String,
}

#[derive(Default, Deserialize)]
pub(super) struct RunData {
    /// Last value of each.
    #[serde(default)]
    pub metrics: Vec<Metric>,
}

#[derive(Default, Deserialize)]
pub(super) struct RunOutputs {
    #[serde(default)]
    pub model_outputs: Vec<ModelOutput>,
}

#[derive(Deserialize)]
pub(super) struct ModelOutput {
    pub model_id: String,
}

/// A value of a metric as MLflow tells it.
#[derive(Deserialize)]
pub(super) struct Metric {
    pub key: String,
    pub value: MetricValue,
    #[serde(default)]
    pub timestamp: i64,
    #[serde(default)]
    pub step: i64,
}

/// The run that has our id in its tag, if the server has one that is not deleted.
pub(super) fn find(
    client: &Client,
    experiment_ids: &[&str],
    run_id: &str,
) -> Result<Option<Run>, MlflowError> {
    let body = json!({
        "experiment_ids": experiment_ids,
        "filter": format!("tags.`{RUN_ID_TAG}` = '{run_id}'"),
        "run_view_type": "ACTIVE_ONLY",
        "max_results": 2,
    });
    Ok(client.post::<ManyRuns>("runs/search", &body)?.runs.into_iter().next())
}

/// Makes a run. Not to be repeated without [`find`]: the server would make another.
pub(super) fn create(
    client: &Client,
    experiment_id: &str,
    started: &RunStarted,
    parent: Option<&str>,
) -> Result<Run, MlflowError> {
    let mut tags: Vec<(&str, &str)> = vec![
        (RUN_ID_TAG, &started.run_id),
        ("mlflow.source.type", "LOCAL"),
        ("mlflow.runName", &started.name),
    ];
    let user = started.user.as_deref().unwrap_or("unknown");
    tags.push(("mlflow.user", user));
    if let Some(parent) = parent {
        tags.push(("mlflow.parentRunId", parent));
    }
    let body = json!({
        "experiment_id": experiment_id,
        "user_id": user,
        "run_name": started.name,
        "start_time": started.start_ms,
        "tags": tags.iter().map(|(key, value)| json!({ "key": key, "value": limits::tag(value) })).collect::<Vec<_>>(),
    });
    Ok(client.post::<OneRun>("runs/create", &body)?.run)
}

/// Tags of a run that can be set at any time, from what is known at its start.
pub(super) fn source_tags(started: &RunStarted) -> Vec<(String, String)> {
    let mut tags = Vec::new();
    let mut add =
        |key: &str, value: Option<&str>| tags.extend(value.map(|value| (key.to_string(), value.to_string())));
    add("mlflow.source.name", started.source_name.as_deref());
    add("cupola.device", started.device.as_deref());
    add("cupola.parent_run_id", started.parent.as_deref());
    if let Some(git) = &started.git {
        add("mlflow.source.git.commit", Some(&git.commit));
        add("mlflow.source.git.branch", git.branch.as_deref());
        add("mlflow.source.git.repoURL", git.repo_url.as_deref());
        add("mlflow.source.git.dirty", Some(if git.dirty { "true" } else { "false" }));
    }
    tags
}

/// A run as it is on the server now.
pub(super) fn get(client: &Client, run_id: &str) -> Result<Run, MlflowError> {
    Ok(client.get::<OneRun>("runs/get", &[("run_id", run_id)])?.run)
}

/// Every value of a metric.
pub(super) fn metric_history(client: &Client, run_id: &str, key: &str) -> Result<Vec<Metric>, MlflowError> {
    #[derive(Deserialize)]
    struct Page {
        #[serde(default)]
        metrics: Vec<Metric>,
        next_page_token: Option<String>,
    }
    let mut history = Vec::new();
    let mut token = String::new();
    loop {
        let mut query = vec![("run_id", run_id), ("metric_key", key), ("max_results", "25000")];
        if !token.is_empty() {
            query.push(("page_token", &token));
        }
        let page: Page = client.get("metrics/get-history", &query)?;
        history.extend(page.metrics);
        match page.next_page_token {
            Some(next) if !next.is_empty() => token = next,
            _ => return Ok(history),
        }
    }
}

/// Sets where a run stands. `end_ms` is `None` while it runs.
pub(super) fn update(
    client: &Client,
    run_id: &str,
    status: &str,
    end_ms: Option<u64>,
) -> Result<(), MlflowError> {
    let mut body = json!({ "run_id": run_id, "status": status });
    if let Some(end_ms) = end_ms {
        body["end_time"] = Value::from(end_ms);
    }
    client.tell(Method::POST, "runs/update", &body)
}

/// MLflow's word for the end of a run.
pub(super) fn status(end: RunEnd) -> &'static str {
    match end {
        RunEnd::Finished => "FINISHED",
        RunEnd::Failed => "FAILED",
        RunEnd::Killed => "KILLED",
    }
}

/// Says that a run made a model, unless the server knows.
pub(super) fn ensure_output(
    client: &Client,
    run_id: &str,
    model_id: &str,
    step: u64,
) -> Result<(), MlflowError> {
    if get(client, run_id)?.outputs.model_outputs.iter().any(|output| output.model_id == model_id) {
        return Ok(());
    }
    let body = json!({ "run_id": run_id, "models": [{ "model_id": model_id, "step": step }] });
    client.tell(Method::POST, "runs/outputs", &body)
}

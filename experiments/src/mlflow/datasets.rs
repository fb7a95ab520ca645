use cupola_datasets::schema::{ColumnType, Schema};
use reqwest::Method;
use serde_json::{Value, json};

use super::client::Client;
use super::error::MlflowError;
use super::limits;
use crate::journal::{DatasetInput, DatasetSource, RunDir};

/// Says that a run read a dataset. Repeating is harmless: the server knows datasets by name and
/// digest, and a run's inputs by dataset.
pub(super) fn log_input(
    client: &Client,
    run: &RunDir,
    mlflow_run_id: &str,
    input: &DatasetInput,
) -> Result<(), MlflowError> {
    let (source_type, source) = source(run, &input.source);
    let body = json!({
        "run_id": mlflow_run_id,
        "datasets": [{
            "tags": [{ "key": "mlflow.data.context", "value": input.context }],
            "dataset": {
                "name": limits::dataset_name(&input.name),
                "digest": limits::digest(&input.digest),
                "source_type": source_type,
                "source": source.to_string(),
                "schema": json!({ "mlflow_colspec": colspec(&input.schema, |_| true) }).to_string(),
                "profile": json!({ "num_rows": input.n_rows, "num_elements": input.n_rows * input.schema.columns.len() as u64 }).to_string(),
            },
        }],
    });
    client.tell(Method::POST, "runs/log-inputs", &body)
}

fn source(run: &RunDir, source: &DatasetSource) -> (&'static str, Value) {
    match source {
        DatasetSource::Table { path, table } => {
            ("delta_table", json!({ "path": run.from_stored(path), "delta_table_version": table.version }))
        }
        DatasetSource::Files { path } => ("local", json!({ "uri": path })),
    }
}

/// Columns in MLflow's words, of those that `wanted` picks.
pub(super) fn colspec(schema: &Schema, wanted: impl Fn(&str) -> bool) -> Vec<Value> {
    schema
        .columns
        .iter()
        .filter(|(name, _)| wanted(name))
        .map(|(name, column)| {
            let kind = match column.kind {
                ColumnType::Bool => "boolean",
                ColumnType::Int64 => "long",
                ColumnType::Float64 => "double",
                ColumnType::String => "string",
                ColumnType::Timestamp => "datetime",
            };
            json!({ "type": kind, "name": name, "required": column.required })
        })
        .collect()
}

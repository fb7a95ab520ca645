use reqwest::Method;
use serde::Deserialize;
use serde_json::json;

use super::client::Client;
use super::error::MlflowError;
use crate::journal::PrimaryMetric;

#[derive(Deserialize)]
struct Found {
    experiment: Experiment,
}

#[derive(Deserialize)]
struct Experiment {
    experiment_id: String,
    #[serde(default)]
    lifecycle_stage: String,
}

#[derive(Deserialize)]
struct Created {
    experiment_id: String,
}

/// The id of an experiment, which is made if it is not there. Repeating is harmless: names are
/// unique.
pub(super) fn ensure(client: &Client, name: &str) -> Result<String, MlflowError> {
    if let Some(id) = find(client, name)? {
        return Ok(id);
    }
    match client.post::<Created>("experiments/create", &json!({ "name": name })) {
        Ok(created) => Ok(created.experiment_id),
        // Another run of the same experiment was faster.
        Err(error) if error.is_already_there() => find(client, name)?.ok_or(error),
        Err(error) => Err(error),
    }
}

/// The id of an experiment, if it is there.
pub(super) fn find(client: &Client, name: &str) -> Result<Option<String>, MlflowError> {
    match client.get::<Found>("experiments/get-by-name", &[("experiment_name", name)]) {
        Ok(found) if found.experiment.lifecycle_stage == "deleted" => {
            Err(MlflowError::ExperimentDeleted { name: name.into(), server: client.server().into() })
        }
        Ok(found) => Ok(Some(found.experiment.experiment_id)),
        Err(error) if error.is_not_there() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Tells the UI which metric to compare runs by.
pub(super) fn set_primary_metric(
    client: &Client,
    experiment_id: &str,
    metric: &PrimaryMetric,
) -> Result<(), MlflowError> {
    let better = if metric.greater_is_better { "True" } else { "False" };
    for (key, value) in [("name", metric.name.as_str()), ("greaterIsBetter", better)] {
        let tag = json!({ "experiment_id": experiment_id, "key": format!("mlflow.experiment.primaryMetric.{key}"), "value": value });
        client.tell(Method::POST, "experiments/set-experiment-tag", &tag)?;
    }
    Ok(())
}

use std::fs;
use std::io::Write;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::error::MlflowError;
use crate::journal::RunDir;

/// What of a run a server has: `runs/<run_id>/mlflow.json`, one entry per server.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ShippedState {
    /// Id of the run there.
    pub run_id: Option<String>,
    /// Id of its experiment there.
    pub experiment_id: String,
    /// Where its artefacts are.
    pub artifact_uri: String,
    /// Last event of the journal that has arrived.
    pub seq: u64,
    /// Byte of the journal after that event.
    pub offset: u64,
    /// Time of that event, milliseconds since 1970 in UTC.
    pub last_ms: u64,
    /// Ids of logged models by name.
    pub models: IndexMap<String, String>,
    /// Versions of registered models by name.
    pub versions: IndexMap<String, u64>,
    /// The run is over there.
    pub is_over: bool,
    /// Events that the server refused, the first hundred.
    pub refused: Vec<Refusal>,
}

/// An event that the server refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Its number in the journal.
    pub seq: u64,
    /// Why.
    pub reason: String,
}

#[derive(Default, Serialize, Deserialize)]
struct Servers {
    servers: IndexMap<String, ShippedState>,
}

const REFUSALS_MAX: usize = 100;

impl ShippedState {
    /// Notes that an event was refused.
    pub(super) fn refuse(&mut self, seq: u64, error: &MlflowError) {
        tracing::warn!(seq, "left out of MLflow: {error}");
        if self.refused.len() < REFUSALS_MAX {
            self.refused.push(Refusal { seq, reason: error.to_string() });
        }
    }

    /// Keeps this for the next process: whole or not at all.
    pub(super) fn save(&self, run: &RunDir, server: &str) -> Result<(), MlflowError> {
        let path = run.mlflow_state();
        let mut servers = read(run);
        servers.servers.insert(server.into(), self.clone());
        let written = tempfile::NamedTempFile::new_in(run.path()).and_then(|mut file| {
            file.write_all(&serde_json::to_vec_pretty(&servers)?)?;
            file.as_file().sync_data()?;
            file.persist(&path).map_err(|error| error.error)?;
            Ok(())
        });
        written.map_err(|source| MlflowError::file("write", &path, source))
    }
}

/// What of a run a server has, by the last note of it.
pub fn shipped(run: &RunDir, server: &str) -> ShippedState {
    read(run).servers.swap_remove(server).unwrap_or_default()
}

/// A note that is missing or cannot be read is no note: then the server is asked what it has.
fn read(run: &RunDir) -> Servers {
    fs::read(run.mlflow_state())
        .ok()
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .unwrap_or_default()
}

use std::path::Path;

use super::client::Client;
use super::config::MlflowConfig;
use super::error::MlflowError;
use super::shipment::Shipment;
use super::state::Refusal;
use crate::journal::{self, FileLock, RunDir, RunStatus, RunSummary};

/// One run that is being delivered.
#[derive(Clone, Debug)]
pub struct SyncProgress {
    /// Id of the run.
    pub run_id: String,
    /// Runs done before it.
    pub n_done: usize,
    /// Runs in all.
    pub n_runs: usize,
    /// Last event of it that has arrived.
    pub seq: u64,
}

/// What became of each run.
#[derive(Clone, Debug, Default)]
pub struct SyncReport {
    /// Oldest first.
    pub runs: Vec<SyncedRun>,
}

/// What became of a run.
#[derive(Clone, Debug)]
pub struct SyncedRun {
    /// Id of the run.
    pub run_id: String,
    /// Id of the run on the server, if it got that far.
    pub mlflow_run_id: Option<String>,
    /// How it went.
    pub outcome: SyncOutcome,
    /// Events that the server refused, in this delivery or before.
    pub refused: Vec<Refusal>,
}

/// How the delivery of a run went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SyncOutcome {
    /// The server has all of it; so many events were sent now.
    Delivered {
        /// Events sent now; 0 when all had arrived before.
        n_events: u64,
    },
    /// Another process is delivering it.
    Busy,
    /// It could not be delivered; the others were tried all the same.
    Failed {
        /// What is wrong and what to do.
        reason: String,
    },
}

/// Delivers every run of a home that `wanted` picks: what the server has not got yet, and nothing
/// twice.
///
/// # Errors
/// The server does not answer, or lets nobody in; runs before that are delivered.
pub fn sync(
    config: &MlflowConfig,
    home: &Path,
    wanted: &dyn Fn(&RunSummary) -> bool,
    progress: &dyn Fn(&SyncProgress),
) -> Result<SyncReport, MlflowError> {
    let client = Client::new(config.clone())?;
    let mut runs: Vec<RunSummary> = journal::list(home)?.into_iter().filter(wanted).collect();
    // Oldest first: a parent before its children, an alias in the order it was given.
    runs.reverse();
    let mut report = SyncReport::default();
    for summary in &runs {
        let note = SyncProgress {
            run_id: summary.run_id.clone(),
            n_done: report.runs.len(),
            n_runs: runs.len(),
            seq: 0,
        };
        report.runs.push(deliver(&client, home, summary, note, progress)?);
    }
    Ok(report)
}

fn deliver(
    client: &Client,
    home: &Path,
    summary: &RunSummary,
    mut note: SyncProgress,
    progress: &dyn Fn(&SyncProgress),
) -> Result<SyncedRun, MlflowError> {
    let mut synced = SyncedRun {
        run_id: summary.run_id.clone(),
        mlflow_run_id: None,
        outcome: SyncOutcome::Busy,
        refused: Vec::new(),
    };
    let run = RunDir::new(home, &summary.run_id)?;
    let lock = run.lock();
    let mut shipment = match Shipment::open(client, run) {
        Ok(Some(shipment)) => shipment,
        Ok(None) => return Ok(synced),
        Err(error) => {
            synced.outcome = SyncOutcome::Failed { reason: error.to_string() };
            return Ok(synced);
        }
    };
    let seq_before = shipment.state().seq;
    let delivered = loop {
        match client.retrying(|| shipment.advance(u64::MAX)) {
            Ok(false) => break close(client, &mut shipment, summary, &lock),
            Ok(true) => {
                note.seq = shipment.state().seq;
                progress(&note);
            }
            Err(error) => break Err(error),
        }
    };
    let state = shipment.state();
    synced.mlflow_run_id.clone_from(&state.run_id);
    synced.refused.clone_from(&state.refused);
    synced.outcome = match delivered {
        Ok(()) => SyncOutcome::Delivered { n_events: state.seq - seq_before },
        Err(error) if error.is_transient() || matches!(error, MlflowError::Unauthorized { .. }) => {
            return Err(error);
        }
        Err(error) => SyncOutcome::Failed { reason: error.to_string() },
    };
    Ok(synced)
}

/// A run without a process and without an end would look as if it ran for ever.
fn close(
    client: &Client,
    shipment: &mut Shipment<'_>,
    summary: &RunSummary,
    lock: &Path,
) -> Result<(), MlflowError> {
    if summary.status == RunStatus::Interrupted && !FileLock::is_held(lock) {
        client.retrying(|| shipment.close_interrupted())?;
    }
    Ok(())
}

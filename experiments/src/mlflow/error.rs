use std::io;
use std::path::{Path, PathBuf};

use crate::journal::JournalError;

/// What can go wrong with MLflow.
#[derive(Debug, thiserror::Error)]
pub enum MlflowError {
    /// A setting in the environment cannot be used.
    #[error("{variable}: {reason}")]
    Config {
        /// Variable at fault.
        variable: &'static str,
        /// What is wrong and what to do.
        reason: String,
    },
    /// No answer.
    #[error(
        "no answer from MLflow at {server} to {call}: {reason}; check that the server runs and is reachable, then `cupola runs sync` delivers what is missing"
    )]
    NoAnswer {
        /// Server asked.
        server: String,
        /// Method and path.
        call: String,
        /// What the connection said.
        reason: String,
    },
    /// The server is not able to answer now.
    #[error(
        "MLflow at {server} answered {call} with {status}: {message}; if it stays so, look into the server's log"
    )]
    Busy {
        /// Server asked.
        server: String,
        /// Method and path.
        call: String,
        /// HTTP status.
        status: u16,
        /// What it said.
        message: String,
    },
    /// The server wants to know who asks, or does not let them.
    #[error(
        "MLflow at {server} refused {call} with {status}: {message}; set MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, for an account that may do this"
    )]
    Unauthorized {
        /// Server asked.
        server: String,
        /// Method and path.
        call: String,
        /// HTTP status.
        status: u16,
        /// What it said.
        message: String,
    },
    /// The server does not accept the request.
    #[error(
        "MLflow at {server} refused {call} with {status} {code}: {message}; change what is named there and try again"
    )]
    Refused {
        /// Server asked.
        server: String,
        /// Method and path.
        call: String,
        /// HTTP status.
        status: u16,
        /// MLflow's error code.
        code: String,
        /// What it said.
        message: String,
    },
    /// An answer that is not MLflow's.
    #[error(
        "{server} answered {call} with something unexpected: {reason}; check that MLFLOW_TRACKING_URI is the address of an MLflow 3 server"
    )]
    Reply {
        /// Server asked.
        server: String,
        /// Method and path.
        call: String,
        /// What was unexpected.
        reason: String,
    },
    /// The run is gone from the server.
    #[error(
        "run {run_id} was deleted from MLflow at {server}; restore it there, or remove its mlflow.json to send it again as a new run"
    )]
    RunDeleted {
        /// Run in Cupola.
        run_id: String,
        /// Server asked.
        server: String,
    },
    /// The experiment is gone from the server.
    #[error(
        "experiment {name} is deleted in MLflow at {server}; restore it there or set MLFLOW_EXPERIMENT_NAME to another"
    )]
    ExperimentDeleted {
        /// Its name.
        name: String,
        /// Server asked.
        server: String,
    },
    /// Artefacts are kept where only other software can write.
    #[error(
        "MLflow at {server} keeps artefacts at {uri}, which cannot be reached through it; start it with --serve-artifacts and --artifacts-destination"
    )]
    Storage {
        /// Server asked.
        server: String,
        /// Where it keeps them.
        uri: String,
    },
    /// A bundle that cannot be sent or was not received whole.
    #[error("bundle {}: {reason}", dir.display())]
    Bundle {
        /// Folder at fault.
        dir: PathBuf,
        /// What is wrong and what to do.
        reason: String,
    },
    /// A version that is not a bundle of ours.
    #[error(
        "version {version} of {name} in MLflow at {server} is not a Cupola bundle; choose a version that `cupola run` registered"
    )]
    NotABundle {
        /// Model.
        name: String,
        /// Version.
        version: u64,
        /// Server asked.
        server: String,
    },
    /// A local file could not be read or written.
    #[error("cannot {action} {}: {source}; check that it exists, space and permissions", path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// File at fault.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The journal cannot be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

impl MlflowError {
    pub(super) fn file(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::File { action, path: path.into(), source }
    }

    /// Whether the same request may succeed later.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::NoAnswer { .. } | Self::Busy { .. })
    }

    /// Whether it is about one event only, so that those after it can still be sent.
    pub(super) fn is_about_one_event(&self) -> bool {
        matches!(self, Self::Refused { .. } | Self::Storage { .. } | Self::Bundle { .. } | Self::File { .. })
    }

    /// Whether the server said that what is to be made is there.
    pub(super) fn is_already_there(&self) -> bool {
        matches!(self, Self::Refused { code, .. } if code == "RESOURCE_ALREADY_EXISTS")
    }

    /// Whether the server said that what was asked for is not there.
    pub(super) fn is_not_there(&self) -> bool {
        matches!(self, Self::Refused { code, .. } if code == "RESOURCE_DOES_NOT_EXIST")
    }
}

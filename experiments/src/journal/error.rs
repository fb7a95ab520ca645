use std::io;
use std::path::{Path, PathBuf};

/// What can go wrong with a run's journal.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Not a name for a folder.
    #[error("{run_id:?} is not a run id; use up to 100 letters, digits, `-`, `_` or `.`")]
    RunId {
        /// What was given.
        run_id: String,
    },
    /// The id is taken.
    #[error("run {run_id} exists already; resume it or choose another id")]
    Exists {
        /// Run at fault.
        run_id: String,
    },
    /// No such run.
    #[error("no run {run_id} in {}; `cupola runs list` shows those that are there", home.display())]
    Unknown {
        /// Run asked for.
        run_id: String,
        /// Where it was looked for.
        home: PathBuf,
    },
    /// Several runs could be meant.
    #[error("{wanted} could be any of {runs}; give more of the id")]
    Ambiguous {
        /// What was given.
        wanted: String,
        /// Ids of the runs.
        runs: String,
    },
    /// Another process is writing it.
    #[error("run {run_id} is being written by another process; wait for it to end")]
    Busy {
        /// Run at fault.
        run_id: String,
    },
    /// A line in the middle cannot be read.
    #[error("{} is damaged at byte {offset}: {reason}; restore the file or move the run's folder away", path.display())]
    Damaged {
        /// File at fault.
        path: PathBuf,
        /// Where the line starts.
        offset: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// The file system said no.
    #[error("cannot {action} {}: {source}; check space and permissions there", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// File or folder at fault.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Events were given up because they could not be written.
    #[error("the journal {} is incomplete: {reason}; make room or fix permissions, then resume the run", path.display())]
    Incomplete {
        /// File at fault.
        path: PathBuf,
        /// First failure.
        reason: String,
    },
}

impl JournalError {
    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { action, path: path.into(), source }
    }
}

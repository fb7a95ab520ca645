use std::path::{Path, PathBuf};

use super::error::JournalError;

/// Where one run keeps its files: `<home>/runs/<run_id>/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunDir {
    home: PathBuf,
    run_id: String,
}

impl RunDir {
    /// The folder of a run; it need not exist.
    ///
    /// # Errors
    /// A run id that is not a plain name.
    pub fn new(home: &Path, run_id: &str) -> Result<Self, JournalError> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if run_id.is_empty() || run_id.len() > 100 || run_id.starts_with('.') || !run_id.chars().all(plain) {
            return Err(JournalError::RunId { run_id: run_id.into() });
        }
        Ok(Self { home: home.into(), run_id: run_id.into() })
    }

    /// All runs of a home, by name of folder; none when the home is new.
    pub fn all(home: &Path) -> Result<Vec<Self>, JournalError> {
        let root = home.join("runs");
        let folders = match std::fs::read_dir(&root) {
            Ok(folders) => folders,
            Err(source) if source.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(JournalError::io("read", &root, source)),
        };
        let mut runs = Vec::new();
        for folder in folders {
            let folder = folder.map_err(|source| JournalError::io("read", &root, source))?;
            if let Some(run) = folder.file_name().to_str().and_then(|name| Self::new(home, name).ok())
                && run.journal().is_file()
            {
                runs.push(run);
            }
        }
        runs.sort_by(|a, b| a.run_id.cmp(&b.run_id));
        Ok(runs)
    }

    /// The run's id.
    pub fn run_id(&self) -> &str {
        &self.run_id
    }

    /// The home it is in.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// The folder.
    pub fn path(&self) -> PathBuf {
        self.home.join("runs").join(&self.run_id)
    }

    /// File of the events.
    pub fn journal(&self) -> PathBuf {
        self.path().join("journal.jsonl")
    }

    /// Held by the process that writes the journal.
    pub fn lock(&self) -> PathBuf {
        self.path().join("lock")
    }

    /// What MLflow has been sent.
    pub fn mlflow_state(&self) -> PathBuf {
        self.path().join("mlflow.json")
    }

    /// Held by the one thread that sends this run to MLflow.
    pub fn mlflow_lock(&self) -> PathBuf {
        self.path().join("mlflow.lock")
    }

    /// A path as an event keeps it: relative to the home where it can be, so that a home may move.
    pub fn to_stored(&self, path: &Path) -> PathBuf {
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.into());
        let home = std::path::absolute(&self.home).unwrap_or_else(|_| self.home.clone());
        absolute.strip_prefix(&home).map(Path::to_path_buf).unwrap_or(absolute)
    }

    /// Where the path of an event is now.
    pub fn from_stored(&self, path: &Path) -> PathBuf {
        self.home.join(path)
    }
}

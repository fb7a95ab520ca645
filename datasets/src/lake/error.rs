use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};

use arrow::error::ArrowError;
use deltalake_core::DeltaTableError;
use parquet::errors::ParquetError;

/// What can go wrong in the lake.
#[derive(Debug, thiserror::Error)]
pub enum LakeError {
    /// The file system said no.
    #[error("cannot {action} {}: {source}{}", path.display(), hint(source))]
    Io {
        /// What was tried: `create`, `write`, `read`.
        action: &'static str,
        /// File or folder at fault.
        path: PathBuf,
        /// Cause.
        source: io::Error,
    },
    /// The table does not exist.
    #[error("there is no table {table} in {}; run the stage that writes it first", root.display())]
    NoTable {
        /// Table asked for.
        table: String,
        /// The lake's folder.
        root: PathBuf,
    },
    /// The table does not have this version.
    #[error("table {table} has no version {version}, the latest is {latest}")]
    NoVersion {
        /// Table asked for.
        table: String,
        /// Version asked for.
        version: u64,
        /// Latest version there is.
        latest: u64,
    },
    /// Somebody else has written the table in the meantime.
    #[error(
        "table {table} was written by another process at the same time; nothing of this write is visible, run it again"
    )]
    Conflict {
        /// Table at fault.
        table: String,
    },
    /// Rows do not have the columns they should have.
    #[error("table {table}: {reason}")]
    Columns {
        /// Table at fault.
        table: String,
        /// What does not fit and what to do.
        reason: String,
    },
    /// Delta said no.
    #[error("table {table}: {reason}")]
    Table {
        /// Table at fault.
        table: String,
        /// What is wrong and what to do.
        reason: String,
    },
    /// The rows to write could not be made; the table is unchanged.
    #[error(transparent)]
    Rows(Box<dyn Error + Send + Sync>),
}

impl LakeError {
    /// Wraps the error of whatever makes the rows of a write, so that it can be found again.
    pub fn rows(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Rows(source.into())
    }

    /// Whether the disk is full.
    pub fn is_no_space(&self) -> bool {
        matches!(self, Self::Io { source, .. } if matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded))
    }

    pub(super) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { action, path: path.to_owned(), source }
    }

    /// An error of the Parquet library: an I/O error inside it is brought to the surface.
    pub(super) fn parquet(action: &'static str, path: &Path, table: &str, source: ParquetError) -> Self {
        match find_io(&source) {
            Some(io) => Self::io(action, path, io),
            None => Self::Table {
                table: table.into(),
                reason: format!("cannot {action} {}: {source}", path.display()),
            },
        }
    }

    /// An error of Arrow while reading or writing `path`.
    pub(super) fn arrow(action: &'static str, path: &Path, table: &str, source: ArrowError) -> Self {
        match find_io(&source) {
            Some(io) => Self::io(action, path, io),
            None => Self::Table {
                table: table.into(),
                reason: format!("cannot {action} {}: {source}", path.display()),
            },
        }
    }

    pub(super) fn delta(table: &str, path: &Path, source: DeltaTableError) -> Self {
        use deltalake_core::kernel::transaction::TransactionError;
        match source {
            DeltaTableError::VersionAlreadyExists(_)
            | DeltaTableError::Transaction {
                source:
                    TransactionError::CommitConflict(_)
                    | TransactionError::MaxCommitAttempts(_)
                    | TransactionError::VersionAlreadyExists(_),
            } => Self::Conflict { table: table.into() },
            other => match find_io(&other) {
                Some(io) => Self::io("write", path, io),
                None => Self::Table { table: table.into(), reason: other.to_string() },
            },
        }
    }
}

/// The I/O error at the root of a chain. `io::Error` cannot be cloned, so its parts are.
pub(crate) fn find_io(error: &(dyn Error + 'static)) -> Option<io::Error> {
    let mut next = Some(error);
    let mut found = None;
    while let Some(current) = next {
        if let Some(io) = current.downcast_ref::<io::Error>() {
            found = Some(match io.raw_os_error() {
                Some(code) => io::Error::from_raw_os_error(code),
                None => io::Error::new(io.kind(), io.to_string()),
            });
        }
        next = current.source();
    }
    found
}

fn hint(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            "; free some space or choose another folder with --home"
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "; the folder must be writable, or choose another with --home"
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_inside_a_parquet_error_is_named_with_what_to_do() {
        let inner = io::Error::from_raw_os_error(28);
        let error = LakeError::parquet(
            "write",
            Path::new("/lake/raw"),
            "p/raw",
            ParquetError::External(Box::new(inner)),
        );
        assert!(error.is_no_space());
        assert_eq!(
            error.to_string(),
            "cannot write /lake/raw: No space left on device (os error 28); free some space or choose another folder with --home"
        );
    }

    #[test]
    fn an_error_of_the_rows_keeps_its_type() {
        let error = LakeError::rows(io::Error::other("broken pipe of rows"));
        let LakeError::Rows(inner) = error else { panic!("another variant") };
        assert_eq!(inner.downcast_ref::<io::Error>().unwrap().to_string(), "broken pipe of rows");
    }
}

use std::error::Error;
use std::io;
use std::path::PathBuf;

use cupola_datasets::features::PlanError;
use cupola_datasets::lake::LakeError;
use cupola_datasets::quarantine::ReplayError;
use cupola_datasets::sources::SourceError;
use cupola_models::bundle::BundleError;
use cupola_models::device::DeviceError;
use cupola_models::registry::RegistryError;

/// Why a run stopped.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The source.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The data.
    #[error("{0}")]
    Data(String),
    /// The pipeline's settings do not fit the data.
    #[error("{0}")]
    Settings(String),
    /// Too many broken records.
    #[error(
        "{quarantined} of {records} records were quarantined, more than max_quarantined = {share} allows; most common: {reason}; see `cupola quarantine list {pipeline}`, or raise max_quarantined"
    )]
    Quarantined {
        /// Broken records.
        quarantined: u64,
        /// All records.
        records: u64,
        /// Allowed share.
        share: f64,
        /// Most common reason.
        reason: String,
        /// Pipeline, for what to do.
        pipeline: String,
    },
    /// Corrected records that cannot be replayed.
    #[error(transparent)]
    Replay(#[from] ReplayError),
    /// The lake.
    #[error(transparent)]
    Lake(#[from] LakeError),
    /// A file of the home folder.
    #[error("cannot write {path}: {source}; check the permissions and the free space")]
    Io {
        /// File at fault.
        path: PathBuf,
        /// Cause.
        source: std::io::Error,
    },
    /// The disk, deep inside a stage.
    #[error("{0}")]
    Storage(String),
    /// Another process runs the pipeline.
    #[error("another process is running the pipeline {pipeline}; wait for it, or use another --home")]
    Busy {
        /// Pipeline.
        pipeline: String,
    },
    /// The feature plan.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The device.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// The training.
    #[error("training: {0}")]
    Training(String),
    /// The bundle.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The registry.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// A stage whose inputs are missing was asked for.
    #[error(
        "--from {stage}: the stages before it have no result for these settings and this data; run without --from"
    )]
    NoInput {
        /// First stage asked for.
        stage: super::Stage,
    },
}

/// Kinds of failure that have their own exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunErrorKind {
    /// Settings.
    Settings,
    /// Source or data.
    Data,
    /// Disk.
    Storage,
    /// Device.
    Device,
    /// Training.
    Training,
    /// Bundle or registry.
    Model,
    /// Lock held elsewhere.
    Busy,
}

impl RunError {
    /// The error of whatever made the rows of a write, if that is what failed.
    pub fn from_lake(error: LakeError) -> Self {
        match error {
            LakeError::Rows(source) => match source.downcast::<Self>() {
                Ok(error) => *error,
                Err(source) => Self::Data(source.to_string()),
            },
            error => Self::Lake(error),
        }
    }

    /// An error of the data, unless it is the disk that failed.
    pub(super) fn data(error: impl Error + 'static) -> Self {
        if is_of_disk(&error) { Self::storage(&error) } else { Self::Data(error.to_string()) }
    }

    /// An error of the training, unless it is the disk that failed.
    pub(super) fn training(error: impl Error + 'static) -> Self {
        if is_of_disk(&error) { Self::storage(&error) } else { Self::Training(error.to_string()) }
    }

    fn storage(error: &dyn Error) -> Self {
        let text = error.to_string();
        let hint = if text.contains("free some space") { "" } else { HINT };
        Self::Storage(text + hint)
    }

    /// The kind that picks the exit code.
    pub fn kind(&self) -> RunErrorKind {
        if is_of_disk(self) {
            return RunErrorKind::Storage;
        }
        match self {
            Self::Settings(_)
            | Self::NoInput { .. }
            | Self::Plan(PlanError::UnknownName { .. } | PlanError::UnknownColumn { .. }) => {
                RunErrorKind::Settings
            }
            Self::Source(_)
            | Self::Data(_)
            | Self::Quarantined { .. }
            | Self::Plan(_)
            | Self::Replay(ReplayError::Read { .. } | ReplayError::Line { .. } | ReplayError::Schema(_)) => {
                RunErrorKind::Data
            }
            Self::Storage(_) | Self::Lake(_) | Self::Replay(ReplayError::Lake(_)) | Self::Io { .. } => {
                RunErrorKind::Storage
            }
            Self::Device(_) => RunErrorKind::Device,
            Self::Training(_) => RunErrorKind::Training,
            Self::Bundle(_) | Self::Registry(_) => RunErrorKind::Model,
            Self::Busy { .. } => RunErrorKind::Busy,
        }
    }
}

const HINT: &str = "; free some space or choose another folder with --home";

/// Whether the disk is full or may not be written, anywhere in the chain of causes.
fn is_of_disk(error: &(dyn Error + 'static)) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    let mut next = Some(error);
    while let Some(current) = next {
        let kind = current.downcast_ref::<io::Error>().map(io::Error::kind);
        if matches!(kind, Some(StorageFull | QuotaExceeded | ReadOnlyFilesystem | FileTooLarge)) {
            return true;
        }
        next = current.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_storage_wherever_it_is_met() {
        let full = || io::Error::from_raw_os_error(28);
        let lake = || LakeError::Io { action: "write", path: "raw".into(), source: full() };
        assert_eq!(RunError::from(PlanError::Rows(lake())).kind(), RunErrorKind::Storage);
        let training = RunError::training(lake());
        assert_eq!(training.kind(), RunErrorKind::Storage);
        assert!(training.to_string().contains("No space left"), "{training}");
        let denied =
            SourceError::Read { path: "a.csv".into(), source: io::ErrorKind::PermissionDenied.into() };
        assert_eq!(RunError::from(denied).kind(), RunErrorKind::Data);
    }
}

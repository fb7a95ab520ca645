use std::path::PathBuf;

use cupola_datasets::features::PlanError;

use super::ModelError;
use crate::mlp::{DeviceMlpError, WeightsError};
use crate::predict::PredictError;
use crate::trees::ForestError;

/// What can go wrong with a bundle.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// A file changed since the bundle was written.
    #[error(
        "{file} of bundle {dir} does not match its digest: the file was changed or damaged; restore the bundle or train again"
    )]
    Digest {
        /// Bundle at fault.
        dir: PathBuf,
        /// File at fault.
        file: String,
    },
    /// A file of the bundle is not there.
    #[error("{file} is missing from bundle {dir}; restore the bundle or train again")]
    Missing {
        /// Bundle at fault.
        dir: PathBuf,
        /// File that is not there.
        file: String,
    },
    /// Written by another Cupola.
    #[error(
        "bundle {dir} has format {found}, this Cupola reads format {supported}; use the Cupola that wrote it or train again"
    )]
    Format {
        /// Bundle at fault.
        dir: PathBuf,
        /// Format of the bundle.
        found: u64,
        /// Format that is read here.
        supported: u32,
    },
    /// A kind of model that is not known here.
    #[error("bundle {dir} holds a model of kind {kind:?}, this Cupola knows {known}; use a newer one")]
    Kind {
        /// Bundle at fault.
        dir: PathBuf,
        /// Kind in the manifest.
        kind: String,
        /// Kinds that are known.
        known: String,
    },
    /// A file that is whole but cannot be read.
    #[error("{file} of bundle {dir} cannot be read: {reason}; train again")]
    Content {
        /// Bundle at fault.
        dir: PathBuf,
        /// File at fault.
        file: String,
        /// What the reader said.
        reason: String,
    },
    /// Plan, weights and signature are not of one model.
    #[error("the parts of bundle {dir} do not belong together: {reason}; train again")]
    Mismatch {
        /// Bundle at fault.
        dir: PathBuf,
        /// What does not fit.
        reason: String,
    },
    /// There is something at the place of a new bundle.
    #[error("{dir} exists; a bundle is never overwritten: choose another folder or remove this one")]
    Exists {
        /// The place.
        dir: PathBuf,
    },
    /// Reading or writing failed.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// `read`, `write`, ...
        action: &'static str,
        /// File or folder at fault.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The weights cannot be used.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The trees cannot be used.
    #[error(transparent)]
    Forest(#[from] ForestError),
    /// The plan cannot be compiled or applied.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The model cannot score.
    #[error(transparent)]
    Predict(#[from] PredictError),
}

impl From<ModelError> for BundleError {
    fn from(error: ModelError) -> Self {
        match error {
            ModelError::Weights(error) => error.into(),
            ModelError::Forest(error) => error.into(),
        }
    }
}

impl From<DeviceMlpError> for BundleError {
    fn from(error: DeviceMlpError) -> Self {
        match error {
            DeviceMlpError::Weights(error) => error.into(),
            DeviceMlpError::Device(error) => error.into(),
        }
    }
}

use crate::engines::EngineError;
use crate::lake::LakeError;

/// What can go wrong while preparing.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// Duplicates are found by a key, and there is none.
    #[error("prepare.deduplicate needs schema.key, the columns that make a record unique; declare it")]
    NoKey,
    /// The filter cannot be used.
    #[error("prepare.filter cannot be used: {reason}")]
    Filter {
        /// What is wrong and what to do.
        reason: String,
    },
    /// No row is left.
    #[error("no row of {n_raw} is left after prepare; check prepare.filter")]
    NoRows {
        /// Rows of the raw table.
        n_raw: u64,
    },
    /// The duplicates could not be found.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A table cannot be read or written.
    #[error(transparent)]
    Lake(#[from] LakeError),
}

impl PrepareError {
    /// The error of the write, or that of the rows on their way into it.
    pub(super) fn of_write(error: LakeError) -> Self {
        let LakeError::Rows(source) = error else { return Self::Lake(error) };
        source
            .downcast::<Self>()
            .map(|own| *own)
            .or_else(|other| other.downcast::<EngineError>().map(|engine| Self::Engine(*engine)))
            .unwrap_or_else(|other| Self::Lake(LakeError::Rows(other)))
    }
}

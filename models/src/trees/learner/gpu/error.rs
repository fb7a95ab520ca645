/// Why a GPU cannot grow trees.
#[derive(Debug, thiserror::Error)]
pub enum GpuError {
    /// It lacks something the kernels need.
    #[error("the device cannot grow trees, it has no {what}; train on the cpu")]
    Unsupported {
        /// What is missing.
        what: &'static str,
    },
    /// The data are more than it can address or hold in one buffer.
    #[error(
        "{n_rows} rows are too many for this device, which takes {n_rows_max}; train on the cpu or on fewer rows"
    )]
    TooManyRows {
        /// Rows asked for.
        n_rows: usize,
        /// Rows the device takes.
        n_rows_max: usize,
    },
    /// Bins that are not what the layout says, or a range, side or feature that is not there.
    #[error("wrong input for the trees of the GPU: {what}")]
    Input {
        /// What does not fit.
        what: String,
    },
    /// The device or its driver failed.
    #[error("the GPU failed: {reason}; free its memory, update its driver, or train on the cpu")]
    Device {
        /// What its runtime said.
        reason: String,
    },
}

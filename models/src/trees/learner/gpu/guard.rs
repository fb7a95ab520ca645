use std::panic::{AssertUnwindSafe, catch_unwind};

use super::GpuError;
use crate::device::panic_text;

/// GPU runtimes panic where others return errors; a lost device must end the training with an error.
pub(in crate::trees) fn guarded<T>(work: impl FnOnce() -> Result<T, GpuError>) -> Result<T, GpuError> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|panic| Err(GpuError::Device { reason: panic_text(&*panic) }))
}

//! The bundle: one directory with weights, fitted plan, signature, reference profile and
//! provenance, every file digested.
//!
//! | file | content |
//! |---|---|
//! | `bundle.json` | the [`Manifest`], with the SHA-256 of each file below |
//! | `plan.json` | the fitted plan |
//! | `weights.safetensors` | the model's tensors |
//! | `profile.json` | reference profile: the data as training saw them |
//! | `model.onnx` | the model for other runtimes, where it has such a form |
//! | `bundle.sha256` | the SHA-256 of `bundle.json`, as `sha256sum --check` reads it |

mod digest;
mod error;
mod kinds;
mod load;
mod manifest;
mod write;

pub use error::BundleError;
pub use kinds::{GBDT, KINDS, MLP, ModelError, ModelParts};
pub use load::{files, verify};
pub use manifest::{Bundle, Manifest, Provenance, Signature};
pub use write::BundleParts;
pub(crate) use write::{open_to_all, sync_dir};

#[doc(hidden)]
pub mod testing;
#[cfg(test)]
mod tests;

/// Version of the bundle's format that this Cupola writes, and the only one it reads.
pub const FORMAT: u32 = 1;

const MANIFEST: &str = "bundle.json";
const MANIFEST_DIGEST: &str = "bundle.sha256";
const PLAN: &str = "plan.json";
const WEIGHTS: &str = "weights.safetensors";
const PROFILE: &str = "profile.json";
const ONNX: &str = "model.onnx";

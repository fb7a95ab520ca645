//! What turns features into scores: devices, networks, trees, bundles, and the registry of versions.
//!
//! This crate knows nothing of training loops, serving or experiments.

pub mod device;

pub mod predict;

pub mod mlp;

pub mod trees;

pub mod onnx;

pub mod bundle;

pub mod registry;

pub use bundle::{Bundle, Manifest, Signature};
pub use device::{Device, DeviceChoice};
pub use predict::{Predictor, Scores, Task};
pub use registry::{Registry, VersionRef};

//! ONNX files of our networks.

mod mlp;
mod proto;

pub use mlp::export_mlp;

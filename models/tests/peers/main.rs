//! What we write, as other libraries read it: ONNX Runtime, Python's safetensors, candle.
//!
//! The Python peers run in `CUPOLA_PYTHON`, by default the repository's `.venv/bin/python`.

mod candle;
mod models;
mod onnx_runtime;
mod python;
mod safetensors;

//! Drift between what a model was trained on and what it sees.
//!
//! Knows profiles and rows; nothing of serving, HTTP or metrics formats.

pub mod drift;

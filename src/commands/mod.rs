//! One file per command. Each parses its arguments, calls a crate, prints.

pub mod completions;
pub mod datagen;
pub mod doctor;
pub mod health;
pub mod models;
pub mod predict;
pub mod quarantine;
pub mod run;
pub mod runs;
pub mod schema;
pub mod serve;
pub mod validate;

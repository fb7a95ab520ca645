//! The `cupola` binary as its users meet it: one test program, because each one links everything.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod bad_input;
mod crash;
mod pipeline;
mod quarantine;
mod support;
mod trees;
mod versions;

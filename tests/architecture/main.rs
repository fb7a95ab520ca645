//! The invariants of ARCHITECTURE.md, read off the manifests and the sources. Each rule takes files
//! and returns what breaks it, so that it can be seen to fail on a made-up file.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod arrows;
mod dependencies;
mod fences;
mod files;
mod manifests;
mod words;

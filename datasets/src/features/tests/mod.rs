#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod apply;
mod fit;
mod resolve;
mod rows;
mod table;

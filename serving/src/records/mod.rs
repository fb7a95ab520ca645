//! A request body's shape: where each record begins and ends, and single fields of a record. The
//! values are read by [`cupola_datasets::records`] alone.

mod body;
mod field;

#[cfg(test)]
mod tests;

pub use body::{BodyError, Records, check, split};
pub use field::field;

//! The one road from JSON to typed rows, for files and for HTTP: a record is accepted or refused
//! for the same reasons wherever it comes from.

mod builder;
mod fields;
mod object;
mod value;

#[cfg(test)]
mod tests;

pub use crate::schema::{FieldError, FieldErrorCode};
pub use builder::RowsBuilder;
pub use fields::{field_names, raw_fields};

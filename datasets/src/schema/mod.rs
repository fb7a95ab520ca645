//! Declared columns, their types and constraints, and the validation of records against them.

mod check;
mod config;
mod error;
mod nearest;
mod validator;

mod infer;

mod to_toml;

pub(crate) mod column;
mod guess;
mod keys;
pub(crate) mod number;
pub(crate) mod rule;
mod text;
pub(crate) mod timestamp;
mod typed;
pub(crate) mod violation;

pub use config::{Column, ColumnType, Columns, Schema};
pub use error::{SchemaError, SchemaIssue};
pub use infer::{ColumnNotes, InferOptions, SchemaNotes, infer, infer_with_notes};
pub use nearest::nearest;
pub use to_toml::to_toml;
pub use validator::{Validated, Validator, ValidatorOptions};
pub use violation::{FieldError, FieldErrorCode};

#[cfg(test)]
mod tests;

/// A schema from its TOML, for tests: as in the pipeline file, columns are in the order of
/// declaration, which the parser does not keep.
#[cfg(test)]
pub(crate) fn from_toml(text: &str) -> Schema {
    let mut schema: Schema = toml::from_str(text).unwrap();
    let columns = text.find("[columns]").unwrap_or(0);
    let place = |name: &str| {
        let keys = [format!("\n{name} "), format!(" {name} "), format!("\"{name}\" ")];
        keys.iter().filter_map(|key| text[columns..].find(key.as_str())).min()
    };
    schema.columns.sort_by(|a, _, b, _| place(a).cmp(&place(b)));
    schema
}

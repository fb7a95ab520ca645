use std::fmt;

use serde::Serialize;

/// What is wrong with one value of a record. The same for files, the quarantine table and HTTP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// Column at fault; empty when the record as a whole is.
    pub column: String,
    /// Stable code for programs.
    pub code: FieldErrorCode,
    /// For a person: what is wrong, then `: ` and the value where there is one.
    pub message: String,
}

/// Stable code of a [`FieldError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FieldErrorCode {
    /// A required value is not there.
    Missing,
    /// The value cannot be read as the column's type.
    Type,
    /// Below `min` or above `max`.
    Range,
    /// Not among `allowed`.
    NotAllowed,
    /// Does not match `pattern`.
    Pattern,
    /// NaN or infinite.
    NotFinite,
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.column.is_empty() {
            f.write_str(&self.message)
        } else {
            write!(f, "{}: {}", self.column, self.message)
        }
    }
}

/// Column and reason of a quarantined record, from its errors: the first one names the column,
/// and when there are several each is named in the reason.
pub(crate) fn column_and_reason(errors: &[FieldError]) -> (Option<String>, String) {
    let column = errors.first().map(|e| e.column.clone()).filter(|c| !c.is_empty());
    let reason = match errors {
        [one] => one.message.clone(),
        many => many.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "),
    };
    (column, reason)
}

/// A [`FieldError`] that does not know its column yet. Messages start with the rule and end with
/// the value, so that counting by the text before `: ` counts by rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    pub code: FieldErrorCode,
    pub message: String,
}

impl Violation {
    pub fn missing() -> Self {
        Self { code: FieldErrorCode::Missing, message: "a value is required".into() }
    }

    /// `article_and_type`: `a bool`, `an int64`.
    pub fn not_a(kind: super::ColumnType, found: impl fmt::Display) -> Self {
        Self { code: FieldErrorCode::Type, message: format!("not {}: {found}", kind.with_article()) }
    }

    pub fn not_finite(found: impl fmt::Display) -> Self {
        Self { code: FieldErrorCode::NotFinite, message: format!("not a finite number: {found}") }
    }

    pub fn at(self, column: &str) -> FieldError {
        FieldError { column: column.into(), code: self.code, message: self.message }
    }
}

/// A text as it appears in a message: quoted, and cut when it is long.
pub(crate) fn shown(text: &str) -> String {
    const CHARS_MAX: usize = 80;
    match text.char_indices().nth(CHARS_MAX) {
        Some((cut, _)) => format!("{:?} and {} more bytes", &text[..cut], text.len() - cut),
        None => format!("{text:?}"),
    }
}

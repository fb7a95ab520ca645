use std::fmt;

use crate::sources::SourceError;

/// What can go wrong with a schema as a whole. Broken records are no errors: they are quarantined.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// The declaration contradicts itself.
    #[error("the schema is not valid: {}", join(.0))]
    Invalid(Vec<SchemaIssue>),
    /// A file does not have a required column.
    #[error("{file} has no column {column}{}; rename it, or set required = false in [schema.columns]", did_you_mean(.nearest))]
    MissingColumn {
        /// File without the column.
        file: String,
        /// Column that the schema requires.
        column: String,
        /// Column of the file with the most similar name.
        nearest: Option<String>,
    },
    /// Unique keys no longer fit into their memory.
    #[error(
        "more than {keys_max} distinct keys: raise the limit, or set prepare.deduplicate so that keys need not be unique"
    )]
    TooManyKeys {
        /// The limit that was passed.
        keys_max: usize,
    },
    /// There is nothing to infer from.
    #[error("{source_name} has no records to infer a schema from")]
    NoRecords {
        /// Description of the source.
        source_name: String,
    },
    /// The source failed.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// Arrow refused an operation on validated columns.
    #[error("cannot build rows from {file}: {source}")]
    Arrow {
        /// File at fault.
        file: String,
        /// Cause.
        source: arrow::error::ArrowError,
    },
}

/// One thing that is wrong with a declared schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaIssue {
    /// Key at fault from the root of the pipeline file, such as `schema.columns.amount.pattern`,
    /// as its parts: a column's name may hold dots.
    pub path: Vec<String>,
    /// What is wrong and what to do.
    pub message: String,
    /// Known name most like the one at fault.
    pub nearest: Option<String>,
}

impl SchemaIssue {
    /// The key path as it is written in TOML.
    pub fn key(&self) -> String {
        let bare = |part: &str| part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
        let parts =
            self.path.iter().map(|p| if bare(p) && !p.is_empty() { p.clone() } else { format!("{p:?}") });
        parts.collect::<Vec<_>>().join(".")
    }
}

impl fmt::Display for SchemaIssue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}{}", self.key(), self.message, did_you_mean(&self.nearest))
    }
}

fn join(issues: &[SchemaIssue]) -> String {
    issues.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

fn did_you_mean(nearest: &Option<String>) -> String {
    nearest.as_ref().map(|n| format!(", did you mean {n}?")).unwrap_or_default()
}

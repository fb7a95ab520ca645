use std::sync::Arc;

use arrow::datatypes::{DataType, Field, SchemaRef, TimeUnit};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The `[schema]` table: what a valid row looks like. Column order is the order of declaration.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Schema {
    /// Column with the event time; needed by a time split.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// Columns that together make a record unique.
    pub key: Vec<String>,
    /// Column to learn. Absent from requests and from files to score.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Column with a non-negative weight per training row.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<String>,
    /// Column whose equal values are one list to be ranked, such as a query or a session; needed by `task = "ranking"`,
    /// and by it alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Columns by name. Empty: inferred from the source.
    pub columns: Columns,
}

/// Columns in the order of declaration.
pub type Columns = indexmap::IndexMap<String, Column>;

/// One declared column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// Type of the values.
    #[serde(rename = "type")]
    pub kind: ColumnType,
    /// A record without a value is quarantined. A column that is not required may be missing.
    #[serde(default = "yes")]
    pub required: bool,
    /// Smallest allowed value of a number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    /// Largest allowed value of a number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    /// The only values allowed, written as text.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed: Vec<String>,
    /// Regular expression that a whole string must match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// Texts that mean "no value" beside the empty one, such as `NA` or `?`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
}

fn yes() -> bool {
    true
}

/// Type of a column. Each has one Arrow type, everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ColumnType {
    /// `true`/`false`, also `1`/`0`, `yes`/`no`, `t`/`f`, `y`/`n` in any case.
    Bool,
    /// 64-bit integer.
    Int64,
    /// 64-bit float; NaN and infinities are broken values.
    Float64,
    /// UTF-8 text.
    String,
    /// Instant in microseconds, stored as UTC. A value without a zone is UTC.
    Timestamp,
}

impl ColumnType {
    /// The Arrow type that holds it.
    pub fn arrow(self) -> DataType {
        match self {
            Self::Bool => DataType::Boolean,
            Self::Int64 => DataType::Int64,
            Self::Float64 => DataType::Float64,
            Self::String => DataType::Utf8,
            Self::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        }
    }

    /// The type's name in a sentence: `an int64`.
    pub fn with_article(self) -> &'static str {
        match self {
            Self::Bool => "a bool",
            Self::Int64 => "an int64",
            Self::Float64 => "a float64",
            Self::String => "a string",
            Self::Timestamp => "a timestamp",
        }
    }

    /// Whether the values are numbers that can be summed and compared.
    pub fn is_numeric(self) -> bool {
        matches!(self, Self::Int64 | Self::Float64 | Self::Bool)
    }
}

impl Schema {
    /// Columns that say which row it is: the key, then the group.
    pub fn identity(&self) -> Vec<String> {
        let group = self.group.iter().filter(|group| !self.key.contains(group));
        self.key.iter().chain(group).cloned().collect()
    }

    /// Arrow schema of a validated table: one field per column, in order. A required column is
    /// not nullable.
    pub fn arrow(&self) -> SchemaRef {
        let fields: Vec<Field> = self
            .columns
            .iter()
            .map(|(name, column)| Field::new(name, column.kind.arrow(), !column.required))
            .collect();
        Arc::new(arrow::datatypes::Schema::new(fields))
    }
}

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The `[source]` table. `kind` picks the source.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum SourceConfig {
    /// CSV, JSON lines or Parquet: one file, a folder, or a glob; `.gz` and `.zip` are unpacked.
    Files(FilesConfig),
}

/// Options of `kind = "files"`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FilesConfig {
    /// File, folder or glob, relative to the pipeline file.
    pub path: String,
    /// Format; by default the one the file name says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<FileFormat>,
    /// CSV: the byte between fields. Default: `,`, or a tab in `.tsv` files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delimiter: Option<char>,
    /// CSV: whether the first line names the columns.
    #[serde(default = "yes")]
    pub header: bool,
    /// CSV: column names of files without a header. Default: `column_1`, `column_2`, ...
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// CSV: the text encoding, by its WHATWG label. A byte order mark overrides it.
    #[serde(default = "utf8")]
    pub encoding: String,
    /// CSV: whether `"` encloses a field. Off: it is a character like any other.
    #[serde(default = "yes")]
    pub quoted: bool,
    /// CSV: whether blanks around names and values are taken away.
    #[serde(default)]
    pub trim: bool,
    /// Longest line accepted; a longer record is quarantined without being held in memory.
    #[serde(default = "line_mib_max")]
    pub line_mib_max: usize,
}

impl FilesConfig {
    /// The defaults, for one path.
    pub fn of(path: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            format: None,
            delimiter: None,
            header: true,
            names: Vec::new(),
            encoding: utf8(),
            quoted: true,
            trim: false,
            line_mib_max: line_mib_max(),
        }
    }
}

/// Format of a file source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FileFormat {
    /// Delimited text.
    Csv,
    /// One JSON object per line.
    Jsonl,
    /// Apache Parquet.
    Parquet,
}

fn yes() -> bool {
    true
}

fn utf8() -> String {
    "utf-8".into()
}

fn line_mib_max() -> usize {
    16
}

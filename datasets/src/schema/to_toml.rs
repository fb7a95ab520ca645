use std::fmt::Write;

use super::infer::{ColumnNotes, SchemaNotes};
use super::{Column, ColumnType, Schema};

/// The `[schema]` table of a pipeline file, with what was seen of each column as comments.
pub fn to_toml(schema: &Schema, notes: &SchemaNotes) -> String {
    let mut toml = String::new();
    if notes.n_records > 0 {
        let part = if notes.is_whole { "all" } else { "the first" };
        let source = one_line(&notes.source);
        let _ = writeln!(
            toml,
            "# Inferred from {source}: {part} {} records. Check it before you rely on it.",
            notes.n_records
        );
    }
    toml.push_str("[schema]\n");
    roles(schema, notes, &mut toml);
    toml.push_str("\n[schema.columns]\n");
    for (name, column) in &schema.columns {
        if let Some(seen) = notes.columns.get(name) {
            let _ = writeln!(toml, "# {}", comment(column, seen));
        }
        let _ = writeln!(toml, "{} = {}", key(name), inline(column));
    }
    for name in &notes.skipped {
        let _ =
            writeln!(toml, "# {} holds lists or objects: it is left out, no type fits it", one_line(name));
    }
    toml
}

/// What is declared, and for the rest a commented proposal.
fn roles(schema: &Schema, notes: &SchemaNotes, toml: &mut String) {
    let mut role = |name: &str, value: Option<String>, proposal: Option<String>, meaning: &str| {
        let _ = match (value, proposal) {
            (Some(value), _) => writeln!(toml, "{name} = {value}"),
            (None, Some(value)) => writeln!(toml, "# {name} = {value}  # {meaning}"),
            (None, None) => writeln!(toml, "# {name} = ...  # {meaning}"),
        };
    };
    let first_of =
        |is: fn(ColumnType) -> bool| schema.columns.iter().find(|(_, c)| is(c.kind)).map(|(name, _)| name);
    let time = first_of(|kind| kind == ColumnType::Timestamp).map(|name| string(name));
    role("time", schema.time.as_deref().map(string), time, "the event time, needed by a time split");
    let is_unique = |name: &&String| {
        notes.columns.get(*name).is_some_and(|seen| seen.n_distinct == notes.n_records && notes.n_records > 1)
    };
    let is_id = |name: &&String| matches!(schema.columns[*name].kind, ColumnType::Int64 | ColumnType::String);
    let key = schema.columns.keys().filter(is_unique).find(is_id).map(|name| format!("[{}]", string(name)));
    let declared = (!schema.key.is_empty())
        .then(|| format!("[{}]", schema.key.iter().map(|k| string(k)).collect::<Vec<_>>().join(", ")));
    role("key", declared, key, "what makes a record unique");
    role("label", schema.label.as_deref().map(string), None, "the column to learn");
    if let Some(weight) = &schema.weight {
        role("weight", Some(string(weight)), None, "");
    }
    if let Some(group) = &schema.group {
        role("group", Some(string(group)), None, "");
    }
}

fn comment(column: &Column, seen: &ColumnNotes) -> String {
    if seen.n_values == 0 {
        return "no value seen: set the type".into();
    }
    let mut text = format!("{} distinct", seen.n_distinct);
    if seen.n_missing > 0 {
        let percent = 100.0 * seen.n_missing as f64 / (seen.n_missing + seen.n_values) as f64;
        let _ = write!(text, ", {percent:.2} % missing");
    }
    if let (Some(min), Some(max)) = (seen.min, seen.max) {
        let _ = write!(text, ", {min} to {max}");
    } else if column.allowed.is_empty() {
        let examples: Vec<String> = seen.examples.iter().map(|e| one_line(e)).collect();
        let _ = write!(text, ", such as {}", examples.join(" | "));
    }
    text
}

fn inline(column: &Column) -> String {
    let kind = match column.kind {
        ColumnType::Bool => "bool",
        ColumnType::Int64 => "int64",
        ColumnType::Float64 => "float64",
        ColumnType::String => "string",
        ColumnType::Timestamp => "timestamp",
    };
    let mut fields = vec![format!("type = {}", string(kind))];
    if !column.required {
        fields.push("required = false".into());
    }
    let list =
        |texts: &[String]| format!("[{}]", texts.iter().map(|t| string(t)).collect::<Vec<_>>().join(", "));
    fields.extend(column.min.map(|min| format!("min = {min:?}")));
    fields.extend(column.max.map(|max| format!("max = {max:?}")));
    fields.extend((!column.allowed.is_empty()).then(|| format!("allowed = {}", list(&column.allowed))));
    fields.extend(column.pattern.as_deref().map(|pattern| format!("pattern = {}", string(pattern))));
    fields.extend((!column.missing.is_empty()).then(|| format!("missing = {}", list(&column.missing))));
    format!("{{ {} }}", fields.join(", "))
}

fn key(name: &str) -> String {
    let is_bare =
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
    if is_bare { name.into() } else { string(name) }
}

/// A TOML basic string.
fn string(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            c if c.is_control() => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// A text that cannot end the comment it stands in.
fn one_line(text: &str) -> String {
    const CHARS_MAX: usize = 40;
    let mut line: String =
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(CHARS_MAX).collect();
    if text.chars().nth(CHARS_MAX).is_some() {
        line.push_str("...");
    }
    line
}

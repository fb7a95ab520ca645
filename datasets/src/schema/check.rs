use super::rule::{compile_pattern, is_of_kind};
use super::{Column, ColumnType, Schema, SchemaIssue, nearest};

impl Schema {
    /// Whether the declaration makes sense in itself. No I/O. A schema without columns is fine: it
    /// is inferred later.
    pub fn check(&self) -> Result<(), Vec<SchemaIssue>> {
        let mut issues = Vec::new();
        if !self.columns.is_empty() {
            self.check_roles(&mut issues);
        }
        for (name, column) in &self.columns {
            check_column(name, column, &mut issues);
        }
        if issues.is_empty() { Ok(()) } else { Err(issues) }
    }

    fn check_roles(&self, issues: &mut Vec<SchemaIssue>) {
        let mut role = |path: &[&str], name: &str, ok: fn(&Column) -> bool, expected: &str| {
            let (message, near) = match self.columns.get(name) {
                Some(column) if ok(column) => return,
                Some(column) => {
                    (format!("column {name} is {}, expected {expected}", column.kind.with_article()), None)
                }
                None => (
                    format!("{name} is not among [schema.columns]"),
                    nearest(name, self.columns.keys().map(String::as_str)).map(str::to_owned),
                ),
            };
            issues.push(issue(path, message, near));
        };
        if let Some(time) = &self.time {
            role(&["schema", "time"], time, |c| c.kind == ColumnType::Timestamp, "a timestamp");
        }
        for key in &self.key {
            role(&["schema", "key"], key, |_| true, "any type");
        }
        if let Some(label) = &self.label {
            role(
                &["schema", "label"],
                label,
                |c| c.kind != ColumnType::Timestamp,
                "a bool, a string or a number",
            );
        }
        if let Some(weight) = &self.weight {
            role(&["schema", "weight"], weight, |c| c.kind.is_numeric(), "a number");
        }
        if let Some(group) = &self.group {
            role(&["schema", "group"], group, |_| true, "any type");
        }
        for (i, key) in self.key.iter().enumerate() {
            if self.key[..i].contains(key) {
                issues.push(issue(&["schema", "key"], format!("{key} is named twice"), None));
            }
        }
        if self.weight.is_some() && self.weight == self.label {
            issues.push(issue(&["schema", "weight"], "the weight cannot be the label".into(), None));
        }
    }
}

fn check_column(name: &str, column: &Column, issues: &mut Vec<SchemaIssue>) {
    let mut report =
        |key: &str, message: String| issues.push(issue(&["schema", "columns", name, key], message, None));
    let is_number = matches!(column.kind, ColumnType::Int64 | ColumnType::Float64);
    for (key, limit) in [("min", column.min), ("max", column.max)] {
        match limit {
            Some(_) if !is_number => {
                report(key, format!("{key} is for int64 and float64 columns; remove it"))
            }
            Some(limit) if !limit.is_finite() => {
                report(key, format!("{limit} is not a finite number; leave {key} out for no limit"))
            }
            _ => {}
        }
    }
    if let (Some(min), Some(max)) = (column.min, column.max)
        && min > max
    {
        report("min", format!("the minimum {min} is above the maximum {max}"));
    }
    if let Some(pattern) = &column.pattern {
        if column.kind != ColumnType::String {
            report("pattern", "a pattern is for string columns; remove it".into());
        } else if let Err(error) = compile_pattern(pattern) {
            report("pattern", format!("not a regular expression: {}", last_line(&error.to_string())));
        }
    }
    for text in &column.allowed {
        if !is_of_kind(column.kind, text) {
            report("allowed", format!("{text:?} is not {}", column.kind.with_article()));
        } else if column.missing.contains(text) {
            report(
                "missing",
                format!("{text:?} is an allowed value and cannot also mean that there is none"),
            );
        }
    }
    if name.is_empty() {
        issues.push(issue(&["schema", "columns"], "a column needs a name".into(), None));
    }
}

fn issue(path: &[&str], message: String, nearest: Option<String>) -> SchemaIssue {
    SchemaIssue { path: path.iter().map(|p| (*p).to_owned()).collect(), message, nearest }
}

/// The regex crate draws the pattern over several lines and names the fault in the last one.
fn last_line(text: &str) -> String {
    text.lines().last().unwrap_or(text).trim().trim_start_matches("error: ").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(toml: &str) -> Schema {
        crate::schema::from_toml(toml)
    }

    fn issues(toml: &str) -> Vec<String> {
        schema(toml).check().unwrap_err().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_sound_schema_and_an_empty_one_pass() {
        assert_eq!(Schema::default().check(), Ok(()));
        let sound = schema(
            r#"
            time = "ts"
            key = ["id"]
            label = "fraud"
            [columns]
            id = { type = "int64" }
            ts = { type = "timestamp" }
            amount = { type = "float64", min = 0.0, max = 0.0, missing = ["NA"] }
            kind = { type = "string", pattern = "[a-z]+", allowed = ["a", "b"] }
            fraud = { type = "bool", required = false }
            "#,
        );
        assert_eq!(sound.check(), Ok(()));
    }

    #[test]
    fn roles_must_name_columns_of_a_fitting_type() {
        let found = issues(
            "time = \"amount\"\nlabel = \"frod\"\nkey = [\"id\", \"amount\", \"amount\"]\nweight = \"who\"\n[columns]\nfraud = { type = \"bool\" }\namount = { type = \"float64\" }\nwho = { type = \"string\" }",
        );
        assert_eq!(
            found,
            [
                "schema.time: column amount is a float64, expected a timestamp",
                "schema.key: id is not among [schema.columns]",
                "schema.label: frod is not among [schema.columns], did you mean fraud?",
                "schema.weight: column who is a string, expected a number",
                "schema.key: amount is named twice",
            ]
        );
    }

    #[test]
    fn constraints_must_fit_the_type_and_each_other() {
        let found = issues(
            r#"
            [columns]
            "a.b" = { type = "float64", min = 2.0, max = 1.0 }
            n = { type = "int64", allowed = ["1", "x"] }
            s = { type = "string", min = 0.0, pattern = "(" }
            t = { type = "timestamp", pattern = "x" }
            m = { type = "string", allowed = ["?"], missing = ["?"] }
            inf = { type = "float64", max = inf }
            "#,
        );
        assert_eq!(
            found,
            [
                "schema.columns.\"a.b\".min: the minimum 2 is above the maximum 1",
                "schema.columns.n.allowed: \"x\" is not an int64",
                "schema.columns.s.min: min is for int64 and float64 columns; remove it",
                "schema.columns.s.pattern: not a regular expression: unclosed group",
                "schema.columns.t.pattern: a pattern is for string columns; remove it",
                "schema.columns.m.missing: \"?\" is an allowed value and cannot also mean that there is none",
                "schema.columns.inf.max: inf is not a finite number; leave max out for no limit",
            ]
        );
    }
}

use std::collections::HashSet;

use regex::Regex;

use super::number::{boolean, float, int};
use super::violation::{Violation, shown};
use super::{Column, ColumnType, FieldErrorCode, timestamp};

/// One column's constraints, compiled. The only place that decides whether a value is allowed.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub name: String,
    pub kind: ColumnType,
    pub required: bool,
    missing: Vec<String>,
    min: Option<f64>,
    max: Option<f64>,
    allowed: Allowed,
    allowed_texts: String,
    pattern: Option<(String, Regex)>,
}

#[derive(Clone, Debug)]
enum Allowed {
    Any,
    Bools(Vec<bool>),
    Ints(HashSet<i64>),
    Floats(Vec<f64>),
    Texts(HashSet<String>),
    Times(HashSet<i64>),
}

impl Rule {
    /// Compiles a column that `Schema::check` has passed; what it would refuse is ignored here.
    pub fn new(name: &str, column: &Column) -> Self {
        Self {
            name: name.into(),
            kind: column.kind,
            required: column.required,
            missing: column.missing.clone(),
            min: column.min,
            max: column.max,
            allowed: Allowed::parse(column),
            allowed_texts: first_texts(&column.allowed),
            pattern: column.pattern.as_ref().and_then(|p| Some((p.clone(), compile_pattern(p).ok()?))),
        }
    }

    /// Whether any value of the right type will do.
    pub fn is_free(&self) -> bool {
        self.min.is_none()
            && self.max.is_none()
            && self.pattern.is_none()
            && matches!(self.allowed, Allowed::Any)
    }

    /// Whether the text means "no value". Blanks do, except in a string column.
    pub fn is_missing(&self, text: &str) -> bool {
        if text.is_empty() {
            return true;
        }
        let trimmed = text.trim_ascii();
        let blank = trimmed.is_empty() && self.kind != ColumnType::String;
        blank || (!self.missing.is_empty() && self.missing.iter().any(|m| m == trimmed || m == text))
    }

    /// Whether only the empty text means "no value".
    pub fn has_missing_texts(&self) -> bool {
        !self.missing.is_empty()
    }

    /// Whether NaN in a typed source is declared to mean "no value".
    pub fn nan_is_missing(&self) -> bool {
        self.missing.iter().any(|m| m.eq_ignore_ascii_case("nan"))
    }

    pub fn check_bool(&self, value: bool) -> Result<(), Violation> {
        match &self.allowed {
            Allowed::Bools(allowed) if !allowed.contains(&value) => Err(self.not_allowed(&value.to_string())),
            _ => Ok(()),
        }
    }

    pub fn check_int(&self, value: i64) -> Result<(), Violation> {
        self.check_range(value as f64, || value.to_string())?;
        match &self.allowed {
            Allowed::Ints(allowed) if !allowed.contains(&value) => Err(self.not_allowed(&value.to_string())),
            _ => Ok(()),
        }
    }

    pub fn check_float(&self, value: f64) -> Result<(), Violation> {
        if !value.is_finite() {
            return Err(Violation::not_finite(value));
        }
        self.check_range(value, || value.to_string())?;
        match &self.allowed {
            Allowed::Floats(allowed) if !allowed.contains(&value) => {
                Err(self.not_allowed(&value.to_string()))
            }
            _ => Ok(()),
        }
    }

    pub fn check_text(&self, value: &str) -> Result<(), Violation> {
        if let Allowed::Texts(allowed) = &self.allowed
            && !allowed.contains(value)
        {
            return Err(self.not_allowed(&shown(value)));
        }
        match &self.pattern {
            Some((text, pattern)) if !pattern.is_match(value) => Err(Violation {
                code: FieldErrorCode::Pattern,
                message: format!("does not match the pattern {text}: {}", shown(value)),
            }),
            _ => Ok(()),
        }
    }

    pub fn check_time(&self, micros: i64) -> Result<(), Violation> {
        match &self.allowed {
            Allowed::Times(allowed) if !allowed.contains(&micros) => {
                Err(self.not_allowed(&micros.to_string()))
            }
            _ => Ok(()),
        }
    }

    fn check_range(&self, value: f64, text: impl Fn() -> String) -> Result<(), Violation> {
        let message = match (self.min, self.max) {
            (Some(min), _) if value < min => format!("below the minimum {min}: {}", text()),
            (_, Some(max)) if value > max => format!("above the maximum {max}: {}", text()),
            _ => return Ok(()),
        };
        Err(Violation { code: FieldErrorCode::Range, message })
    }

    fn not_allowed(&self, value: &str) -> Violation {
        let message = format!("not one of the allowed values {}: {value}", self.allowed_texts);
        Violation { code: FieldErrorCode::NotAllowed, message }
    }
}

impl Allowed {
    fn parse(column: &Column) -> Self {
        let texts = column.allowed.iter().map(String::as_str);
        if column.allowed.is_empty() {
            return Self::Any;
        }
        match column.kind {
            ColumnType::Bool => Self::Bools(texts.filter_map(boolean).collect()),
            ColumnType::Int64 => Self::Ints(texts.filter_map(int).collect()),
            ColumnType::Float64 => Self::Floats(texts.filter_map(float).collect()),
            ColumnType::String => Self::Texts(texts.map(str::to_owned).collect()),
            ColumnType::Timestamp => Self::Times(texts.filter_map(timestamp::from_text).collect()),
        }
    }
}

/// The pattern as it is applied: to the whole text.
pub(crate) fn compile_pattern(pattern: &str) -> Result<Regex, regex::Error> {
    Regex::new(&format!(r"\A(?:{pattern})\z"))
}

/// Whether `text` can be read as a value of the type.
pub(crate) fn is_of_kind(kind: ColumnType, text: &str) -> bool {
    match kind {
        ColumnType::Bool => boolean(text).is_some(),
        ColumnType::Int64 => int(text).is_some(),
        ColumnType::Float64 => float(text).is_some_and(f64::is_finite),
        ColumnType::String => true,
        ColumnType::Timestamp => timestamp::from_text(text).is_some(),
    }
}

fn first_texts(allowed: &[String]) -> String {
    const N_SHOWN: usize = 10;
    let mut texts = allowed.iter().take(N_SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    if allowed.len() > N_SHOWN {
        texts.push_str(&format!(" and {} more", allowed.len() - N_SHOWN));
    }
    texts
}

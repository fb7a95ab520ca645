use indexmap::IndexMap;

use super::number::{boolean, float, int};
use super::{ColumnType, timestamp};

/// Where a text comes from, which limits what it can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// A text that may be anything.
    Text,
    /// A string of JSON: never a number.
    JsonString,
    /// A number of JSON.
    Number,
    /// A column whose type is known.
    Typed(ColumnType),
}

/// Texts that people write for "no value"; in a string column only the first few are taken so,
/// the others are words.
const MISSING_TEXTS: [&str; 13] =
    ["NA", "N/A", "NaN", "nan", "NULL", "null", "?", "#N/A", "n/a", "None", "none", "nil", "-"];
const N_MISSING_STRINGS: usize = 8;

/// Which types all values of a column fit so far.
#[derive(Debug)]
pub(super) struct Guess {
    is_bool: bool,
    is_int: bool,
    is_float: bool,
    is_time: bool,
    typed: Option<ColumnType>,
    n_values: usize,
    n_blank: usize,
    missing: IndexMap<&'static str, usize>,
    min: f64,
    max: f64,
}

impl Default for Guess {
    fn default() -> Self {
        Self {
            is_bool: true,
            is_int: true,
            is_float: true,
            is_time: true,
            typed: None,
            n_values: 0,
            n_blank: 0,
            missing: IndexMap::new(),
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
        }
    }
}

impl Guess {
    /// The column's type when its source knows it, even if no value comes.
    pub fn expect(&mut self, origin: Origin) {
        if let Origin::Typed(kind) = origin {
            self.typed = Some(kind);
        }
    }

    /// Takes one value in. False when it means that there is none.
    pub fn observe(&mut self, text: &str, origin: Origin) -> bool {
        let trimmed = text.trim_ascii();
        if text.is_empty() {
            return false;
        }
        if trimmed.is_empty() {
            self.n_blank += 1;
            return false;
        }
        let marker = MISSING_TEXTS.iter().find(|m| **m == trimmed);
        if let (Some(marker), Origin::Text | Origin::JsonString) = (marker, origin) {
            *self.missing.entry(marker).or_default() += 1;
            return true;
        }
        self.n_values += 1;
        match origin {
            Origin::Typed(kind) => self.typed = Some(kind),
            Origin::Number => {
                self.is_bool = false;
                self.is_time = false;
                self.is_int = self.is_int && int(trimmed).is_some();
            }
            Origin::JsonString => {
                self.is_bool = false;
                self.is_int = false;
                self.is_float = false;
                self.is_time = self.is_time && is_calendar(trimmed);
            }
            Origin::Text => self.narrow(trimmed),
        }
        if let Some(number) = float(trimmed).filter(|x| x.is_finite()) {
            self.min = self.min.min(number);
            self.max = self.max.max(number);
        }
        true
    }

    fn narrow(&mut self, text: &str) {
        // 1 and 0 are counts as often as they are truth values.
        self.is_bool = self.is_bool && !text.starts_with(['0', '1']) && boolean(text).is_some();
        let is_code = has_leading_zero(text);
        self.is_int = self.is_int && !is_code && int(text).is_some();
        self.is_float = self.is_float && !is_code && float(text).is_some_and(f64::is_finite);
        self.is_time = self.is_time && is_calendar(text);
    }

    /// The narrowest type that fits, and the texts that mean "no value" under it.
    pub fn conclude(&self) -> (ColumnType, Vec<String>) {
        let kind = match self.typed {
            Some(kind) => kind,
            None if self.n_values == 0 => ColumnType::String,
            None if self.is_bool => ColumnType::Bool,
            None if self.is_int => ColumnType::Int64,
            None if self.is_float => ColumnType::Float64,
            None if self.is_time => ColumnType::Timestamp,
            None => ColumnType::String,
        };
        let missing =
            self.missing.keys().filter(|text| is_missing(kind, text)).map(|text| (*text).to_owned());
        (kind, missing.collect())
    }

    /// Values under a type: some texts are missing in a number column and words in a string one.
    pub fn n_values(&self, kind: ColumnType) -> usize {
        let words: usize =
            self.missing.iter().filter(|(text, _)| !is_missing(kind, text)).map(|(_, n)| n).sum();
        let blanks = if kind == ColumnType::String { self.n_blank } else { 0 };
        self.n_values + words + blanks
    }

    /// Smallest and largest number of a number column.
    pub fn limits(&self, kind: ColumnType) -> (Option<f64>, Option<f64>) {
        let is_number = matches!(kind, ColumnType::Int64 | ColumnType::Float64);
        if is_number && self.min <= self.max { (Some(self.min), Some(self.max)) } else { (None, None) }
    }
}

fn is_missing(kind: ColumnType, text: &str) -> bool {
    let taken =
        if kind == ColumnType::String { &MISSING_TEXTS[..N_MISSING_STRINGS] } else { &MISSING_TEXTS[..] };
    taken.contains(&text)
}

/// `007` is a code, and would not be written back as it was read.
fn has_leading_zero(text: &str) -> bool {
    matches!(text.trim_start_matches(['-', '+']).as_bytes(), [b'0', b'0'..=b'9', ..])
}

/// An instant written as a date: plain numbers are numbers.
fn is_calendar(text: &str) -> bool {
    text.len() >= 10 && text.as_bytes()[4].is_ascii_punctuation() && timestamp::from_text(text).is_some()
}

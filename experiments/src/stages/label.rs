use std::collections::BTreeMap;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use cupola_models::predict::{Task, TaskKind};
use cupola_training::metrics::RELEVANCE_MAX;

use super::error::RunError;

/// Most classes of a label.
const CLASSES_MAX: usize = 1_000;

/// Turns label values into numbers, and says what the task is.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelEncoder {
    /// The task, with the class texts in the order of their indices.
    pub task: Task,
}

/// Distinct label values, counted until they are clearly not classes.
#[derive(Debug, Default)]
pub struct LabelValues {
    counts: BTreeMap<LabelKey, u64>,
    too_many: bool,
    float: bool,
    textual: bool,
    smallest: f64,
    largest: f64,
}

/// Orders numbers by value and texts by text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum LabelKey {
    Number(i64),
    Text(String),
}

impl LabelKey {
    fn text(&self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Text(text) => text.clone(),
        }
    }
}

impl LabelValues {
    /// Counts the values of a column; missing ones are not counted.
    pub fn observe(&mut self, column: &dyn Array) {
        for row in 0..column.len() {
            if column.is_null(row) {
                continue;
            }
            if let Some(value) = number(column, row) {
                self.smallest = self.smallest.min(value);
                self.largest = self.largest.max(value);
                self.float |= value.fract() != 0.0;
            }
            self.textual |= matches!(column.data_type(), DataType::Utf8);
            if self.too_many {
                continue;
            }
            *self.counts.entry(key(column, row)).or_default() += 1;
            self.too_many = self.counts.len() > CLASSES_MAX;
        }
    }

    /// The encoder for these values: the declared task, or the one they look like.
    pub fn encoder(&self, label: &str, declared: Option<TaskKind>) -> Result<LabelEncoder, RunError> {
        let classes: Vec<String> = self.counts.keys().map(LabelKey::text).collect();
        let textual = self.textual;
        if classes.is_empty() {
            return Err(RunError::Data(format!(
                "every value of the label `{label}` is missing: there is nothing to learn"
            )));
        }
        if classes.len() == 1 && !self.float {
            return Err(RunError::Data(format!(
                "the label `{label}` has one value only ({}): there is nothing to tell apart; check the source and prepare.filter",
                classes[0]
            )));
        }
        let kind = declared.unwrap_or(match (textual, classes.len()) {
            (_, 2) if !self.float => TaskKind::Binary,
            (true, _) => TaskKind::Multiclass,
            (false, _) => TaskKind::Regression,
        });
        let task = match kind {
            TaskKind::Binary => Task::Binary { classes: self.two_classes(label, classes)? },
            TaskKind::Multiclass if self.too_many || self.float => {
                return Err(RunError::Settings(format!(
                    "the label `{label}` has more than {CLASSES_MAX} values or fractions; a multiclass task needs classes, use task = \"regression\""
                )));
            }
            TaskKind::Multiclass => Task::Multiclass { classes },
            TaskKind::Regression | TaskKind::Poisson | TaskKind::Ranking if textual => {
                return Err(RunError::Settings(
                    format!("the label `{label}` is text; a {kind:?} task needs numbers").to_lowercase(),
                ));
            }
            TaskKind::Poisson if self.smallest < 0.0 => {
                return Err(RunError::Data(format!(
                    "the label `{label}` has negative values; a poisson task counts"
                )));
            }
            TaskKind::Ranking
                if self.smallest < 0.0 || self.largest > f64::from(RELEVANCE_MAX) || self.float =>
            {
                return Err(RunError::Data(format!(
                    "the label `{label}` has negative, fractional or large numbers (up to {}); a ranking learns a relevance, a whole number from 0 to {RELEVANCE_MAX}",
                    self.largest
                )));
            }
            TaskKind::Regression => Task::Regression,
            TaskKind::Poisson => Task::Poisson,
            TaskKind::Ranking => Task::Ranking,
        };
        Ok(LabelEncoder { task })
    }

    fn two_classes(&self, label: &str, classes: Vec<String>) -> Result<[String; 2], RunError> {
        let n = classes.len();
        classes.try_into().map_err(|_| {
            RunError::Settings(format!(
                "the label `{label}` has {n} values; a binary task needs two, use task = \"multiclass\" or \"regression\""
            ))
        })
    }
}

impl LabelEncoder {
    /// Label of each row: class index, value or count; NaN where it is missing.
    pub fn encode(&self, column: &dyn Array) -> Vec<f32> {
        let classes: &[String] = match &self.task {
            Task::Binary { classes } => classes,
            Task::Multiclass { classes } => classes,
            _ => {
                return (0..column.len())
                    .map(|row| number(column, row).map_or(f32::NAN, |v| v as f32))
                    .collect();
            }
        };
        let index: std::collections::HashMap<&str, f32> =
            classes.iter().enumerate().map(|(i, class)| (class.as_str(), i as f32)).collect();
        (0..column.len())
            .map(|row| {
                if column.is_null(row) {
                    return f32::NAN;
                }
                index.get(key(column, row).text().as_str()).copied().unwrap_or(f32::NAN)
            })
            .collect()
    }
}

fn number(column: &dyn Array, row: usize) -> Option<f64> {
    if column.is_null(row) {
        return None;
    }
    match column.data_type() {
        DataType::Int64 => Some(column.as_primitive::<Int64Type>().value(row) as f64),
        DataType::Float64 => Some(column.as_primitive::<Float64Type>().value(row)),
        DataType::Boolean => Some(f64::from(u8::from(column.as_boolean().value(row)))),
        _ => None,
    }
}

fn key(column: &dyn Array, row: usize) -> LabelKey {
    match column.data_type() {
        DataType::Boolean => LabelKey::Text(column.as_boolean().value(row).to_string()),
        DataType::Int64 => LabelKey::Number(column.as_primitive::<Int64Type>().value(row)),
        DataType::Float64 => {
            let value = column.as_primitive::<Float64Type>().value(row);
            if value.fract() == 0.0 {
                LabelKey::Number(value as i64)
            } else {
                LabelKey::Text(value.to_string())
            }
        }
        DataType::Utf8 => LabelKey::Text(column.as_string::<i32>().value(row).to_owned()),
        _ => LabelKey::Text(String::new()),
    }
}

//! Text columns to typed columns.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanArray, Float64Array, Int64Array, StringArray, TimestampMicrosecondArray,
};
use arrow::buffer::{BooleanBuffer, NullBuffer, ScalarBuffer};

use super::number::{boolean, float, int};
use super::rule::Rule;
use super::violation::{Violation, shown};
use super::{ColumnType, timestamp};

/// A typed column of as many rows as the chunk, and what is wrong with which row. The values of
/// broken rows are of no meaning.
pub(super) struct Converted {
    pub array: ArrayRef,
    pub broken: Vec<(usize, Violation)>,
}

/// Reads every text of a column as the rule's type and checks it.
pub(super) fn convert(rule: &Rule, texts: &StringArray) -> Converted {
    match rule.kind {
        ColumnType::Bool => bools(rule, texts),
        ColumnType::Int64 => {
            let (values, nulls, broken) = numbers(rule, texts, |rule, text| {
                let value = int(text).ok_or_else(|| Violation::not_a(rule.kind, shown(text)))?;
                rule.check_int(value).map(|()| value)
            });
            Converted { array: Arc::new(Int64Array::new(values, nulls)), broken }
        }
        ColumnType::Float64 => {
            let (values, nulls, broken) = numbers(rule, texts, |rule, text| {
                let value = float(text).ok_or_else(|| Violation::not_a(rule.kind, shown(text)))?;
                rule.check_float(value).map(|()| value)
            });
            Converted { array: Arc::new(Float64Array::new(values, nulls)), broken }
        }
        ColumnType::Timestamp => {
            let (values, nulls, broken) = numbers(rule, texts, |rule, text| {
                let value =
                    timestamp::from_text(text).ok_or_else(|| Violation::not_a(rule.kind, shown(text)))?;
                rule.check_time(value).map(|()| value)
            });
            Converted {
                array: Arc::new(TimestampMicrosecondArray::new(values, nulls).with_timezone("UTC")),
                broken,
            }
        }
        ColumnType::String => strings(rule, texts),
    }
}

type Numbers<T> = (ScalarBuffer<T>, Option<NullBuffer>, Vec<(usize, Violation)>);

fn numbers<T: arrow::datatypes::ArrowNativeType>(
    rule: &Rule,
    texts: &StringArray,
    parse: impl Fn(&Rule, &str) -> Result<T, Violation>,
) -> Numbers<T> {
    let mut values = Vec::with_capacity(texts.len());
    let mut present = Presence::default();
    let mut broken = Vec::new();
    for row in 0..texts.len() {
        let value = match text_at(rule, texts, row) {
            Some(text) => parse(rule, text).unwrap_or_else(|violation| {
                broken.push((row, violation));
                T::default()
            }),
            None => {
                present.is_absent(row, rule, &mut broken);
                T::default()
            }
        };
        values.push(value);
    }
    (values.into(), present.nulls(texts.len()), broken)
}

fn bools(rule: &Rule, texts: &StringArray) -> Converted {
    let (bytes, nulls, broken) = numbers(rule, texts, |rule, text| {
        let value = boolean(text).ok_or_else(|| Violation::not_a(rule.kind, shown(text)))?;
        rule.check_bool(value).map(|()| u8::from(value))
    });
    let values = BooleanBuffer::collect_bool(bytes.len(), |i| bytes[i] == 1);
    Converted { array: Arc::new(BooleanArray::new(values, nulls)), broken }
}

/// Texts stay where they are: only the nulls are new.
fn strings(rule: &Rule, texts: &StringArray) -> Converted {
    let mut present = Presence::default();
    let mut broken = Vec::new();
    let is_free = rule.is_free();
    let offsets = texts.value_offsets();
    let only_empty = !rule.has_missing_texts() && texts.null_count() == 0;
    for row in 0..texts.len() {
        if only_empty && is_free {
            if offsets[row] == offsets[row + 1] {
                present.is_absent(row, rule, &mut broken);
            }
            continue;
        }
        match text_at(rule, texts, row) {
            Some(text) if !is_free => {
                if let Err(violation) = rule.check_text(text) {
                    broken.push((row, violation));
                }
            }
            Some(_) => {}
            None => present.is_absent(row, rule, &mut broken),
        }
    }
    let array = StringArray::new(texts.offsets().clone(), texts.values().clone(), present.nulls(texts.len()));
    Converted { array: Arc::new(array), broken }
}

fn text_at<'a>(rule: &Rule, texts: &'a StringArray, row: usize) -> Option<&'a str> {
    if texts.is_null(row) {
        return None;
    }
    Some(texts.value(row)).filter(|text| !rule.is_missing(text))
}

/// Rows without a value; made only when there is one.
#[derive(Default)]
pub(super) struct Presence {
    absent: Vec<usize>,
}

impl Presence {
    pub fn is_absent(&mut self, row: usize, rule: &Rule, broken: &mut Vec<(usize, Violation)>) {
        self.absent.push(row);
        if rule.required {
            broken.push((row, Violation::missing()));
        }
    }

    pub fn nulls(&self, n_rows: usize) -> Option<NullBuffer> {
        if self.absent.is_empty() {
            return None;
        }
        let mut valid = vec![true; n_rows];
        for row in &self.absent {
            valid[*row] = false;
        }
        Some(NullBuffer::from(valid))
    }
}

//! Columns of typed sources (Parquet) to the schema's types.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, TimestampMicrosecondArray,
};
use arrow::buffer::BooleanBuffer;
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimeUnit, TimestampMicrosecondType};
use arrow::util::display::array_value_to_string;

use super::number::integral;
use super::rule::Rule;
use super::text::{self, Converted, Presence};
use super::violation::Violation;
use super::{ColumnType, timestamp};

/// Brings a column of any Arrow type to the rule's type and checks it. What cannot be converted
/// without loss is broken.
pub(super) fn convert(rule: &Rule, column: &ArrayRef) -> Converted {
    let values = match column.data_type() {
        DataType::Dictionary(_, values) => values.as_ref(),
        other => other,
    };
    let is_text = matches!(
        values,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Binary | DataType::LargeBinary
    );
    let is_whole = values.is_integer() || matches!(values, DataType::Boolean);
    if is_text || (rule.kind == ColumnType::String && is_whole) {
        return match cast(column, &DataType::Utf8) {
            Some(texts) => text::convert(rule, texts.as_string()),
            None => all_broken(rule, column),
        };
    }
    let converted = match rule.kind {
        ColumnType::Bool => bools(rule, column),
        ColumnType::Int64 => ints(rule, column),
        ColumnType::Float64 => floats(rule, column),
        ColumnType::Timestamp => times(rule, column),
        ColumnType::String => None,
    };
    converted.unwrap_or_else(|| all_broken(rule, column))
}

fn bools(rule: &Rule, column: &ArrayRef) -> Option<Converted> {
    if !column.data_type().is_numeric() && column.data_type() != &DataType::Boolean {
        return None;
    }
    let numbers = cast(column, &DataType::Float64)?;
    let numbers = numbers.as_primitive::<Float64Type>();
    let (present, broken) = check(rule, column, |row| match numbers.value(row) {
        value if value == 0.0 || value == 1.0 => rule.check_bool(value == 1.0),
        value => Err(Violation::not_a(rule.kind, value)),
    });
    let values = BooleanBuffer::collect_bool(numbers.len(), |row| numbers.value(row) == 1.0);
    Some(Converted { array: Arc::new(BooleanArray::new(values, present.nulls(column.len()))), broken })
}

fn ints(rule: &Rule, column: &ArrayRef) -> Option<Converted> {
    if !column.data_type().is_numeric() {
        return None;
    }
    let floats = if column.data_type().is_integer() { None } else { Some(cast(column, &DataType::Float64)?) };
    let ints = match &floats {
        None => cast(column, &DataType::Int64)?,
        Some(floats) => {
            let floats = floats.as_primitive::<Float64Type>();
            Arc::new(floats.iter().map(|value| value.and_then(integral)).collect::<Int64Array>()) as ArrayRef
        }
    };
    let ints = ints.as_primitive::<Int64Type>();
    let (present, broken) = check(rule, column, |row| {
        if ints.is_null(row) {
            return Err(Violation::not_a(rule.kind, shown(column, row)));
        }
        rule.check_int(ints.value(row))
    });
    let array = Int64Array::new(ints.values().clone(), present.nulls(column.len()));
    Some(Converted { array: Arc::new(array), broken })
}

fn floats(rule: &Rule, column: &ArrayRef) -> Option<Converted> {
    if !column.data_type().is_numeric() {
        return None;
    }
    let numbers = cast(column, &DataType::Float64)?;
    let numbers = numbers.as_primitive::<Float64Type>();
    let (present, broken) = check(rule, column, |row| rule.check_float(numbers.value(row)));
    let array = Float64Array::new(numbers.values().clone(), present.nulls(column.len()));
    Some(Converted { array: Arc::new(array), broken })
}

fn times(rule: &Rule, column: &ArrayRef) -> Option<Converted> {
    let times: ArrayRef = match column.data_type() {
        DataType::Timestamp(..) | DataType::Date32 | DataType::Date64 => {
            let plain = cast(
                column,
                &DataType::Timestamp(TimeUnit::Microsecond, None).with_zone_of(column.data_type()),
            )?;
            cast(&plain, &ColumnType::Timestamp.arrow())?
        }
        kind if kind.is_integer() => {
            let numbers = cast(column, &DataType::Int64)?;
            let numbers = numbers.as_primitive::<Int64Type>();
            Arc::new(
                numbers
                    .iter()
                    .map(|n| n.and_then(timestamp::from_number))
                    .collect::<TimestampMicrosecondArray>(),
            )
        }
        _ => return None,
    };
    let times = times.as_primitive::<TimestampMicrosecondType>();
    let (present, broken) = check(rule, column, |row| {
        if times.is_null(row) {
            return Err(Violation::not_a(rule.kind, shown(column, row)));
        }
        rule.check_time(times.value(row))
    });
    let array = TimestampMicrosecondArray::new(times.values().clone(), present.nulls(column.len()))
        .with_timezone("UTC");
    Some(Converted { array: Arc::new(array), broken })
}

trait WithZone {
    fn with_zone_of(self, other: &DataType) -> DataType;
}

impl WithZone for DataType {
    /// An instant keeps its zone while its unit changes; a local time has none and is UTC.
    fn with_zone_of(self, other: &DataType) -> DataType {
        match (self, other) {
            (DataType::Timestamp(unit, _), DataType::Timestamp(_, zone)) => {
                DataType::Timestamp(unit, zone.clone())
            }
            (plain, _) => plain,
        }
    }
}

/// Runs `value` on every row that has one.
fn check(
    rule: &Rule,
    column: &ArrayRef,
    value: impl Fn(usize) -> Result<(), Violation>,
) -> (Presence, Vec<(usize, Violation)>) {
    let mut present = Presence::default();
    let mut broken = Vec::new();
    let nan_is_missing = rule.nan_is_missing() && column.data_type().is_floating();
    for row in 0..column.len() {
        if column.is_null(row) || (nan_is_missing && is_nan(column, row)) {
            present.is_absent(row, rule, &mut broken);
        } else if let Err(violation) = value(row) {
            broken.push((row, violation));
        }
    }
    (present, broken)
}

fn is_nan(column: &ArrayRef, row: usize) -> bool {
    use arrow::datatypes::Float32Type;
    match column.data_type() {
        DataType::Float64 => column.as_primitive::<Float64Type>().value(row).is_nan(),
        DataType::Float32 => column.as_primitive::<Float32Type>().value(row).is_nan(),
        _ => false,
    }
}

/// No value of the column has the type.
fn all_broken(rule: &Rule, column: &ArrayRef) -> Converted {
    let (_, broken) = check(rule, column, |row| Err(Violation::not_a(rule.kind, shown(column, row))));
    // Whatever has a value is broken, so that nulls are all there is to keep.
    let array = arrow::array::new_null_array(&rule.kind.arrow(), column.len());
    Converted { array, broken }
}

fn shown(column: &ArrayRef, row: usize) -> String {
    let text = array_value_to_string(column, row).unwrap_or_else(|_| column.data_type().to_string());
    super::violation::shown(&text)
}

/// Safe cast: what does not fit becomes null.
fn cast(column: &ArrayRef, to: &DataType) -> Option<ArrayRef> {
    cast_with_options(column, to, &CastOptions { safe: true, ..CastOptions::default() }).ok()
}

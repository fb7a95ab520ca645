use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::schema::ColumnType;
use crate::schema::column::ColumnBuilder;
use crate::schema::number::integral;
use crate::schema::rule::Rule;
use crate::schema::timestamp;
use crate::schema::violation::{Violation, shown};

/// Reads one JSON value into a column. The outer result is about the JSON, the inner one about
/// the value; after an inner error the column may hold the value or not.
pub(super) struct ValueSeed<'a> {
    pub rule: &'a Rule,
    pub column: &'a mut ColumnBuilder,
}

type Checked = Result<(), Violation>;

impl<'de> DeserializeSeed<'de> for ValueSeed<'_> {
    type Value = Checked;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Checked, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl ValueSeed<'_> {
    fn bool(self, value: bool) -> Checked {
        if self.rule.kind != ColumnType::Bool {
            return Err(Violation::not_a(self.rule.kind, value));
        }
        self.rule.check_bool(value)?;
        self.column.push_bool(value);
        Ok(())
    }

    fn int(self, value: i64) -> Checked {
        match self.rule.kind {
            ColumnType::Int64 => {
                self.rule.check_int(value)?;
                self.column.push_int(value);
            }
            ColumnType::Float64 => return self.float(value as f64),
            ColumnType::Timestamp => {
                let micros = timestamp::from_number(value)
                    .ok_or_else(|| Violation::not_a(ColumnType::Timestamp, value))?;
                return self.time(micros);
            }
            ColumnType::Bool if value == 0 || value == 1 => return self.bool(value == 1),
            ColumnType::Bool | ColumnType::String => return Err(Violation::not_a(self.rule.kind, value)),
        }
        Ok(())
    }

    fn float(self, value: f64) -> Checked {
        match self.rule.kind {
            ColumnType::Float64 => {
                self.rule.check_float(value)?;
                self.column.push_float(value);
                Ok(())
            }
            ColumnType::Timestamp => {
                let micros = timestamp::from_float(value)
                    .ok_or_else(|| Violation::not_a(ColumnType::Timestamp, value))?;
                self.time(micros)
            }
            ColumnType::Int64 | ColumnType::Bool => match integral(value) {
                Some(whole) => self.int(whole),
                None => Err(Violation::not_a(self.rule.kind, value)),
            },
            ColumnType::String => Err(Violation::not_a(ColumnType::String, value)),
        }
    }

    fn time(self, micros: i64) -> Checked {
        self.rule.check_time(micros)?;
        self.column.push_int(micros);
        Ok(())
    }

    fn text(self, text: &str) -> Checked {
        if self.rule.is_missing(text) {
            return self.null();
        }
        match self.rule.kind {
            ColumnType::String => {
                self.rule.check_text(text)?;
                self.column.push_text(text)
            }
            ColumnType::Timestamp => match timestamp::from_text(text) {
                Some(micros) => self.time(micros),
                None => Err(Violation::not_a(ColumnType::Timestamp, shown(text))),
            },
            kind => Err(Violation::not_a(kind, format_args!("the string {}", shown(text)))),
        }
    }

    fn null(self) -> Checked {
        if self.rule.required {
            return Err(Violation::missing());
        }
        self.column.push_null();
        Ok(())
    }
}

impl<'de> Visitor<'de> for ValueSeed<'_> {
    type Value = Checked;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.rule.kind.with_article())
    }

    fn visit_bool<E>(self, value: bool) -> Result<Checked, E> {
        Ok(self.bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Checked, E> {
        Ok(self.int(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Checked, E> {
        Ok(match i64::try_from(value) {
            Ok(value) => self.int(value),
            Err(_) if self.rule.kind == ColumnType::Float64 => self.float(value as f64),
            Err(_) => Err(Violation::not_a(self.rule.kind, value)),
        })
    }

    fn visit_f64<E>(self, value: f64) -> Result<Checked, E> {
        Ok(self.float(value))
    }

    fn visit_str<E>(self, text: &str) -> Result<Checked, E> {
        Ok(self.text(text))
    }

    fn visit_unit<E>(self) -> Result<Checked, E> {
        Ok(self.null())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Checked, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Err(Violation::not_a(self.rule.kind, "an array")))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Checked, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Err(Violation::not_a(self.rule.kind, "an object")))
    }
}

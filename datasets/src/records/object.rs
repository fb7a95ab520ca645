use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::RowsBuilder;
use super::value::ValueSeed;
use crate::schema::FieldErrorCode;
use crate::schema::violation::Violation;

/// Reads one JSON object into the columns of a builder.
pub(super) struct ObjectSeed<'a> {
    pub rows: &'a mut RowsBuilder,
}

impl<'de> DeserializeSeed<'de> for ObjectSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl ObjectSeed<'_> {
    fn not_an_object(self, found: &str) {
        let violation =
            Violation { code: FieldErrorCode::Type, message: format!("a record is a JSON object: {found}") };
        self.rows.errors.push(violation.at(""));
        // No column is missing from what is no record.
        for column in &mut self.rows.columns {
            column.push_null();
        }
    }
}

impl<'de> Visitor<'de> for ObjectSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let rows = self.rows;
        let mut expected = 0;
        loop {
            rows.current = None;
            let key = KeySeed { rows, expected };
            let Some(found) = map.next_key_seed(key)? else { return Ok(()) };
            let Some(index) = found else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            expected = index + 1;
            rows.current = Some(index);
            let (rule, column) = (&rows.rules[index], &mut rows.columns[index]);
            if column.len() > rows.n_rows {
                map.next_value::<IgnoredAny>()?;
                let violation =
                    Violation { code: FieldErrorCode::Type, message: "the field is given twice".into() };
                rows.errors.push(violation.at(&rule.name));
                continue;
            }
            if let Err(violation) = map.next_value_seed(ValueSeed { rule, column })? {
                rows.errors.push(violation.at(&rule.name));
                // The column counts as given, so that it is not reported missing as well.
                column.truncate(rows.n_rows);
                column.push_null();
            }
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        self.not_an_object("an array");
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        self.not_an_object("a string");
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        self.not_an_object("a bool");
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        self.not_an_object("a number");
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        self.not_an_object("a number");
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        self.not_an_object("a number");
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.not_an_object("null");
        Ok(())
    }
}

/// Reads a key and finds its column, without keeping the key.
struct KeySeed<'a> {
    rows: &'a RowsBuilder,
    expected: usize,
}

impl<'de> DeserializeSeed<'de> for KeySeed<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<usize>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for KeySeed<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field name")
    }

    fn visit_str<E>(self, key: &str) -> Result<Option<usize>, E> {
        match self.rows.rules.get(self.expected) {
            Some(rule) if rule.name == key => Ok(Some(self.expected)),
            _ => Ok(self.rows.by_name.get(key).copied()),
        }
    }
}

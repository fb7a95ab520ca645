use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Looks up fields of a JSON object by their names, without reading further than the last one: `found` has the text of
/// each value, `None` where the object has no such field. What is no object has none.
pub fn raw_fields<'de>(json: &'de str, names: &[String], found: &mut Vec<Option<&'de RawValue>>) {
    found.clear();
    found.resize(names.len(), None);
    let mut reader = serde_json::Deserializer::from_str(json);
    // Stopping before the end of the object counts as an error there; what was found is found.
    let _ = reader.deserialize_map(Wanted { names, found });
}

/// Names of the fields of a JSON object; none where it is none.
pub fn field_names(json: &str) -> Vec<String> {
    let fields: Result<indexmap::IndexMap<String, IgnoredAny>, _> = serde_json::from_str(json);
    fields.map(|fields| fields.into_keys().collect()).unwrap_or_default()
}

struct Wanted<'a, 'de> {
    names: &'a [String],
    found: &'a mut [Option<&'de RawValue>],
}

impl<'de> Visitor<'de> for Wanted<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut n_left = self.names.len();
        while n_left > 0 {
            match map.next_key_seed(Place(self.names))? {
                None => break,
                Some(Some(at)) if self.found[at].is_none() => {
                    self.found[at] = Some(map.next_value()?);
                    n_left -= 1;
                }
                Some(_) => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

/// Reads a key and finds it among the names, without keeping it.
struct Place<'a>(&'a [String]);

impl<'de> DeserializeSeed<'de> for Place<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<usize>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Place<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Option<usize>, E> {
        Ok(self.0.iter().position(|name| name == key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_as_they_are_written() {
        let names = ["id", "b", "none"].map(String::from);
        let mut found = Vec::new();
        let mut texts = |json| -> Vec<Option<String>> {
            raw_fields(json, &names, &mut found);
            found.iter().map(|value| value.map(|value: &RawValue| value.get().to_owned())).collect()
        };
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            texts(r#"{"a": [1, {"id": 2}], "id": 12345678901234567890, "b": "x\"y", "c": null}"#),
            [some("12345678901234567890"), some(r#""x\"y""#), None]
        );
        assert_eq!(texts(r#"{"b": 1.50, "id": null}"#), [some("null"), some("1.50"), None]);
        assert_eq!(texts("[1]"), [None, None, None]);
        assert_eq!(field_names(r#"{"x": 1, "y": {"z": 2}}"#), ["x", "y"]);
        assert!(field_names("1").is_empty());
    }
}

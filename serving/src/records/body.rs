use std::fmt;
use std::ops::Range;

use bytes::Bytes;
use memchr::memmem;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The records of a request: slices of its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Records {
    /// The body is one record.
    One,
    /// Places of the records in the body, in order.
    Many(Vec<Range<usize>>),
}

impl Records {
    /// Number of records.
    pub fn len(&self) -> usize {
        match self {
            Self::One => 1,
            Self::Many(places) => places.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Record `i` of `body`.
    pub fn get<'a>(&self, body: &'a [u8], i: usize) -> &'a [u8] {
        match self {
            Self::One => body,
            Self::Many(places) => &body[places[i].clone()],
        }
    }

    /// Only the records at `indices`, in that order.
    pub fn select(&self, indices: &[usize], body_len: usize) -> Self {
        match self {
            Self::One => Self::Many(vec![0..body_len; indices.len()]),
            Self::Many(places) => Self::Many(indices.iter().map(|i| places[*i].clone()).collect()),
        }
    }
}

/// Why a body has no records.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// Not JSON.
    #[error("the body is not valid JSON: {reason}")]
    Malformed {
        /// What the parser found, with line and column.
        reason: String,
    },
    /// JSON of another kind.
    #[error("the body must be one JSON object, a record or {{\"records\": [...]}}")]
    NotAnObject,
    /// An empty list.
    #[error("`records` is empty; send at least one record")]
    NoRecords,
}

/// Finds the records of `{"records": [{...}, ...]}`, else takes the body as one record.
///
/// A single record is not parsed here: whoever reads its values finds out whether it is JSON.
pub fn split(body: &Bytes) -> Result<Records, BodyError> {
    let text = body.trim_ascii_start();
    match text.first() {
        None => return Err(BodyError::Malformed { reason: "it is empty".into() }),
        Some(b'{') => {}
        Some(_) => {
            check(body)?;
            return Err(BodyError::NotAnObject);
        }
    }
    if memmem::find(text, b"\"records\"").is_none() {
        return Ok(Records::One);
    }
    let mut parser = serde_json::Deserializer::from_slice(body);
    let found = parser.deserialize_map(Envelope { body }).and_then(|found| parser.end().map(|()| found));
    match found.map_err(malformed)? {
        None => Ok(Records::One),
        Some(places) if places.is_empty() => Err(BodyError::NoRecords),
        Some(places) => Ok(Records::Many(places)),
    }
}

/// Whether `text` is JSON at all. The parser does not look into strings that it skips, so that their
/// encoding is checked first.
pub fn check(text: &[u8]) -> Result<(), BodyError> {
    if let Err(error) = std::str::from_utf8(text) {
        return Err(BodyError::Malformed { reason: format!("it is not UTF-8: {error}") });
    }
    serde_json::from_slice::<IgnoredAny>(text).map(|_| ()).map_err(malformed)
}

fn malformed(error: serde_json::Error) -> BodyError {
    BodyError::Malformed { reason: error.to_string() }
}

/// Visits the outer object and notes the places of the elements of `records`.
struct Envelope<'a> {
    body: &'a [u8],
}

impl<'de> Visitor<'de> for Envelope<'de> {
    type Value = Option<Vec<Range<usize>>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut places = None;
        while let Some(key) = map.next_key::<Key>()? {
            if !key.is_records {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let value: &RawValue = map.next_value()?;
            if value.get().starts_with('[') {
                let records: Vec<&RawValue> =
                    serde_json::from_str(value.get()).map_err(serde::de::Error::custom)?;
                places = Some(records.into_iter().map(|r| place(self.body, r)).collect());
            }
        }
        Ok(places)
    }
}

/// Where a value that was borrowed from `body` lies in it.
fn place(body: &[u8], value: &RawValue) -> Range<usize> {
    let start = value.get().as_ptr().addr() - body.as_ptr().addr();
    start..start + value.get().len()
}

/// A key of the outer object, compared without keeping it.
struct Key {
    is_records: bool,
}

impl<'de> serde::Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;
        impl Visitor<'_> for KeyVisitor {
            type Value = Key;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }
            fn visit_str<E>(self, text: &str) -> Result<Key, E> {
                Ok(Key { is_records: text == "records" })
            }
        }
        deserializer.deserialize_str(KeyVisitor)
    }
}

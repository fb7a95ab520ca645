use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, StringArray, StringBuilder, new_null_array};
use arrow::compute::{cast, filter};
use arrow::datatypes::{DataType, Field};
use arrow::error::ArrowError;
use cupola_datasets::records::{field_names, raw_fields};
use cupola_datasets::schema::nearest;
use cupola_datasets::sources::{RecordChunk, RecordFormat};
use indexmap::IndexSet;
use serde_json::value::RawValue;

use super::score::{ROW, ScoringError};
use super::sink::Format;

/// Columns of the input that the output carries in front of the scores, as they stand there: with their types from
/// Parquet, as texts from CSV and JSON lines. From JSON lines to JSON lines, values stay what they are.
#[derive(Debug)]
pub struct Kept {
    columns: Vec<KeptColumn>,
    /// Names in the input.
    names: Vec<String>,
}

#[derive(Debug)]
struct KeptColumn {
    /// In the output.
    field: Field,
    /// Whether the user asked for it, so that it must be in every file.
    is_asked: bool,
}

impl Kept {
    /// The columns of `identity` that the input has, then those that were asked for. `scores` are the output's own
    /// columns: an input column of the same name is written as `input_NAME`.
    pub fn resolve(
        identity: &[String],
        asked: &[String],
        first: Option<&RecordChunk>,
        format: Format,
        scores: &[Field],
    ) -> Result<Self, ScoringError> {
        // Without a record nothing is known, and nothing can be wrong.
        let known = first.map(known).filter(|known| !known.is_empty());
        let is_known = |name: &&String| known.as_ref().is_none_or(|known| known.contains(*name));
        if let (Some(name), Some(known), Some(first)) =
            (asked.iter().find(|name| !is_known(name)), &known, first)
        {
            let file = match first.format {
                RecordFormat::JsonLines => {
                    format!("the first {} records of {}", first.records.num_rows(), first.file)
                }
                RecordFormat::Columns => first.file.to_string(),
            };
            return Err(missing(name, known.iter().map(String::as_str), &file));
        }
        let names: IndexSet<&String> = identity.iter().filter(is_known).chain(asked).collect();
        let own: IndexSet<&str> = scores.iter().map(|field| field.name().as_str()).chain([ROW]).collect();
        let stays = |name: &&&String| !own.contains(name.as_str());
        let mut taken: IndexSet<String> = names.iter().filter(stays).map(|name| (**name).clone()).collect();
        let keeps_json =
            format == Format::Jsonl && first.is_some_and(|chunk| chunk.format == RecordFormat::JsonLines);
        let mut column = |name: &&String| {
            let mut output = name.to_string();
            if own.contains(output.as_str()) {
                while own.contains(output.as_str()) || taken.contains(&output) {
                    output.insert_str(0, "input_");
                }
                taken.insert(output.clone());
            }
            let kind = match first {
                Some(chunk) if chunk.format == RecordFormat::Columns => {
                    chunk.records.column_by_name(name).map_or(DataType::Utf8, |c| c.data_type().clone())
                }
                _ => DataType::Utf8,
            };
            let field = Field::new(output, kind, true);
            let field = if keeps_json { as_json(field) } else { field };
            KeptColumn { field, is_asked: asked.contains(*name) }
        };
        Ok(Self {
            columns: names.iter().map(&mut column).collect(),
            names: names.into_iter().cloned().collect(),
        })
    }

    /// The columns as the output has them.
    pub fn fields(&self) -> impl Iterator<Item = &Field> {
        self.columns.iter().map(|column| &column.field)
    }

    /// The columns of a chunk, before its rejected records are known.
    pub fn part_of<'a>(&'a self, chunk: &RecordChunk) -> Result<Carried<'a>, ScoringError> {
        if self.columns.is_empty() {
            return Ok(Carried::Columns(Vec::new()));
        }
        if chunk.format == RecordFormat::JsonLines {
            return Ok(Carried::Json { kept: self, records: Arc::clone(chunk.records.column(0)) });
        }
        let array = |(name, column): (&String, &KeptColumn)| match chunk.records.column_by_name(name) {
            Some(array) if array.data_type() == column.field.data_type() => Ok(Arc::clone(array)),
            Some(array) => cast(array, column.field.data_type())
                .map_err(|error| ScoringError::Columns(format!("{}: column {name}: {error}", chunk.file))),
            None if column.is_asked => {
                let schema = chunk.records.schema();
                Err(missing(name, schema.fields().iter().map(|field| field.name().as_str()), &chunk.file))
            }
            None => Ok(new_null_array(column.field.data_type(), chunk.records.num_rows())),
        };
        let arrays = self.names.iter().zip(&self.columns).map(array);
        Ok(Carried::Columns(arrays.collect::<Result<_, _>>()?))
    }
}

/// The kept columns of one chunk.
pub enum Carried<'a> {
    /// As they were read.
    Columns(Vec<ArrayRef>),
    /// Still in the text of their records.
    Json {
        /// Which.
        kept: &'a Kept,
        /// Text of each record.
        records: ArrayRef,
    },
}

impl Carried<'_> {
    /// The columns without rejected records; `None`: there is none.
    pub fn of_rows(self, is_good: Option<&BooleanArray>) -> Result<Vec<ArrayRef>, ArrowError> {
        let without_rejected = |array: ArrayRef| match is_good {
            Some(good) => filter(&array, good),
            None => Ok(array),
        };
        match self {
            Self::Columns(arrays) => arrays.into_iter().map(without_rejected).collect(),
            Self::Json { kept, records } => {
                Ok(json_columns(kept, without_rejected(records)?.as_string::<i32>()))
            }
        }
    }
}

fn json_columns(kept: &Kept, records: &StringArray) -> Vec<ArrayRef> {
    let mut builders: Vec<StringBuilder> = kept.names.iter().map(|_| StringBuilder::new()).collect();
    let mut found = Vec::new();
    for record in records.iter().map(Option::unwrap_or_default) {
        raw_fields(record, &kept.names, &mut found);
        for ((builder, column), value) in builders.iter_mut().zip(&kept.columns).zip(&found) {
            match value.map(RawValue::get).filter(|text| *text != "null") {
                None => builder.append_null(),
                Some(text) if is_json(&column.field) => builder.append_value(text),
                Some(text) => builder.append_value(unquoted(text)),
            }
        }
    }
    builders.iter_mut().map(|builder| Arc::new(builder.finish()) as ArrayRef).collect()
}

/// The text that a JSON string stands for; any other value as it is written.
fn unquoted(json: &str) -> Cow<'_, str> {
    match json.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
        Some(text) if !text.contains('\\') => Cow::Borrowed(text),
        Some(_) => serde_json::from_str(json).map_or(Cow::Borrowed(json), Cow::Owned),
        None => Cow::Borrowed(json),
    }
}

fn known(chunk: &RecordChunk) -> IndexSet<String> {
    match chunk.format {
        RecordFormat::Columns => {
            chunk.records.schema().fields().iter().map(|field| field.name().clone()).collect()
        }
        RecordFormat::JsonLines => {
            let records = chunk.records.column(0).as_string::<i32>();
            records.iter().flatten().flat_map(field_names).collect()
        }
    }
}

fn missing<'a>(name: &str, known: impl Iterator<Item = &'a str>, file: &str) -> ScoringError {
    let known: Vec<&str> = known.collect();
    let near = nearest(name, known.iter().copied()).map(|near| format!("did you mean `{near}`? "));
    let known = known.join(", ");
    ScoringError::Columns(format!(
        "no column `{name}` to keep in {file}; {}its columns are {known}",
        near.unwrap_or_default()
    ))
}

/// Marks texts that are JSON, to be written as what they say.
const JSON: &str = "cupola.json";

fn as_json(field: Field) -> Field {
    field.with_metadata([(JSON.to_owned(), String::new())].into())
}

/// Whether the texts of a column are JSON.
pub fn is_json(field: &Field) -> bool {
    field.metadata().contains_key(JSON)
}

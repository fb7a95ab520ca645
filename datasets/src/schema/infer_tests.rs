#![expect(clippy::unwrap_used, reason = "tests")]

use std::fs;

use super::*;
use crate::sources::{FilesConfig, SourceConfig, build};

fn inferred(name: &str, text: &str) -> (Schema, SchemaNotes) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(name), text).unwrap();
    let source = build(&SourceConfig::Files(FilesConfig::of(name)), folder.path()).unwrap();
    infer_with_notes(source.as_ref(), InferOptions::default()).unwrap()
}

fn kinds(schema: &Schema) -> Vec<(&str, ColumnType, bool)> {
    schema.columns.iter().map(|(name, c)| (name.as_str(), c.kind, c.required)).collect()
}

#[test]
fn csv_columns_get_the_narrowest_type_that_all_values_fit() {
    let text = "id,price,zip,flag,when,name,gap,empty,int_na,count\n\
                1,2.5,01234,yes,2024-01-01,ann,5,,7,1\n\
                2,-3,99999,No,2024-01-02T10:00:00Z,NA,,,NA,0\n";
    let (schema, notes) = inferred("a.csv", text);
    use ColumnType::{Bool, Float64, Int64, String, Timestamp};
    assert_eq!(
        kinds(&schema),
        [
            ("id", Int64, true),
            ("price", Float64, true),
            ("zip", String, true),
            ("flag", Bool, true),
            ("when", Timestamp, true),
            ("name", String, false),
            ("gap", Int64, false),
            ("empty", String, false),
            ("int_na", Int64, false),
            ("count", Int64, true),
        ]
    );
    assert_eq!((schema.columns["id"].min, schema.columns["price"].min), (Some(0.0), None));
    assert_eq!(schema.columns["int_na"].missing, ["NA"]);
    assert_eq!((notes.n_records, notes.is_whole, notes.columns["price"].max), (2, true, Some(2.5)));
    assert_eq!(schema.check(), Ok(()));
}

#[test]
fn few_often_repeated_strings_become_allowed_values() {
    let rows: String = (0..200).map(|i| format!("{},{},{i}\n", ["b", "a"][i % 2], if i == 0 { "?" } else { "x" })).collect();
    let (schema, _) = inferred("a.csv", &format!("kind,marked,name\n{rows}"));
    assert_eq!(schema.columns["kind"].allowed, ["a", "b"]);
    assert_eq!((&schema.columns["marked"].allowed, &schema.columns["marked"].missing), (&vec!["x".to_owned()], &vec!["?".to_owned()]));
}

#[test]
fn json_types_are_taken_as_written() {
    let text = "{\"a\": 1, \"b\": \"1\", \"c\": true, \"d\": \"2024-01-01T00:00:00Z\", \"e\": [1]}\n{\"a\": 1.5, \"f\": null}\n";
    let (schema, notes) = inferred("a.jsonl", text);
    use ColumnType::{Bool, Float64, String, Timestamp};
    assert_eq!(
        kinds(&schema),
        [("a", Float64, true), ("b", String, false), ("c", Bool, false), ("d", Timestamp, false), ("f", String, false)]
    );
    assert_eq!(notes.skipped, ["e"]);
}

#[derive(serde::Deserialize)]
struct Written {
    schema: Schema,
}

#[test]
fn the_written_schema_reads_back_equal_whatever_the_names() {
    let (mut schema, notes) = inferred("a.csv", "id,\"a \"\"b\"\" \\ c.d\",t\n1,\"x\ny\",2024-01-01\n2,z,2024-01-02\n");
    let text = to_toml(&schema, &notes);
    let read: Written = toml::from_str(&text).unwrap();
    assert_eq!(read.schema, schema);
    assert!(text.contains("# time = \"t\"") && text.contains("# key = [\"id\"]"), "{text}");
    assert!(text.contains("# 2 distinct, 1 to 2\nid = { type = \"int64\", min = 0.0 }"), "{text}");
    schema.label = Some("id".into());
    schema.key = vec!["id".into()];
    let column = &mut schema.columns["id"];
    (column.max, column.missing) = (Some(1e300), vec!["\u{7}\t".into()]);
    let text = to_toml(&schema, &SchemaNotes::default());
    let read: Written = toml::from_str(&text).unwrap();
    assert_eq!(read.schema, schema);
}

#[test]
fn a_source_without_records_cannot_be_inferred_from() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.csv"), "a,b\n").unwrap();
    let source = build(&SourceConfig::Files(FilesConfig::of("a.csv")), folder.path()).unwrap();
    assert!(matches!(infer(source.as_ref(), InferOptions::default()), Err(SchemaError::NoRecords { .. })));
}

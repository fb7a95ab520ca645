#![allow(clippy::type_complexity, reason = "tables of cases")]

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Date32Array, Decimal128Array, DictionaryArray, Float32Array,
    Float64Array, Int32Array, ListArray, StringArray, StringViewArray, TimestampNanosecondArray, UInt64Array,
};
use arrow::datatypes::{DataType, Field, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType};
use arrow::record_batch::RecordBatch;
use proptest::prelude::*;

use super::*;
use crate::records::RowsBuilder;
use crate::sources::{BrokenRecord, RecordChunk, RecordFormat};

fn schema(toml: &str) -> Schema {
    crate::schema::from_toml(toml)
}

fn validator(toml: &str) -> Validator {
    Validator::new(&schema(toml), ValidatorOptions::default()).unwrap()
}

fn chunk(columns: Vec<(&str, ArrayRef)>) -> RecordChunk {
    let records = RecordBatch::try_from_iter(columns).unwrap();
    let lines = (2..2 + records.num_rows() as u64).collect();
    RecordChunk {
        records,
        format: RecordFormat::Columns,
        file: "a.csv".into(),
        lines,
        broken: Vec::new(),
        bytes_read: 0,
    }
}

fn texts(columns: &[(&str, &[&str])]) -> RecordChunk {
    chunk(
        columns
            .iter()
            .map(|(name, texts)| (*name, Arc::new(StringArray::from(texts.to_vec())) as ArrayRef))
            .collect(),
    )
}

fn json_lines(lines: &[&str]) -> RecordChunk {
    let mut chunk = texts(&[("record", lines)]);
    chunk.format = RecordFormat::JsonLines;
    chunk
}

/// `line column: reason` of each broken record.
fn reasons(broken: &[BrokenRecord]) -> Vec<String> {
    broken
        .iter()
        .map(|b| format!("{} {}: {}", b.line, b.column.as_deref().unwrap_or("-"), b.reason))
        .collect()
}

#[test]
fn texts_become_exactly_the_types_of_the_schema() {
    let mut validator = validator(
        "[columns]\nb = { type = \"bool\" }\ni = { type = \"int64\" }\nf = { type = \"float64\" }\ns = { type = \"string\" }\nt = { type = \"timestamp\" }",
    );
    let validated = validator
        .validate(texts(&[
            ("t", &["2024-01-01", "2024-01-01T01:00:00+01:00"]),
            ("s", &[" x ", "y"]),
            ("f", &[" 1.5", "-2e3"]),
            ("i", &["7", "-8.0"]),
            ("b", &["Yes", "0"]),
        ]))
        .unwrap();
    let rows = validated.rows;
    assert_eq!(rows.schema(), schema("[columns]\nb = { type = \"bool\" }\ni = { type = \"int64\" }\nf = { type = \"float64\" }\ns = { type = \"string\" }\nt = { type = \"timestamp\" }").arrow());
    assert_eq!(rows.column(0).as_boolean().iter().collect::<Vec<_>>(), [Some(true), Some(false)]);
    assert_eq!(rows.column(1).as_primitive::<Int64Type>().values(), &[7, -8]);
    assert_eq!(rows.column(2).as_primitive::<Float64Type>().values(), &[1.5, -2000.0]);
    assert_eq!(rows.column(3).as_string::<i32>().iter().collect::<Vec<_>>(), [Some(" x "), Some("y")]);
    assert_eq!(
        rows.column(4).as_primitive::<TimestampMicrosecondType>().values(),
        &[1_704_067_200_000_000; 2]
    );
    assert_eq!(validated.quarantined, []);
}

#[test]
fn each_kind_of_broken_value_has_its_reason_and_the_other_rows_stay() {
    let mut validator = validator(
        r#"
        [columns]
        n = { type = "float64", min = 0.0, max = 10.0 }
        s = { type = "string", pattern = "[a-z]+", required = false }
        k = { type = "string", allowed = ["x", "y"], missing = ["NA"], required = false }
        "#,
    );
    let validated = validator
        .validate(texts(&[
            ("n", &["1", "nan", "-inf", "11", "-1", "abc", "", "2", "3", "4"]),
            ("s", &["a", "a", "a", "a", "a", "a", "a", "A1", "", "b"]),
            ("k", &["x", "x", "x", "x", "x", "x", "x", "x", "NA", "z"]),
        ]))
        .unwrap();
    assert_eq!(
        reasons(&validated.quarantined),
        [
            "3 n: not a finite number: NaN",
            "4 n: not a finite number: -inf",
            "5 n: above the maximum 10: 11",
            "6 n: below the minimum 0: -1",
            "7 n: not a float64: \"abc\"",
            "8 n: a value is required",
            "9 s: does not match the pattern [a-z]+: \"A1\"",
            "11 k: not one of the allowed values x, y: \"z\"",
        ]
    );
    assert_eq!(validated.quarantined[4].record, r#"{"n":"abc","s":"a","k":"x"}"#);
    assert_eq!(validated.rows.column(0).as_primitive::<Float64Type>().values(), &[1.0, 3.0]);
    assert_eq!(validated.rows.column(1).as_string::<i32>().iter().collect::<Vec<_>>(), [Some("a"), None]);
    assert_eq!(validated.rows.column(2).as_string::<i32>().iter().collect::<Vec<_>>(), [Some("x"), None]);
}

#[test]
fn all_errors_of_a_record_are_in_its_reason() {
    let mut validator = validator("[columns]\na = { type = \"int64\" }\nb = { type = \"bool\" }");
    let validated = validator.validate(texts(&[("a", &["x"]), ("b", &["maybe"])])).unwrap();
    assert_eq!(reasons(&validated.quarantined), ["2 a: a: not an int64: \"x\"; b: not a bool: \"maybe\""]);
    assert_eq!(validated.rows.num_rows(), 0);
}

#[test]
fn a_required_column_that_the_file_lacks_is_an_error_with_the_nearest_name() {
    let toml = "[columns]\namount = { type = \"int64\" }\nnote = { type = \"string\", required = false }";
    let error = validator(toml).validate(texts(&[("amuont", &["1"])])).unwrap_err();
    assert_eq!(
        error.to_string(),
        "a.csv has no column amount, did you mean amuont?; rename it, or set required = false in [schema.columns]"
    );
    let validated = validator(toml).validate(texts(&[("extra", &["1"]), ("amount", &["5"])])).unwrap();
    assert_eq!(validated.rows.column(0).as_primitive::<Int64Type>().values(), &[5]);
    assert_eq!(validated.rows.column(1).null_count(), 1);
    let empty = validator(toml).validate(texts(&[("amount", &[])])).unwrap();
    assert_eq!((empty.rows.num_rows(), empty.quarantined.len()), (0, 0));
}

#[test]
fn a_key_seen_in_an_earlier_chunk_is_a_duplicate_unless_duplicates_may_pass() {
    let toml = "key = [\"a\", \"t\"]\n[columns]\na = { type = \"string\", required = false }\nt = { type = \"timestamp\" }\nv = { type = \"int64\" }";
    let first = || {
        texts(&[
            ("a", &["x", "x", ""]),
            ("t", &["2024-01-01", "2024-01-02", "2024-01-01"]),
            ("v", &["1", "2", "3"]),
        ])
    };
    // The same instant written in another zone, a broken record, and a key without a value.
    let second = || {
        texts(&[
            ("a", &["x", "y", "y", ""]),
            ("t", &["2024-01-01T02:00:00+02:00", "2024-01-05", "2024-01-05", "2024-01-01"]),
            ("v", &["4", "bad", "6", "7"]),
        ])
    };
    let mut strict = validator(toml);
    assert_eq!(strict.validate(first()).unwrap().rows.num_rows(), 3);
    let validated = strict.validate(second()).unwrap();
    assert_eq!(
        reasons(&validated.quarantined),
        [
            "2 a: an earlier record has the same key: a = x, t = 2024-01-01T00:00:00Z",
            "3 v: not an int64: \"bad\"",
            "5 a: an earlier record has the same key: a = , t = 2024-01-01T00:00:00Z",
        ]
    );
    assert_eq!(validated.rows.column(2).as_primitive::<Int64Type>().values(), &[6]);
    let options = ValidatorOptions { check_unique: false, ..ValidatorOptions::default() };
    let mut lenient = Validator::new(&schema(toml), options).unwrap();
    assert_eq!(lenient.validate(first()).unwrap().rows.num_rows(), 3);
    assert_eq!(lenient.validate(second()).unwrap().rows.num_rows(), 3);
    let mut small =
        Validator::new(&schema(toml), ValidatorOptions { keys_max: 2, ..ValidatorOptions::default() })
            .unwrap();
    assert!(matches!(small.validate(first()), Err(SchemaError::TooManyKeys { keys_max: 2 })));
}

#[test]
fn duplicates_among_json_lines_are_reported_with_their_own_line() {
    let mut validator = validator("key = [\"a\"]\n[columns]\na = { type = \"int64\" }");
    let validated =
        validator.validate(json_lines(&["{\"a\":1}", "{\"a\":", "{\"a\":2}", "{\"a\": 1.0}"])).unwrap();
    assert_eq!(
        reasons(&validated.quarantined),
        [
            "3 -: not valid JSON: EOF while parsing a value at line 1 column 5",
            "5 a: an earlier record has the same key: a = 1",
        ]
    );
    assert_eq!(validated.quarantined[1].record, "{\"a\": 1.0}");
    assert_eq!(validated.rows.column(0).as_primitive::<Int64Type>().values(), &[1, 2]);
}

#[test]
fn typed_columns_are_cast_without_loss_or_are_broken() {
    let toml = "[columns]\ni = { type = \"int64\", required = false }\nf = { type = \"float64\", required = false }\ns = { type = \"string\", required = false }\nt = { type = \"timestamp\", required = false }\nb = { type = \"bool\", required = false }";
    let run = |name: &str, column: ArrayRef| {
        let validated = validator(toml).validate(chunk(vec![(name, column)])).unwrap();
        let index = validated.rows.schema().index_of(name).unwrap();
        (Arc::clone(validated.rows.column(index)), reasons(&validated.quarantined))
    };
    let (column, broken) =
        run("i", Arc::new(Float32Array::from(vec![Some(1.0), Some(1.5), None, Some(f32::NAN)])));
    assert_eq!(column.as_primitive::<Int64Type>().iter().collect::<Vec<_>>(), [Some(1), None]);
    assert_eq!(broken, ["3 i: not an int64: \"1.5\"", "5 i: not an int64: \"NaN\""]);
    let (column, broken) = run("i", Arc::new(UInt64Array::from(vec![5, u64::MAX])));
    assert_eq!(column.as_primitive::<Int64Type>().values(), &[5]);
    assert_eq!(broken, ["3 i: not an int64: \"18446744073709551615\""]);
    let (column, broken) =
        run("f", Arc::new(Float64Array::from(vec![Some(0.1), Some(f64::NAN), None, Some(f64::INFINITY)])));
    assert_eq!(column.as_primitive::<Float64Type>().iter().collect::<Vec<_>>(), [Some(0.1), None]);
    assert_eq!(broken, ["3 f: not a finite number: NaN", "5 f: not a finite number: inf"]);
    let decimals = Decimal128Array::from(vec![125]).with_precision_and_scale(10, 2).unwrap();
    assert_eq!(run("f", Arc::new(decimals)).0.as_primitive::<Float64Type>().values(), &[1.25]);
    let (column, _) = run("s", Arc::new(Int32Array::from(vec![Some(7), None])));
    assert_eq!(column.as_string::<i32>().iter().collect::<Vec<_>>(), [Some("7"), None]);
    let words: DictionaryArray<Int32Type> = vec![Some("a"), None, Some("a")].into_iter().collect();
    assert_eq!(
        run("s", Arc::new(words)).0.as_string::<i32>().iter().collect::<Vec<_>>(),
        [Some("a"), None, Some("a")]
    );
    let views = StringViewArray::from(vec!["1.5", "x"]);
    assert_eq!(run("f", Arc::new(views)).1, ["3 f: not a float64: \"x\""]);
    let nanos = TimestampNanosecondArray::from(vec![1_500_000_000_123_456_789]).with_timezone("+02:00");
    assert_eq!(
        run("t", Arc::new(nanos)).0.as_primitive::<TimestampMicrosecondType>().values(),
        &[1_500_000_000_123_456]
    );
    let local = TimestampNanosecondArray::from(vec![1_000]);
    assert_eq!(run("t", Arc::new(local)).0.as_primitive::<TimestampMicrosecondType>().values(), &[1]);
    assert_eq!(
        run("t", Arc::new(Date32Array::from(vec![1]))).0.as_primitive::<TimestampMicrosecondType>().values(),
        &[86_400_000_000]
    );
    assert_eq!(
        run("t", Arc::new(Int32Array::from(vec![10]))).0.as_primitive::<TimestampMicrosecondType>().values(),
        &[10_000_000]
    );
    let (column, broken) = run("b", Arc::new(Int32Array::from(vec![0, 1, 2])));
    assert_eq!(column.as_boolean().iter().collect::<Vec<_>>(), [Some(false), Some(true)]);
    assert_eq!(broken, ["4 b: not a bool: 2"]);
    let (_, broken) = run("f", Arc::new(BooleanArray::from(vec![true])));
    assert_eq!(broken, ["2 f: not a float64: \"true\""]);
    let lists = ListArray::from_iter_primitive::<Int32Type, _, _>(vec![Some(vec![Some(1)]), None]);
    assert_eq!(run("s", Arc::new(lists)).1, ["2 s: not a string: \"[1]\""]);
}

#[test]
fn nan_in_a_typed_column_means_missing_where_the_schema_says_so() {
    let mut validator =
        validator("[columns]\nf = { type = \"float64\", required = false, missing = [\"NaN\"] }");
    let validated =
        validator.validate(chunk(vec![("f", Arc::new(Float64Array::from(vec![f64::NAN, 1.0])))])).unwrap();
    assert_eq!(
        validated.rows.column(0).as_primitive::<Float64Type>().iter().collect::<Vec<_>>(),
        [None, Some(1.0)]
    );
}

#[test]
fn a_column_of_nulls_and_one_of_ten_thousand_categories_pass() {
    let mut validator =
        validator("[columns]\nn = { type = \"float64\", required = false }\nc = { type = \"string\" }");
    let categories: Vec<String> = (0..10_000).map(|i| format!("category {i}")).collect();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("n", Arc::new(StringArray::from(vec![""; 10_000]))),
        ("c", Arc::new(StringArray::from(categories))),
    ];
    let validated = validator.validate(chunk(columns)).unwrap();
    assert_eq!((validated.rows.num_rows(), validated.rows.column(0).null_count()), (10_000, 10_000));
}

#[test]
fn an_invalid_schema_is_refused_with_all_its_issues() {
    let broken = schema("label = \"y\"\n[columns]\nx = { type = \"int64\", min = 2.0, max = 1.0 }");
    let error = Validator::new(&broken, ValidatorOptions::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the schema is not valid: schema.label: y is not among [schema.columns]; schema.columns.x.min: the minimum 2 is above the maximum 1"
    );
}

#[test]
fn the_broken_records_of_the_source_come_through_in_order_of_lines() {
    let mut validator = validator("[columns]\na = { type = \"int64\" }");
    let mut chunk = texts(&[("a", &["1", "x"])]);
    chunk.lines = vec![5, 9];
    let torn = BrokenRecord {
        file: "a.csv".into(),
        line: 7,
        column: None,
        reason: "torn".into(),
        record: "...".into(),
    };
    chunk.broken.push(torn.clone());
    let validated = validator.validate(chunk).unwrap();
    assert_eq!(validated.quarantined[0], torn);
    assert_eq!(validated.quarantined[1].line, 9);
}

proptest! {
    /// A record means the same as a CSV line and as a JSON object.
    #[test]
    fn a_json_row_equals_the_csv_row(
        rows in prop::collection::vec((any::<i64>(), -1e300f64..1e300, "[a-zA-Z0-9 äß,\"]{1,8}", any::<bool>(), 0i64..4_000_000_000_000_000, any::<bool>()), 1..20)
    ) {
        let toml = "[columns]\ni = { type = \"int64\" }\nf = { type = \"float64\", required = false, max = 1e299 }\ns = { type = \"string\", pattern = \"[^q]*\" }\nb = { type = \"bool\" }\nt = { type = \"timestamp\", required = false }";
        let schema = Arc::new(schema(toml));
        let time = |micros: i64| chrono::DateTime::from_timestamp_micros(micros).unwrap().to_rfc3339();
        let column = |text: &dyn Fn(&(i64, f64, String, bool, i64, bool)) -> String| -> ArrayRef {
            Arc::new(rows.iter().map(|row| Some(text(row))).collect::<StringArray>())
        };
        let records = chunk(vec![
            ("i", column(&|r| r.0.to_string())),
            ("f", column(&|r| if r.5 { String::new() } else { r.1.to_string() })),
            ("s", column(&|r| r.2.clone())),
            ("b", column(&|r| r.3.to_string())),
            ("t", column(&|r| if r.5 { String::new() } else { time(r.4) })),
        ]);
        let from_csv = Validator::new(&schema, ValidatorOptions::default()).unwrap().validate(records).unwrap();
        let mut builder = RowsBuilder::new(Arc::clone(&schema));
        let mut refused = 0;
        for r in &rows {
            let mut object = serde_json::json!({"i": r.0, "s": r.2, "b": r.3});
            if !r.5 {
                object["t"] = time(r.4).into();
                object["f"] = r.1.into();
            }
            refused += usize::from(builder.push_json(object.to_string().as_bytes()).is_err());
        }
        prop_assert_eq!(builder.finish(), from_csv.rows);
        prop_assert_eq!(refused, from_csv.quarantined.len());
    }
}

#[test]
fn a_non_nullable_field_of_the_source_does_not_matter() {
    let field = Field::new("a", DataType::Utf8, false);
    let batch = RecordBatch::try_new(
        Arc::new(arrow::datatypes::Schema::new(vec![field])),
        vec![Arc::new(StringArray::from(vec![""]))],
    )
    .unwrap();
    let mut chunk = texts(&[("a", &["1"])]);
    chunk.records = batch;
    let mut validator = validator("[columns]\na = { type = \"int64\", required = false }");
    assert_eq!(validator.validate(chunk).unwrap().rows.column(0).null_count(), 1);
}

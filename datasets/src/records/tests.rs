use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::{Float64Type, Int64Type, TimestampMicrosecondType};

use super::{FieldErrorCode, RowsBuilder};
use crate::schema::Schema;

const SCHEMA: &str = r#"
[columns]
id = { type = "int64" }
amount = { type = "float64", min = 0.0, max = 100.0 }
who = { type = "string", required = false, allowed = ["ann", "bob"], missing = ["NA"] }
code = { type = "string", required = false, pattern = "[A-Z]{2}" }
ts = { type = "timestamp", required = false }
ok = { type = "bool", required = false }
"#;

fn builder() -> RowsBuilder {
    RowsBuilder::new(Arc::new(crate::schema::from_toml(SCHEMA)))
}

/// `column/Code` of every error of one record.
fn errors(json: &str) -> Vec<String> {
    let mut rows = builder();
    let errors = rows.push_json(json.as_bytes()).unwrap_err();
    assert_eq!((rows.len(), rows.finish().num_rows()), (0, 0), "a refused record leaves no trace");
    errors.iter().map(|e| format!("{}/{:?}", e.column, e.code)).collect()
}

#[test]
fn fields_come_in_any_order_and_unknown_ones_are_ignored() {
    let mut rows = builder();
    rows.push_json(
        br#"{"id": 1, "amount": 2.5, "who": "ann", "code": "AB", "ts": "1970-01-01T00:00:01Z", "ok": true}"#,
    )
    .unwrap();
    rows.push_json(br#" {"ok": 0, "extra": {"deep": [1, {"x": null}]}, "amount": 7, "id": 2.0, "ts": 1.5} "#)
        .unwrap();
    rows.push_json(br#"{"id": 3, "amount": 0, "who": "NA", "code": null, "ts": "", "ok": 1.0}"#).unwrap();
    assert_eq!(rows.len(), 3);
    let batch = rows.finish();
    assert_eq!(batch.schema(), rows.schema().arrow());
    assert_eq!(batch.column(0).as_primitive::<Int64Type>().values(), &[1, 2, 3]);
    assert_eq!(batch.column(1).as_primitive::<Float64Type>().values(), &[2.5, 7.0, 0.0]);
    assert_eq!(batch.column(2).as_string::<i32>().iter().collect::<Vec<_>>(), [Some("ann"), None, None]);
    assert_eq!(batch.column(3).as_string::<i32>().iter().collect::<Vec<_>>(), [Some("AB"), None, None]);
    let times: Vec<Option<i64>> = batch.column(4).as_primitive::<TimestampMicrosecondType>().iter().collect();
    assert_eq!(times, [Some(1_000_000), Some(1_500_000), None]);
    assert_eq!(
        batch.column(5).as_boolean().iter().collect::<Vec<_>>(),
        [Some(true), Some(false), Some(true)]
    );
}

#[test]
fn every_wrong_field_of_a_record_is_reported() {
    assert_eq!(
        errors(r#"{"amount": -1, "who": "eve", "code": "abc", "ts": "soon", "ok": 2}"#),
        ["amount/Range", "who/NotAllowed", "code/Pattern", "ts/Type", "ok/Type", "id/Missing"]
    );
}

#[test]
fn a_value_of_the_wrong_type_is_a_type_error_on_its_column() {
    for (json, expected) in [
        (r#"{"id": "1", "amount": 1}"#, "id/Type"),
        (r#"{"id": 1.5, "amount": 1}"#, "id/Type"),
        (r#"{"id": 9223372036854775808, "amount": 1}"#, "id/Type"),
        (r#"{"id": true, "amount": 1}"#, "id/Type"),
        (r#"{"id": 1, "amount": "1"}"#, "amount/Type"),
        (r#"{"id": 1, "amount": [1]}"#, "amount/Type"),
        (r#"{"id": 1, "amount": {"a": 1}}"#, "amount/Type"),
        (r#"{"id": 1, "amount": 1, "who": 5}"#, "who/Type"),
        (r#"{"id": 1, "amount": 1, "ok": "true"}"#, "ok/Type"),
        (r#"{"id": 1, "amount": null}"#, "amount/Missing"),
        (r#"{"id": 1, "amount": ""}"#, "amount/Missing"),
        (r#"{"id": 1, "amount": 1e999}"#, "amount/NotFinite"),
        (r#"{"id": 1, "amount": 1, "id": 1}"#, "id/Type"),
        (r#"{"id": 1, "amount": 100.5}"#, "amount/Range"),
    ] {
        assert_eq!(errors(json), [expected], "{json}");
    }
}

#[test]
fn what_is_no_object_or_no_json_is_an_error_of_the_record() {
    for json in [
        "[]",
        "[1, 2]",
        "5",
        "-5",
        "1.5",
        "\"x\"",
        "null",
        "true",
        "",
        "{",
        "{\"id\": 1",
        "{\"id\": NaN, \"amount\": 1}",
        "{\"id\": 1, \"amount\": 1} x",
        "\u{1}",
    ] {
        assert_eq!(errors(json), ["/Type"], "{json}");
    }
    assert_eq!(
        builder().push_json(b"{\"id\": 1, \"amount\": 1, \"who\": \"\xff\"}").unwrap_err()[0].column,
        ""
    );
}

#[test]
fn a_refused_record_between_two_good_ones_shifts_nothing() {
    let mut rows = builder();
    rows.push_json(br#"{"id": 1, "amount": 1, "who": "ann"}"#).unwrap();
    rows.push_json(br#"{"id": 2, "amount": 2, "who": "bob", "code": "x"}"#).unwrap_err();
    rows.push_json(br#"{"id": 2, "amount": 2, "who": "bob""#).unwrap_err();
    rows.push_json(br#"{"id": 3, "amount": 3, "who": "bob"}"#).unwrap();
    let batch = rows.finish();
    assert_eq!(batch.column(0).as_primitive::<Int64Type>().values(), &[1, 3]);
    assert_eq!(batch.column(2).as_string::<i32>().iter().collect::<Vec<_>>(), [Some("ann"), Some("bob")]);
}

#[test]
fn nesting_without_end_in_an_ignored_or_a_wrong_field_does_not_overflow() {
    let deep = format!("{}{}", "[".repeat(1_000_000), "]".repeat(1_000_000));
    let mut rows = builder();
    rows.push_json(format!(r#"{{"x": {deep}, "id": 1, "amount": 1}}"#).as_bytes()).unwrap();
    let errors = rows.push_json(format!(r#"{{"id": {deep}, "amount": 1}}"#).as_bytes()).unwrap_err();
    assert_eq!((errors[0].column.as_str(), errors[0].code), ("id", FieldErrorCode::Type));
    rows.push_json(deep.as_bytes()).unwrap_err();
    assert_eq!(rows.len(), 1);
}

#[test]
fn a_builder_without_columns_counts_rows() {
    let mut rows = RowsBuilder::new(Arc::new(Schema::default()));
    rows.push_json(br#"{"a": 1}"#).unwrap();
    assert_eq!(rows.finish().num_rows(), 1);
}

use bytes::Bytes;

use super::*;

fn texts(body: &'static str) -> Result<Vec<String>, BodyError> {
    let body = Bytes::from_static(body.as_bytes());
    let records = split(&body)?;
    let text = |i| String::from_utf8(records.get(&body, i).to_vec()).unwrap();
    Ok((0..records.len()).map(text).collect())
}

#[test]
fn one_object_is_one_record_whatever_its_fields() {
    assert_eq!(texts(r#"{"a": 1}"#).unwrap(), [r#"{"a": 1}"#]);
    assert_eq!(texts(r#" {"records": 3}"#).unwrap(), [r#" {"records": 3}"#], "a column of that name");
    assert_eq!(texts(r#"{"note": "\"records\""}"#).unwrap().len(), 1);
    assert_eq!(texts(r#"{"a": {"records": []}}"#).unwrap().len(), 1, "not the outer object's");
}

#[test]
fn records_are_found_wherever_the_key_stands() {
    let expected = [r#"{"a":1}"#, r#"{"a": "]}"}"#];
    assert_eq!(texts(r#"{"records":[{"a":1}, {"a": "]}"} ]}"#).unwrap(), expected);
    assert_eq!(texts(r#"{ "id": [1], "records" : [ {"a":1},{"a": "]}"}] }"#).unwrap(), expected);
    assert_eq!(
        texts(r#"{"r\u0065cords":[{"a":1}],"x":"\"records\"","records":[{"a":2}]}"#).unwrap(),
        [r#"{"a":2}"#]
    );
}

#[test]
fn what_is_not_a_request_is_told_why() {
    assert_eq!(texts(r#"{"records":[]}"#), Err(BodyError::NoRecords));
    assert_eq!(texts("[1]"), Err(BodyError::NotAnObject));
    for malformed in
        ["", "  ", "nonsense", r#"{"records":[{"a":1}"#, r#"{"records":[{"a":}]}"#, r#"{"records":[1]} x"#]
    {
        assert!(matches!(texts(malformed), Err(BodyError::Malformed { .. })), "{malformed:?}");
    }
    let body = Bytes::from_static(b"{\"records\":[\"\xff\"]}");
    assert!(matches!(split(&body), Err(BodyError::Malformed { .. })));
    assert!(matches!(check(b"{\"a\":\"\xe9\"}"), Err(BodyError::Malformed { .. })));
}

#[test]
fn a_field_is_read_as_text() {
    let record = br#"{"a": 1, "card": "x\u00e9\"y", "n": 4711, "f": 1.50, "b": true, "z": null, "l": [1]}"#;
    assert_eq!(field(record, "card").unwrap(), "x\u{e9}\"y");
    assert_eq!(field(record, "n").unwrap(), "4711");
    assert_eq!(field(record, "f").unwrap(), "1.50");
    assert_eq!(field(record, "b").unwrap(), "true");
    assert_eq!([field(record, "z"), field(record, "l"), field(record, "other")], [None, None, None]);
    assert_eq!([field(b"[1]", "a"), field(b"{\"a\": ", "a")], [None, None]);
}

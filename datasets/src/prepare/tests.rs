#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;

use arrow::array::{AsArray, Int64Array, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Int64Type, Schema as ArrowSchema};
use arrow::record_batch::RecordBatch;

use super::{PrepareConfig, PrepareError, run};
use crate::engines::{EngineConfig, LocalEngine};
use crate::lake::{Lake, LakeConfig, ScanOptions, TableVersion};
use crate::schema::{Column, ColumnType, Schema};

struct Bench {
    _dir: tempfile::TempDir,
    lake: Lake,
    engine: LocalEngine,
    schema: Schema,
}

fn bench() -> Bench {
    let dir = tempfile::tempdir().unwrap();
    let column = |kind, required| Column {
        kind,
        required,
        min: None,
        max: None,
        allowed: vec![],
        pattern: None,
        missing: vec![],
    };
    let schema = Schema {
        time: Some("ts".into()),
        key: vec!["Key".into()],
        columns: [
            ("Key".to_owned(), column(ColumnType::String, false)),
            ("ts".to_owned(), column(ColumnType::Timestamp, true)),
            ("row".to_owned(), column(ColumnType::Int64, true)),
        ]
        .into_iter()
        .collect(),
        ..Schema::default()
    };
    let config = LakeConfig { file_mib_max: 0, ..LakeConfig::default() };
    Bench {
        lake: Lake::with_config(dir.path(), config).unwrap(),
        engine: LocalEngine::start(EngineConfig::default(), &dir.path().join("spill")).unwrap(),
        _dir: dir,
        schema,
    }
}

/// The raw table has its columns in another order, and one more. `row` is the position.
fn raw(bench: &Bench, rows: &[(Option<&str>, i64)]) -> TableVersion {
    let schema = Arc::new(ArrowSchema::new(vec![
        Field::new("row", DataType::Int64, false),
        Field::new("extra", DataType::Int64, false),
        Field::new("Key", DataType::Utf8, true),
        Field::new("ts", ColumnType::Timestamp.arrow(), false),
    ]));
    let batches: Vec<_> = rows
        .chunks(4)
        .enumerate()
        .map(|(i, rows)| {
            let at = || (0..rows.len()).map(|j| (i * 4 + j) as i64);
            RecordBatch::try_new(
                schema.clone(),
                vec![
                    Arc::new(Int64Array::from_iter_values(at())),
                    Arc::new(Int64Array::from_iter_values(at())),
                    Arc::new(rows.iter().map(|r| r.0).collect::<StringArray>()),
                    Arc::new(
                        TimestampMicrosecondArray::from_iter_values(rows.iter().map(|r| r.1))
                            .with_timezone("UTC"),
                    ),
                ],
            )
            .unwrap()
        })
        .collect();
    bench.lake.overwrite("p/raw", schema, &[], &mut batches.into_iter().map(Ok)).unwrap()
}

fn prepare(bench: &Bench, raw: &TableVersion, config: &str) -> Result<Vec<i64>, PrepareError> {
    let config: PrepareConfig = serde_json::from_str(config).unwrap();
    let clean = run(&bench.lake, &bench.engine, raw, &bench.schema, &config, "p/clean")?;
    assert_eq!(bench.lake.schema(&clean)?, bench.schema.arrow());
    let mut rows = Vec::new();
    for batch in bench.lake.scan(&clean, ScanOptions::default())? {
        rows.extend_from_slice(batch?.column_by_name("row").unwrap().as_primitive::<Int64Type>().values());
    }
    assert_eq!(rows.len() as u64, clean.n_rows);
    Ok(rows)
}

/// Position:                     0              1              2              3          4          5
const ROWS: [(Option<&str>, i64); 10] = [
    (Some("a"), 5),
    (Some("b"), 1),
    (Some("a"), 9),
    (None, 1),
    (Some("a"), 9),
    (Some("c"), 2),
    (Some("b"), 1),
    (None, 1),
    (Some("a"), 1),
    (Some("d"), 3),
];

#[test]
fn without_settings_the_rows_are_those_of_the_raw_table_in_their_order() {
    let bench = bench();
    let raw = raw(&bench, &ROWS);
    assert_eq!(prepare(&bench, &raw, "{}").unwrap(), (0..10).collect::<Vec<_>>());
}

#[test]
fn the_last_of_a_key_stays_by_time_then_by_arrival() {
    let bench = bench();
    let raw = raw(&bench, &ROWS);
    // a: time 9 twice, the later arrival is 4. b: same time, 6. Without a key: both stay.
    assert_eq!(prepare(&bench, &raw, r#"{"deduplicate": {"keep": "last"}}"#).unwrap(), [3, 4, 5, 6, 7, 9]);
}

#[test]
fn the_first_of_a_key_stays_by_time_then_by_arrival() {
    let bench = bench();
    let raw = raw(&bench, &ROWS);
    assert_eq!(prepare(&bench, &raw, r#"{"deduplicate": {"keep": "first"}}"#).unwrap(), [1, 3, 5, 7, 8, 9]);
}

#[test]
fn the_filter_sees_what_deduplication_leaves() {
    let bench = bench();
    let raw = raw(&bench, &ROWS);
    // Only the last of `a`, row 4, is looked at; rows where the condition is unknown go.
    let config = r#"{"deduplicate": {"keep": "last"}, "filter": "Key <> 'c' and \"row\" <> 4"}"#;
    assert_eq!(prepare(&bench, &raw, config).unwrap(), [6, 9]);
    assert_eq!(prepare(&bench, &raw, r#"{"filter": "row % 3 = 0"}"#).unwrap(), [0, 3, 6, 9]);
}

#[test]
fn many_rows_keep_their_order() {
    let bench = bench();
    let keys: Vec<String> = (0..5_000).map(|i| format!("k{}", i * 7_919 % 2_000)).collect();
    let rows: Vec<_> = keys.iter().enumerate().map(|(i, k)| (Some(k.as_str()), i as i64)).collect();
    let raw = raw(&bench, &rows);
    let kept = prepare(&bench, &raw, r#"{"deduplicate": {"keep": "last"}}"#).unwrap();
    assert_eq!(kept, (3_000..5_000).collect::<Vec<_>>());
}

#[test]
fn what_cannot_work_is_refused() {
    let mut bench = bench();
    let raw = raw(&bench, &ROWS);
    let refused = |bench: &Bench, config| prepare(bench, &raw, config).unwrap_err().to_string();
    assert_eq!(
        refused(&bench, r#"{"filter": "kee = 'a'"}"#),
        "prepare.filter cannot be used: it reads kee, which is no column; did you mean Key?"
    );
    assert!(refused(&bench, r#"{"filter": "row + 1"}"#).contains("is no condition"));
    assert!(refused(&bench, r#"{"filter": "row < 0"}"#).starts_with("no row of 10 is left"));
    bench.schema.key.clear();
    assert!(matches!(
        prepare(&bench, &raw, r#"{"deduplicate": {"keep": "last"}}"#),
        Err(PrepareError::NoKey)
    ));
}

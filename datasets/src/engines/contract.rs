//! What every engine must do, whatever runs it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;

use arrow::array::{AsArray, Float64Array, Int64Array, StringArray};
use arrow::datatypes::{DataType, Field, Float64Type, Int64Type, Schema};
use arrow::record_batch::RecordBatch;

use super::{Engine, EngineError, EngineTable};
use crate::lake::{Lake, LakeConfig, TableVersion};

/// Runs the whole suite against one engine.
pub(super) fn check(engine: &dyn Engine) {
    let dir = tempfile::tempdir().unwrap();
    let config = LakeConfig { file_mib_max: 0, ..LakeConfig::default() };
    let lake = Lake::with_config(dir.path(), config).unwrap();
    let table = sample(&lake, 3_000);
    aggregates_and_orders(engine, &lake, &table);
    numbers_rows_in_their_order(engine, &lake, &table);
    reads_the_version_asked_for(engine, &lake, &table);
    keeps_the_case_of_names(engine, &lake, &table);
    refuses_what_is_no_query(engine, &lake, &table);
}

/// `n` rows in many small files, partitioned.
pub(super) fn sample(lake: &Lake, n: i64) -> TableVersion {
    let schema = Arc::new(Schema::new(vec![
        Field::new("id", DataType::Int64, false),
        Field::new("Amount", DataType::Float64, true),
        Field::new("part", DataType::Utf8, false),
    ]));
    let mut rows = (0..n).step_by(500).map(|from| {
        let ids = from..(from + 500).min(n);
        let columns: Vec<arrow::array::ArrayRef> = vec![
            Arc::new(Int64Array::from_iter_values(ids.clone())),
            Arc::new(ids.clone().map(|i| (i % 4 != 0).then_some(i as f64 / 2.0)).collect::<Float64Array>()),
            Arc::new(ids.map(|i| Some(if i % 2 == 0 { "even" } else { "odd" })).collect::<StringArray>()),
        ];
        Ok(RecordBatch::try_new(schema.clone(), columns).unwrap())
    });
    lake.overwrite("p/sample", schema.clone(), &["part"], &mut rows).unwrap()
}

fn run(engine: &dyn Engine, tables: &[EngineTable], sql: &str) -> RecordBatch {
    let rows = engine.query(tables, sql).unwrap();
    let batches: Vec<_> = rows.batches.map(Result::unwrap).collect();
    arrow::compute::concat_batches(&rows.schema, &batches).unwrap()
}

fn aggregates_and_orders(engine: &dyn Engine, lake: &Lake, table: &TableVersion) {
    let rows = run(
        engine,
        &[EngineTable::new("t", lake, table)],
        r#"select part, count(*) as n, count("Amount") as present, max("Amount") as high from t group by part order by part"#,
    );
    assert_eq!(rows.column(0).as_string_view_or_string(), ["even", "odd"]);
    assert_eq!(rows.column(1).as_primitive::<Int64Type>().values(), &[1500, 1500]);
    assert_eq!(rows.column(2).as_primitive::<Int64Type>().values(), &[750, 1500]);
    assert_eq!(rows.column(3).as_primitive::<Float64Type>().values(), &[1499.0, 1499.5]);
}

fn numbers_rows_in_their_order(engine: &dyn Engine, lake: &Lake, table: &TableVersion) {
    let numbered = [EngineTable::new("t", lake, table).with_row_number("n")];
    let rows = run(engine, &numbered, "select n, id from t where id >= 0 order by n");
    let ids = rows.column(1).as_primitive::<Int64Type>().values();
    assert_eq!(rows.column(0).as_primitive::<Int64Type>().values(), &(0..3_000).collect::<Vec<_>>()[..]);
    let mut scanned = Vec::new();
    for batch in lake.scan(table, crate::lake::ScanOptions::default()).unwrap() {
        scanned.extend_from_slice(batch.unwrap().column(0).as_primitive::<Int64Type>().values());
    }
    assert_eq!(&ids[..], scanned);
}

fn reads_the_version_asked_for(engine: &dyn Engine, lake: &Lake, table: &TableVersion) {
    let newer = sample(lake, 7);
    assert!(newer.version > table.version);
    let tables = [EngineTable::new("old", lake, table), EngineTable::new("new", lake, &newer)];
    let rows =
        run(engine, &tables, "select (select count(*) from old) as a, (select count(*) from new) as b");
    assert_eq!(rows.column(0).as_primitive::<Int64Type>().value(0), 3_000);
    assert_eq!(rows.column(1).as_primitive::<Int64Type>().value(0), 7);
}

fn keeps_the_case_of_names(engine: &dyn Engine, lake: &Lake, table: &TableVersion) {
    let tables = [EngineTable::new("t", lake, table)];
    assert_eq!(run(engine, &tables, "select sum(Amount) as s from t").num_rows(), 1);
    let error = engine.query(&tables, "select sum(amount) from t").err().unwrap();
    assert!(matches!(&error, EngineError::Query { reason } if reason.contains("amount")), "{error}");
}

fn refuses_what_is_no_query(engine: &dyn Engine, lake: &Lake, table: &TableVersion) {
    let tables = [EngineTable::new("t", lake, table)];
    for sql in [
        "selekt 1",
        "create table x as select 1",
        "insert into t values (1, 2, 'x')",
        "set a = 1",
        "select * from nothing",
    ] {
        assert!(matches!(engine.query(&tables, sql), Err(EngineError::Query { .. })), "{sql}");
    }
}

trait Texts {
    fn as_string_view_or_string(&self) -> Vec<String>;
}

impl Texts for arrow::array::ArrayRef {
    fn as_string_view_or_string(&self) -> Vec<String> {
        let texts = arrow::compute::cast(self, &DataType::Utf8).unwrap();
        texts.as_string::<i32>().iter().map(|v| v.unwrap().to_owned()).collect()
    }
}

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;

use super::{Engine, EngineConfig, EngineError, EngineTable, LocalEngine, contract};
use crate::lake::Lake;

fn engine(config: EngineConfig) -> (tempfile::TempDir, LocalEngine) {
    let dir = tempfile::tempdir().unwrap();
    let engine = LocalEngine::start(config, &dir.path().join("spill")).unwrap();
    (dir, engine)
}

#[test]
fn the_local_engine_keeps_the_contract() {
    contract::check(&engine(EngineConfig::default()).1);
    contract::check(&engine(EngineConfig { threads: 1, batch_rows: 100, ..EngineConfig::default() }).1);
}

#[test]
fn a_sort_larger_than_memory_goes_to_disk() {
    let (dir, engine) =
        engine(EngineConfig { memory_mib_max: 32, threads: 2, batch_rows: 2_048, ..EngineConfig::default() });
    let lake = Lake::open(dir.path()).unwrap();
    let table = contract::sample(&lake, 2_000_000);
    let rows = engine
        .query(
            &[EngineTable::new("t", &lake, &table)],
            "select id, Amount, part || id as text from t order by text, id desc",
        )
        .unwrap();
    let mut n = 0;
    for batch in rows.batches {
        n += batch.unwrap().num_rows();
    }
    assert_eq!(n, 2_000_000);
}

#[test]
fn too_little_memory_is_an_error_that_names_the_setting() {
    let (dir, engine) =
        engine(EngineConfig { memory_mib_max: 1, spill_gib_max: 0, threads: 2, ..EngineConfig::default() });
    let lake = Lake::open(dir.path()).unwrap();
    let table = contract::sample(&lake, 200_000);
    let result = engine
        .query(&[EngineTable::new("t", &lake, &table)], "select id, part || id as text from t order by text")
        .and_then(|rows| rows.batches.collect::<Result<Vec<_>, _>>());
    let error = result.unwrap_err();
    assert!(matches!(error, EngineError::Resources { .. }), "{error}");
    assert!(error.to_string().ends_with("raise engine.memory_mib_max or engine.spill_gib_max"));
}

#[test]
fn a_damaged_table_is_reported_as_such() {
    let (dir, engine) = engine(EngineConfig::default());
    let lake = Lake::open(dir.path()).unwrap();
    let table = contract::sample(&lake, 5_000);
    let path = lake.files(&table).unwrap()[0].path.clone();
    std::fs::write(&path, b"PAR1 no longer").unwrap();
    let tables = [EngineTable::new("t", &lake, &table)];
    let error = engine.query(&tables, "select sum(id) from t").unwrap().batches.next().unwrap().unwrap_err();
    assert!(matches!(error, EngineError::Lake(_)), "{error}");
}

#[test]
fn a_query_may_be_left_unfinished() {
    let (dir, engine) = engine(EngineConfig::default());
    let lake = Lake::open(dir.path()).unwrap();
    let table = contract::sample(&lake, 100_000);
    let tables = [EngineTable::new("t", &lake, &table)];
    let first = engine.query(&tables, "select id from t").unwrap().batches.next().unwrap().unwrap();
    assert!(first.column(0).as_primitive::<Int64Type>().len() <= 8_192);
    let count = engine.query(&tables, "select count(*) from t").unwrap().batches.next().unwrap().unwrap();
    assert_eq!(count.column(0).as_primitive::<Int64Type>().value(0), 100_000);
}

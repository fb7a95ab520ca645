#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;

use arrow::array::{Array, AsArray, Float64Array, Int64Array, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Float64Type, Int64Type, Schema, SchemaRef, TimeUnit};
use arrow::record_batch::RecordBatch;

use super::{Lake, LakeConfig, LakeError, ScanOptions, TableVersion};

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("id", DataType::Int64, false),
        Field::new("amount", DataType::Float64, true),
        Field::new("part", DataType::Utf8, false),
        Field::new("ts", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), false),
    ]))
}

/// Rows `from..to`; every third has no amount; parts go round train, validation, test.
fn batch(from: i64, to: i64) -> RecordBatch {
    let parts = ["train", "validation", "test"];
    RecordBatch::try_new(
        schema(),
        vec![
            Arc::new((from..to).map(Some).collect::<Int64Array>()),
            Arc::new((from..to).map(|i| (i % 3 != 0).then_some(i as f64 / 7.0)).collect::<Float64Array>()),
            Arc::new((from..to).map(|i| Some(parts[(i % 3) as usize])).collect::<StringArray>()),
            Arc::new(
                TimestampMicrosecondArray::from_iter_values((from..to).map(|i| i * 1_000_001))
                    .with_timezone("UTC"),
            ),
        ],
    )
    .unwrap()
}

fn rows(n: i64, step: i64) -> impl Iterator<Item = Result<RecordBatch, LakeError>> {
    (0..n).step_by(step as usize).map(move |from| Ok(batch(from, (from + step).min(n))))
}

fn ids(lake: &Lake, table: &TableVersion, options: ScanOptions) -> Vec<i64> {
    let mut ids = Vec::new();
    for batch in lake.scan(table, options).unwrap() {
        ids.extend(batch.unwrap().column_by_name("id").unwrap().as_primitive::<Int64Type>().values());
    }
    ids
}

fn all(lake: &Lake, table: &TableVersion) -> Vec<i64> {
    ids(lake, table, ScanOptions::default())
}

fn folder() -> (tempfile::TempDir, Lake) {
    let dir = tempfile::tempdir().unwrap();
    let lake = Lake::open(dir.path()).unwrap();
    (dir, lake)
}

fn parquet_files(dir: &std::path::Path) -> usize {
    let mut n = 0;
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            n += if path.ends_with("_delta_log") { 0 } else { parquet_files(&path) };
        } else if path.extension().is_some_and(|e| e == "parquet") {
            n += 1;
        }
    }
    n
}

#[test]
fn rows_come_back_as_they_were_written_with_types_order_and_missing_values() {
    let (_dir, lake) = folder();
    let written = lake.overwrite("p/raw", schema(), &[], &mut rows(10_000, 999)).unwrap();
    assert_eq!(written, TableVersion { table: "p/raw".into(), version: 0, n_rows: 10_000 });
    let batches: Vec<_> = lake.scan(&written, ScanOptions::default()).unwrap().map(Result::unwrap).collect();
    assert_eq!(batches[0].schema(), schema());
    let read = arrow::compute::concat_batches(&schema(), &batches).unwrap();
    assert_eq!(read, batch(0, 10_000));
    assert_eq!(lake.latest("p/raw").unwrap(), Some(written));
}

#[test]
fn many_files_keep_the_order_of_the_rows() {
    let dir = tempfile::tempdir().unwrap();
    let config = LakeConfig { file_mib_max: 0, row_group_rows_max: 100, ..LakeConfig::default() };
    let lake = Lake::with_config(dir.path(), config).unwrap();
    let first = lake.overwrite("p/raw", schema(), &[], &mut rows(2_000, 100)).unwrap();
    assert_eq!(lake.files(&first).unwrap().len(), 20);
    let second = lake.append("p/raw", schema(), &[], &mut rows(300, 100)).unwrap();
    assert_eq!(second.n_rows, 2_300);
    assert_eq!(all(&lake, &second), (0..2_000).chain(0..300).collect::<Vec<_>>());
}

#[test]
fn an_overwrite_is_a_new_version_and_the_old_one_stays_readable() {
    let (_dir, lake) = folder();
    let old = lake.overwrite("p/raw", schema(), &[], &mut rows(50, 50)).unwrap();
    let new = lake.overwrite("p/raw", schema(), &[], &mut rows(7, 7)).unwrap();
    assert_eq!((old.version, new.version, new.n_rows), (0, 1, 7));
    assert_eq!(all(&lake, &new), (0..7).collect::<Vec<_>>());
    assert_eq!(all(&lake, &old), (0..50).collect::<Vec<_>>());
    assert_eq!(lake.at("p/raw", 0).unwrap(), old);
    let versions: Vec<_> =
        lake.history("p/raw").unwrap().iter().map(|v| (v.version, v.operation.clone())).collect();
    assert_eq!(versions, [(1, "WRITE".to_owned()), (0, "WRITE".to_owned())]);
}

#[test]
fn an_overwrite_may_change_the_columns() {
    let (_dir, lake) = folder();
    lake.overwrite("p/clean", schema(), &["part"], &mut rows(50, 50)).unwrap();
    let other = Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, false)]));
    let batch = RecordBatch::try_new(other.clone(), vec![Arc::new(Int64Array::from(vec![5, 6]))]).unwrap();
    let new = lake.overwrite("p/clean", other.clone(), &[], &mut std::iter::once(Ok(batch))).unwrap();
    assert_eq!(lake.schema(&new).unwrap(), other);
    assert_eq!(all(&lake, &new), [5, 6]);
}

#[test]
fn a_partition_is_read_alone_and_its_column_comes_back_in_place() {
    let (_dir, lake) = folder();
    let table = lake.overwrite("p/features", schema(), &["part"], &mut rows(3_000, 700)).unwrap();
    let options = ScanOptions { part: Some(("part".into(), "test".into())), ..ScanOptions::default() };
    assert_eq!(ids(&lake, &table, options.clone()), (0..3_000).filter(|i| i % 3 == 2).collect::<Vec<_>>());
    let first = lake.scan(&table, options).unwrap().next().unwrap().unwrap();
    assert_eq!(first.schema(), schema());
    assert!(first.column_by_name("part").unwrap().as_string::<i32>().iter().all(|v| v == Some("test")));
    assert_eq!(all(&lake, &table).len(), 3_000);
}

#[test]
fn a_projection_reads_only_its_columns_in_its_order() {
    let (_dir, lake) = folder();
    let table = lake.overwrite("p/raw", schema(), &[], &mut rows(10, 10)).unwrap();
    let options = ScanOptions { columns: Some(vec!["amount".into(), "id".into()]), ..ScanOptions::default() };
    let batch = lake.scan(&table, options).unwrap().next().unwrap().unwrap();
    assert_eq!(
        batch.schema().fields().iter().map(|f| f.name().as_str()).collect::<Vec<_>>(),
        ["amount", "id"]
    );
    let amounts = batch.column(0).as_primitive::<Float64Type>();
    assert!(amounts.is_null(0) && amounts.value(1) == 1.0 / 7.0);
    let options = ScanOptions { columns: Some(vec!["amuont".into()]), ..ScanOptions::default() };
    let error = lake.scan(&table, options).err().unwrap().to_string();
    assert!(error.contains("no column amuont"), "{error}");
}

#[test]
fn a_failed_write_leaves_the_table_and_the_disk_as_they_were() {
    let (dir, lake) = folder();
    let old = lake.overwrite("p/raw", schema(), &[], &mut rows(50, 50)).unwrap();
    let mut broken = rows(500, 50).chain(std::iter::once(Err(LakeError::rows("the source went away"))));
    let error = lake.overwrite("p/raw", schema(), &[], &mut broken).unwrap_err();
    assert_eq!(error.to_string(), "the source went away");
    assert_eq!(lake.latest("p/raw").unwrap(), Some(old.clone()));
    assert_eq!(all(&lake, &old).len(), 50);
    assert_eq!(parquet_files(&dir.path().join("p/raw")), 1);
}

#[test]
fn a_first_write_that_fails_leaves_no_table() {
    let (_dir, lake) = folder();
    lake.overwrite("p/raw", schema(), &[], &mut std::iter::once(Err(LakeError::rows("no")))).unwrap_err();
    assert_eq!(lake.latest("p/raw").unwrap(), None);
}

#[test]
fn an_empty_table_has_its_columns() {
    let (_dir, lake) = folder();
    let table = lake.overwrite("p/raw", schema(), &[], &mut std::iter::empty()).unwrap();
    assert_eq!(table.n_rows, 0);
    assert_eq!(lake.schema(&table).unwrap(), schema());
    assert_eq!(all(&lake, &table), Vec::<i64>::new());
}

#[test]
fn two_overwrites_at_once_are_a_conflict_and_the_first_stands() {
    let (dir, lake) = folder();
    let other = Lake::open(dir.path()).unwrap();
    for expected in 0..2 {
        // While our rows are being made, another process writes the same table.
        let mut ours = (0..2).map(|i| {
            if i == 1 {
                other.overwrite("p/raw", schema(), &[], &mut rows(11, 11)).unwrap();
            }
            Ok(batch(0, 5))
        });
        let error = lake.overwrite("p/raw", schema(), &[], &mut ours).unwrap_err();
        assert!(matches!(error, LakeError::Conflict { .. }), "{error}");
        let latest = lake.latest("p/raw").unwrap().unwrap();
        assert_eq!((latest.version, latest.n_rows), (expected, 11));
        assert_eq!(parquet_files(&dir.path().join("p/raw")), expected as usize + 1);
    }
}

#[test]
fn two_appends_at_once_both_land() {
    let (dir, lake) = folder();
    let other = Lake::open(dir.path()).unwrap();
    lake.overwrite("p/raw", schema(), &[], &mut rows(3, 3)).unwrap();
    let mut ours = (0..1).map(|_| {
        other.append("p/raw", schema(), &[], &mut rows(11, 11)).unwrap();
        Ok(batch(0, 5))
    });
    let ours = lake.append("p/raw", schema(), &[], &mut ours).unwrap();
    assert_eq!((ours.version, ours.n_rows), (2, 19));
    assert_eq!(all(&lake, &ours).len(), 19);
}

#[test]
fn what_is_missing_is_named() {
    let (_dir, lake) = folder();
    let none = TableVersion { table: "p/raw".into(), version: 0, n_rows: 0 };
    let error = lake.scan(&none, ScanOptions::default()).err().unwrap();
    assert!(matches!(error, LakeError::NoTable { .. }), "{error}");
    assert_eq!(lake.latest("p/raw").unwrap(), None);
    lake.overwrite("p/raw", schema(), &[], &mut rows(3, 3)).unwrap();
    let error = lake.at("p/raw", 4).unwrap_err();
    assert_eq!(error.to_string(), "table p/raw has no version 4, the latest is 0");
    let error = lake.latest("../raw").unwrap_err();
    assert!(error.to_string().contains("choose another name"), "{error}");
}

#[test]
fn other_columns_than_declared_are_refused() {
    let (_dir, lake) = folder();
    let other = Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, false)]));
    let error = lake.overwrite("p/raw", other.clone(), &[], &mut rows(3, 3)).unwrap_err();
    assert!(matches!(error, LakeError::Columns { .. }), "{error}");
    lake.overwrite("p/raw", schema(), &[], &mut rows(3, 3)).unwrap();
    let error = lake.append("p/raw", other, &[], &mut std::iter::empty()).unwrap_err();
    assert!(error.to_string().contains("overwrite it instead"), "{error}");
}

#[test]
fn column_names_may_have_spaces_and_dots() {
    let (_dir, lake) = folder();
    let odd = Arc::new(Schema::new(vec![
        Field::new("hours per week", DataType::Float32, false),
        Field::new("ts.hour", DataType::Int32, false),
        Field::new("größe (m²); {x}=\"1\"", DataType::Utf8, true),
    ]));
    let batch = RecordBatch::try_new(
        odd.clone(),
        vec![
            Arc::new(arrow::array::Float32Array::from(vec![1.5])),
            Arc::new(arrow::array::Int32Array::from(vec![7])),
            Arc::new(StringArray::from(vec![Some("ä")])),
        ],
    )
    .unwrap();
    let table = lake.overwrite("p/odd", odd, &[], &mut std::iter::once(Ok(batch.clone()))).unwrap();
    assert_eq!(lake.scan(&table, ScanOptions::default()).unwrap().next().unwrap().unwrap(), batch);
}

#[test]
fn a_folder_that_cannot_be_written_is_named_with_what_to_do() {
    // `/proc` refuses new folders even to root.
    let lake = Lake::open(std::path::Path::new("/proc/self/task")).unwrap();
    let error = lake.overwrite("p/raw", schema(), &[], &mut rows(3, 3)).unwrap_err();
    assert!(matches!(error, LakeError::Io { action: "create", .. }), "{error}");
    let error =
        LakeError::io("create", std::path::Path::new("/x"), std::io::ErrorKind::ReadOnlyFilesystem.into());
    assert!(
        error.to_string().ends_with("the folder must be writable, or choose another with --home"),
        "{error}"
    );
}

#[test]
fn a_damaged_file_is_an_error_that_names_it() {
    let (_dir, lake) = folder();
    let table = lake.overwrite("p/raw", schema(), &[], &mut rows(500, 500)).unwrap();
    let path = lake.files(&table).unwrap()[0].path.clone();
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    let error = lake.scan(&table, ScanOptions::default()).unwrap().next().unwrap().unwrap_err().to_string();
    assert!(error.contains(path.file_name().unwrap().to_str().unwrap()), "{error}");
}

use std::fs::File;
use std::path::Path;

use parquet::file::metadata::ParquetMetaData;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::statistics::Statistics;
use serde_json::{Map, Value, json};

use super::LakeError;

/// Delta's per-file statistics: rows, missing values, and the range of numbers.
pub(super) fn of_file(metadata: &ParquetMetaData) -> String {
    let n_rows: i64 = metadata.row_groups().iter().map(|g| g.num_rows()).sum();
    let columns = metadata.file_metadata().schema_descr();
    let (mut nulls, mut mins, mut maxs) = (Map::new(), Map::new(), Map::new());
    for i in 0..columns.num_columns() {
        let name = columns.column(i).name().to_owned();
        let chunks: Option<Vec<&Statistics>> =
            metadata.row_groups().iter().map(|g| g.column(i).statistics()).collect();
        let Some(chunks) = chunks else { continue };
        if let Some(count) = chunks.iter().map(|s| s.null_count_opt()).sum::<Option<u64>>() {
            nulls.insert(name.clone(), json!(count));
        }
        // Instants are stored as integers too, but Delta wants them as text: leave them out.
        if columns.column(i).logical_type_ref().is_some() {
            continue;
        }
        if let Some((min, max)) = range(&chunks) {
            mins.insert(name.clone(), min);
            maxs.insert(name, max);
        }
    }
    json!({"numRecords": n_rows, "minValues": mins, "maxValues": maxs, "nullCount": nulls}).to_string()
}

fn range(chunks: &[&Statistics]) -> Option<(Value, Value)> {
    let (mut ints, mut floats) = (None::<(i64, i64)>, None::<(f64, f64)>);
    for chunk in chunks {
        match chunk {
            Statistics::Int64(s) => merge_int(&mut ints, s.min_opt().copied(), s.max_opt().copied()),
            Statistics::Int32(s) => {
                merge_int(&mut ints, s.min_opt().map(|v| i64::from(*v)), s.max_opt().map(|v| i64::from(*v)))
            }
            Statistics::Double(s) => merge_float(&mut floats, s.min_opt().copied(), s.max_opt().copied()),
            Statistics::Float(s) => merge_float(
                &mut floats,
                s.min_opt().map(|v| f64::from(*v)),
                s.max_opt().map(|v| f64::from(*v)),
            ),
            _ => return None,
        }
    }
    match (ints, floats) {
        (Some((min, max)), _) => Some((json!(min), json!(max))),
        (None, Some((min, max))) if min.is_finite() && max.is_finite() => Some((json!(min), json!(max))),
        _ => None,
    }
}

fn merge_int(range: &mut Option<(i64, i64)>, min: Option<i64>, max: Option<i64>) {
    if let (Some(min), Some(max)) = (min, max) {
        *range = Some(range.map_or((min, max), |(a, b)| (a.min(min), b.max(max))));
    }
}

fn merge_float(range: &mut Option<(f64, f64)>, min: Option<f64>, max: Option<f64>) {
    if let (Some(min), Some(max)) = (min, max) {
        *range = Some(range.map_or((min, max), |(a, b)| (a.min(min), b.max(max))));
    }
}

/// Rows of a Parquet file by its footer, for tables whose writer left no statistics.
pub(super) fn rows_of_file(path: &Path, table: &str) -> Result<u64, LakeError> {
    let file = File::open(path).map_err(|e| LakeError::io("read", path, e))?;
    let reader = SerializedFileReader::new(file).map_err(|e| LakeError::parquet("read", path, table, e))?;
    Ok(reader.metadata().file_metadata().num_rows().unsigned_abs())
}

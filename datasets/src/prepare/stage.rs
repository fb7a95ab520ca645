use std::cell::Cell;
use std::iter::Peekable;

use arrow::array::{AsArray, BooleanArray};
use arrow::compute::filter_record_batch;
use arrow::datatypes::Int64Type;
use arrow::record_batch::RecordBatch;

use super::config::{Keep, PrepareConfig};
use super::error::PrepareError;
use crate::engines::{Engine, EngineTable};
use crate::features::{PlanError, RowFilter};
use crate::lake::{Lake, LakeError, ScanOptions, TableVersion};
use crate::schema::Schema;

/// Writes the clean table: of several rows with one key the first or the last, rows that meet the
/// filter, columns as the schema has them. Rows keep the order of the raw table.
///
/// The engine finds the rows to leave out, in bounded memory; everything else streams. A row
/// without a complete key is no duplicate of any other. Duplicates go before the filter.
pub fn run(
    lake: &Lake,
    engine: &dyn Engine,
    raw: &TableVersion,
    schema: &Schema,
    config: &PrepareConfig,
    clean_table: &str,
) -> Result<TableVersion, PrepareError> {
    let filter = config.filter.as_ref().map(|sql| RowFilter::compile(sql, schema)).transpose();
    let filter = filter.map_err(|e| PrepareError::Filter { reason: reason(&e) })?;
    let mut duplicates = duplicates(lake, engine, raw, schema, config)?.peekable();
    let columns = schema.columns.keys().cloned().collect();
    let options = ScanOptions { columns: Some(columns), ..ScanOptions::default() };
    let n_kept = Cell::new(0);
    let mut start = 0_i64;
    let rows = lake.scan(raw, options)?.map(|batch| {
        let mut batch = batch?;
        let end = start + batch.num_rows() as i64;
        if let Some(mask) = kept(&mut duplicates, start, end)? {
            batch = filter_record_batch(&batch, &mask).map_err(LakeError::rows)?;
        }
        start = end;
        if let Some(filter) = &filter {
            batch = filter.apply(&batch).map_err(LakeError::rows)?;
        }
        n_kept.set(n_kept.get() + batch.num_rows());
        Ok(batch)
    });
    // An error at the end of the rows leaves the clean table as it was.
    let none_left = std::iter::from_fn(|| {
        let none = n_kept.replace(1) == 0 && raw.n_rows > 0;
        none.then(|| Err(LakeError::rows(PrepareError::NoRows { n_raw: raw.n_rows })))
    });
    lake.overwrite(clean_table, schema.arrow(), &[], &mut rows.chain(none_left))
        .map_err(PrepareError::of_write)
}

/// The error of a plan, told of the filter.
fn reason(error: &PlanError) -> String {
    let text = error.to_string();
    text.strip_prefix("feature condition")
        .map_or(text.clone(), |rest| format!("it{}", rest.strip_prefix(':').unwrap_or(rest)))
}

type RowNumbers = Box<dyn Iterator<Item = Result<i64, LakeError>>>;

/// Positions of the rows to leave out, ascending.
fn duplicates(
    lake: &Lake,
    engine: &dyn Engine,
    raw: &TableVersion,
    schema: &Schema,
    config: &PrepareConfig,
) -> Result<RowNumbers, PrepareError> {
    let Some(deduplicate) = &config.deduplicate else { return Ok(Box::new(std::iter::empty())) };
    if schema.key.is_empty() {
        return Err(PrepareError::NoKey);
    }
    let row = row_number_name(schema);
    let table = EngineTable::new("raw", lake, raw).with_row_number(&row);
    let found = engine.query(&[table], &duplicates_sql(schema, deduplicate.keep, &row))?;
    Ok(Box::new(found.batches.flat_map(|batch| {
        let positions: Vec<Result<i64, LakeError>> = match batch {
            Ok(batch) => {
                batch.column(0).as_primitive::<Int64Type>().values().iter().map(|v| Ok(*v)).collect()
            }
            Err(error) => vec![Err(LakeError::rows(error))],
        };
        positions
    })))
}

fn duplicates_sql(schema: &Schema, keep: Keep, row: &str) -> String {
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    let keys: Vec<String> = schema.key.iter().map(|k| quoted(k)).collect();
    let complete: Vec<String> = keys.iter().map(|k| format!("{k} is not null")).collect();
    let direction = if keep == Keep::First { "asc" } else { "desc" };
    // A row without a time is never preferred.
    let time =
        schema.time.as_ref().map(|t| format!("{} {direction} nulls last, ", quoted(t))).unwrap_or_default();
    let row = quoted(row);
    format!(
        "select {row} from (select {row}, row_number() over (partition by {keys} order by {time}{row} {direction}) as place \
         from raw where {complete}) where place > 1 order by {row}",
        keys = keys.join(", "),
        complete = complete.join(" and "),
    )
}

/// A column name that the schema does not have.
fn row_number_name(schema: &Schema) -> String {
    let mut name = "row".to_owned();
    while schema.columns.contains_key(&name) || name == "place" {
        name.push('_');
    }
    name
}

/// Which of the rows `start..end` stay; `None`: all.
fn kept(
    duplicates: &mut Peekable<RowNumbers>,
    start: i64,
    end: i64,
) -> Result<Option<BooleanArray>, LakeError> {
    let mut keep: Option<Vec<bool>> = None;
    while let Some(next) = duplicates.next_if(|d| d.as_ref().map_or(true, |row| *row < end)) {
        let at = (next? - start) as usize;
        keep.get_or_insert_with(|| vec![true; (end - start) as usize])[at] = false;
    }
    Ok(keep.map(BooleanArray::from))
}

impl RowFilter {
    fn apply(&self, rows: &RecordBatch) -> Result<RecordBatch, Box<dyn std::error::Error + Send + Sync>> {
        let mask = self.mask(rows)?;
        Ok(filter_record_batch(rows, &mask)?)
    }
}

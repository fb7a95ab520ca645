use serde::{Deserialize, Serialize};

use super::data_profile::{ColumnProfile, ColumnRole};
use crate::schema::ColumnType;

/// Something a person should look at before a model is trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Warning {
    /// Column it is about.
    pub column: String,
    /// What kind it is.
    pub kind: WarningKind,
    /// What is odd and what to do.
    pub message: String,
}

/// Kind of a warning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WarningKind {
    /// No value at all.
    Empty,
    /// One value.
    Constant,
    /// More than half of the rows have no value.
    MostlyMissing,
    /// Texts or running numbers that are different in nearly every row.
    Identifier,
    /// A string with more values than a model can learn from.
    HighCardinality,
    /// Says so much about the label that it may know it.
    SuspiciouslyPredictive,
    /// A class of the label has very few rows.
    RareClass,
}

/// Warnings in the order of the columns.
pub(super) fn find(columns: &[ColumnProfile], n_rows: u64) -> Vec<Warning> {
    let mut warnings = Vec::new();
    for column in columns.iter().filter(|column| column.role != ColumnRole::Unused) {
        let found = [
            value_warning(column),
            identifier_warning(column).or_else(|| cardinality_warning(column, n_rows)),
            leak_warning(column),
            label_warning(column),
        ];
        warnings.extend(found.into_iter().flatten().map(|(kind, message)| Warning {
            column: column.name.clone(),
            kind,
            message,
        }));
    }
    warnings
}

type Found = Option<(WarningKind, String)>;

fn value_warning(column: &ColumnProfile) -> Found {
    let missing = column.missing_share();
    if column.count == 0 {
        return Some((WarningKind::Empty, "no row has a value; remove the column".into()));
    }
    if column.distinct.count == 1 {
        let message = match column.role {
            ColumnRole::Label => "the label has one value; there is nothing to learn",
            _ => "all values are the same; the column says nothing",
        };
        return Some((WarningKind::Constant, message.into()));
    }
    (missing > 0.5)
        .then(|| (WarningKind::MostlyMissing, format!("{:.1} % of the rows have no value", 100.0 * missing)))
}

/// Rows below which values may differ by chance.
const IDENTIFIED_ROWS_MIN: u64 = 100;

fn identifier_warning(column: &ColumnProfile) -> Found {
    let differs = column.distinct.count as f64 >= 0.95 * column.count as f64;
    if column.role != ColumnRole::Feature || column.count < IDENTIFIED_ROWS_MIN || !differs {
        return None;
    }
    let what = match column.kind {
        ColumnType::String => "text",
        ColumnType::Int64 if is_running(column) => "running number",
        _ => return None,
    };
    let message = format!(
        "nearly every row has a {what} of its own, which says nothing about other rows; exclude the column, or make it the key"
    );
    Some((WarningKind::Identifier, message))
}

/// Whether the integers, which differ, go up from row to row or leave few numbers out.
fn is_running(column: &ColumnProfile) -> bool {
    let is_dense = column.numeric.as_ref().is_some_and(|n| n.max - n.min < 1.5 * column.count as f64);
    is_dense || column.rising.is_some_and(|share| share >= 0.99)
}

fn cardinality_warning(column: &ColumnProfile, n_rows: u64) -> Found {
    let distinct = column.distinct.count;
    let many = distinct > 1_000 || (distinct > 50 && distinct * 2 > n_rows);
    if column.kind != ColumnType::String || column.role != ColumnRole::Feature || !many {
        return None;
    }
    let about = if column.distinct.exact { "" } else { "about " };
    let message = format!(
        "{about}{distinct} different texts; the frequent ones become categories, an identifier should be excluded"
    );
    Some((WarningKind::HighCardinality, message))
}

fn leak_warning(column: &ColumnProfile) -> Found {
    let association = column.association.filter(|a| a.value.abs() > 0.95)?;
    (column.role == ColumnRole::Feature).then(|| {
        let message = format!(
            "its association with the label is {:.3}; make sure that it is known before the label is, or exclude it",
            association.value
        );
        (WarningKind::SuspiciouslyPredictive, message)
    })
}

fn label_warning(column: &ColumnProfile) -> Found {
    if column.role != ColumnRole::Label || column.other > 0 {
        return None;
    }
    let rare = column.top.iter().min_by_key(|c| c.count).filter(|c| c.count < 50 && column.count >= 500)?;
    Some((
        WarningKind::RareClass,
        format!("class {} has {} rows; measures of it will be noisy", rare.value, rare.count),
    ))
}

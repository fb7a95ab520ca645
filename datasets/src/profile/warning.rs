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
    for column in columns {
        let found = [
            value_warning(column),
            cardinality_warning(column, n_rows),
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

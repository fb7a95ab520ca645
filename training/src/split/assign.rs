use std::collections::HashMap;

use super::hash::splitmix64;
use super::{Part, SplitConfig, SplitKind};

/// What a split may look at. All slices have `n_rows` entries, in the order of the table.
#[derive(Clone, Copy, Debug, Default)]
pub struct SplitInput<'a> {
    /// Rows to assign.
    pub n_rows: usize,
    /// Time of each row, in any unit that grows with time. Needed by `time`.
    pub times: Option<&'a [i64]>,
    /// Class index of each row. Needed by `stratified`.
    pub labels: Option<&'a [u32]>,
    /// A number per group (a hash of the column `by`). Needed by `group`.
    pub groups: Option<&'a [u64]>,
}

/// Assigns each row to a part.
///
/// Let `n` be the rows, `v` and `t` the shares of validation and test. Of rows in some order, the
/// last `round(n t)` are test, the `round(n v)` before them validation, the rest train. The order:
///
/// - `time`: by time. A part begins with all rows that have the time of its first row, so equal
///   times are never divided, and the later part is the one that grows.
/// - `random`: by the SplitMix64 hash of row number plus `seed`.
/// - `stratified`: by the same hash, within each class. Each class has its exact shares, rounded.
/// - `group`: whole groups by the hash of their number; a group goes where the middle of its rows
///   falls, so shares are met to within half a group.
///
/// Without `kind`: `group` if `by` is set, else `time` if there are times, else `stratified` if
/// there are classes, else `random`. The result depends on nothing but the arguments.
///
/// # Errors
/// Shares that leave no training rows, a missing column, too few rows, a part that would be empty.
pub fn assign(config: &SplitConfig, input: SplitInput<'_>, seed: u64) -> Result<Vec<Part>, SplitError> {
    check_shares(config)?;
    check_lengths(&input)?;
    let needed = 1 + usize::from(config.validation > 0.0) + usize::from(config.test > 0.0);
    if input.n_rows < needed {
        return Err(SplitError::TooFewRows { n_rows: input.n_rows, needed });
    }
    let kind = kind_of(config, &input);
    let parts = match kind {
        SplitKind::Time => by_time(config, input.times.ok_or(SplitError::NoTime)?),
        SplitKind::Random => by_hash(config, &all_rows(input.n_rows), input.n_rows, seed),
        SplitKind::Stratified => by_class(config, input.labels.ok_or(SplitError::NoLabels)?, seed),
        SplitKind::Group => by_group(config, input.groups.ok_or(SplitError::NoGroups)?, seed),
    };
    check_no_part_empty(config, &parts, kind)?;
    Ok(parts)
}

fn kind_of(config: &SplitConfig, input: &SplitInput<'_>) -> SplitKind {
    match config.kind {
        Some(kind) => kind,
        None if config.by.is_some() => SplitKind::Group,
        None if input.times.is_some() => SplitKind::Time,
        None if input.labels.is_some() => SplitKind::Stratified,
        None => SplitKind::Random,
    }
}

fn by_time(config: &SplitConfig, times: &[i64]) -> Vec<Part> {
    let n = times.len();
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let cuts = Cuts::of(n, config);
    // A part without rows begins after all times.
    let begins = |rank: usize| sorted.get(rank).copied();
    let (validation, test) = (begins(cuts.validation), begins(cuts.test));
    times
        .iter()
        .map(|time| match (validation, test) {
            (_, Some(begin)) if *time >= begin => Part::Test,
            (Some(begin), _) if *time >= begin => Part::Validation,
            _ => Part::Train,
        })
        .collect()
}

/// Splits `rows` among the parts by hash; rows that are not listed stay in train.
fn by_hash(config: &SplitConfig, rows: &[u32], n_rows: usize, seed: u64) -> Vec<Part> {
    let mut parts = vec![Part::Train; n_rows];
    assign_by_hash(config, rows, seed, &mut parts);
    parts
}

fn by_class(config: &SplitConfig, labels: &[u32], seed: u64) -> Vec<Part> {
    let mut classes: HashMap<u32, Vec<u32>> = HashMap::new();
    for (row, label) in labels.iter().enumerate() {
        classes.entry(*label).or_default().push(row as u32);
    }
    let mut parts = vec![Part::Train; labels.len()];
    // The order of the map does not matter: classes touch different rows.
    for rows in classes.values() {
        assign_by_hash(config, rows, seed, &mut parts);
    }
    parts
}

fn assign_by_hash(config: &SplitConfig, rows: &[u32], seed: u64, parts: &mut [Part]) {
    let mut order: Vec<(u64, u32)> =
        rows.iter().map(|row| (splitmix64(u64::from(*row), seed), *row)).collect();
    order.sort_unstable();
    let cuts = Cuts::of(rows.len(), config);
    for (rank, (_, row)) in order.into_iter().enumerate() {
        parts[row as usize] = cuts.part(rank);
    }
}

fn by_group(config: &SplitConfig, groups: &[u64], seed: u64) -> Vec<Part> {
    let mut sizes: HashMap<u64, usize> = HashMap::new();
    for group in groups {
        *sizes.entry(*group).or_default() += 1;
    }
    let mut order: Vec<(u64, u64)> = sizes.keys().map(|group| (splitmix64(*group, seed), *group)).collect();
    order.sort_unstable();
    let cuts = Cuts::of(groups.len(), config);
    let mut before = 0;
    let mut part_of = HashMap::with_capacity(order.len());
    for (_, group) in order {
        let size = sizes[&group];
        part_of.insert(group, cuts.part(before + size / 2));
        before += size;
    }
    groups.iter().map(|group| part_of[group]).collect()
}

fn all_rows(n_rows: usize) -> Vec<u32> {
    (0..n_rows as u32).collect()
}

/// Ranks at which validation and test begin.
struct Cuts {
    validation: usize,
    test: usize,
}

impl Cuts {
    fn of(n: usize, config: &SplitConfig) -> Self {
        let count = |share: f64| (n as f64 * share).round() as usize;
        let test = n.saturating_sub(count(config.test));
        Self { validation: test.saturating_sub(count(config.validation)), test }
    }

    fn part(&self, rank: usize) -> Part {
        if rank >= self.test {
            Part::Test
        } else if rank >= self.validation {
            Part::Validation
        } else {
            Part::Train
        }
    }
}

fn check_shares(config: &SplitConfig) -> Result<(), SplitError> {
    let fits = |share: f64| (0.0..1.0).contains(&share);
    if fits(config.validation) && fits(config.test) && config.validation + config.test < 1.0 {
        return Ok(());
    }
    Err(SplitError::Shares { validation: config.validation, test: config.test })
}

fn check_lengths(input: &SplitInput<'_>) -> Result<(), SplitError> {
    let lengths = [input.times.map(<[_]>::len), input.labels.map(<[_]>::len), input.groups.map(<[_]>::len)];
    match lengths.into_iter().flatten().find(|length| *length != input.n_rows) {
        Some(found) => Err(SplitError::Length { n_rows: input.n_rows, found }),
        None if u32::try_from(input.n_rows).is_err() => Err(SplitError::TooManyRows { n_rows: input.n_rows }),
        None => Ok(()),
    }
}

fn check_no_part_empty(config: &SplitConfig, parts: &[Part], kind: SplitKind) -> Result<(), SplitError> {
    let wanted =
        [(Part::Train, true), (Part::Validation, config.validation > 0.0), (Part::Test, config.test > 0.0)];
    for (part, wanted) in wanted {
        if wanted && !parts.contains(&part) {
            return Err(SplitError::Empty { part: part.name(), n_rows: parts.len(), kind });
        }
    }
    Ok(())
}

/// Why a table cannot be split as asked.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum SplitError {
    /// The shares leave nothing to train on.
    #[error(
        "split.validation = {validation} and split.test = {test}: each must be at least 0 and their sum below 1, so that rows are left to train on"
    )]
    Shares {
        /// Share as configured.
        validation: f64,
        /// Share as configured.
        test: f64,
    },
    /// A split by time without times.
    #[error("split.kind = \"time\" needs a time column; name it in schema.time or choose another kind")]
    NoTime,
    /// A stratified split without classes.
    #[error(
        "split.kind = \"stratified\" needs a label with classes; use kind = \"random\" for numbers and counts"
    )]
    NoLabels,
    /// A group split without groups.
    #[error("split.kind = \"group\" needs the column whose rows stay together; name it in split.by")]
    NoGroups,
    /// Fewer rows than parts.
    #[error(
        "the table has {n_rows} rows, {needed} are needed to give each part one; add data or set split.validation or split.test to 0"
    )]
    TooFewRows {
        /// Rows in the table.
        n_rows: usize,
        /// Parts to fill.
        needed: usize,
    },
    /// More rows than a split can number.
    #[error("the table has {n_rows} rows; a split holds at most 4,294,967,295")]
    TooManyRows {
        /// Rows in the table.
        n_rows: usize,
    },
    /// A part got no row.
    #[error(
        "the {part} part of a {kind:?} split of {n_rows} rows would be empty; raise its share, add data, or choose another split.kind"
    )]
    Empty {
        /// Part at fault.
        part: &'static str,
        /// Rows in the table.
        n_rows: usize,
        /// Kind of the split.
        kind: SplitKind,
    },
    /// The caller's slices disagree.
    #[error(
        "a split of {n_rows} rows was given a column of {found}; all columns must come from the same table version"
    )]
    Length {
        /// Rows in the table.
        n_rows: usize,
        /// Entries in the column.
        found: usize,
    },
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;

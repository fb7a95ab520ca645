use std::collections::HashSet;
use std::path::Path;

use super::error::JournalError;
use super::summary::RunSummary;

/// The run that a person means: by its id, by a start or an end of it that no other run has, or by its name.
///
/// # Errors
/// None is meant, or several are.
pub fn find<'a>(home: &Path, runs: &'a [RunSummary], wanted: &str) -> Result<&'a RunSummary, JournalError> {
    if let Some(exact) = runs.iter().find(|run| run.run_id == wanted) {
        return Ok(exact);
    }
    let is_meant = |run: &&RunSummary| {
        run.name == wanted || run.run_id.starts_with(wanted) || run.run_id.ends_with(wanted)
    };
    let meant: Vec<&RunSummary> = runs.iter().filter(|_| !wanted.is_empty()).filter(is_meant).collect();
    match meant[..] {
        [run] => Ok(run),
        [] => Err(JournalError::Unknown { run_id: wanted.into(), home: home.into() }),
        _ => Err(JournalError::Ambiguous {
            wanted: wanted.into(),
            runs: meant.iter().map(|run| run.run_id.as_str()).collect::<Vec<_>>().join(", "),
        }),
    }
}

/// Ids cut to their ends: those start with the time and end at random, so that few characters tell them apart.
pub fn short_ids(runs: &[RunSummary]) -> Vec<&str> {
    let longest = runs.iter().map(|run| run.run_id.len()).max().unwrap_or(0);
    let ends = |n: usize| -> Vec<&str> {
        runs.iter().map(|run| &run.run_id[run.run_id.len().saturating_sub(n)..]).collect()
    };
    let all_differ = |ends: &[&str]| ends.iter().collect::<HashSet<_>>().len() == ends.len();
    (8..longest).map(ends).find(|ends| all_differ(ends)).unwrap_or_else(|| ends(longest))
}

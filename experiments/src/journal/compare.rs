use indexmap::IndexSet;
use serde::Serialize;

use super::summary::RunSummary;

/// What differs between runs; one column per run, in their order.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// Ids, one per column.
    pub run_ids: Vec<String>,
    /// Names, one per column.
    pub names: Vec<String>,
    /// Settings that are not the same in all runs.
    pub params: Vec<Difference<String>>,
    /// Last values that are not the same in all runs.
    pub metrics: Vec<Difference<f64>>,
}

/// One row of a comparison.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference<T> {
    /// Key of the parameter or metric.
    pub key: String,
    /// Value per run; `None` where a run has none.
    pub values: Vec<Option<T>>,
}

/// Compares runs by parameters and by the last value of each metric. System metrics are left
/// out: they are never the same.
pub fn compare(runs: &[RunSummary]) -> Comparison {
    let params = differences(runs, |run| run.params.keys(), |run, key| run.params.get(key).cloned());
    let metrics =
        differences(runs, |run| run.metrics.keys(), |run, key| run.metrics.get(key).map(|value| value.0));
    Comparison {
        run_ids: runs.iter().map(|run| run.run_id.clone()).collect(),
        names: runs.iter().map(|run| run.name.clone()).collect(),
        params,
        metrics: metrics.into_iter().filter(|row| !row.key.starts_with("system/")).collect(),
    }
}

fn differences<'a, T: PartialEq, K: Iterator<Item = &'a String>>(
    runs: &'a [RunSummary],
    keys: impl Fn(&'a RunSummary) -> K,
    value: impl Fn(&RunSummary, &str) -> Option<T>,
) -> Vec<Difference<T>> {
    let keys: IndexSet<&String> = runs.iter().flat_map(keys).collect();
    keys.into_iter()
        .map(|key| Difference { key: key.clone(), values: runs.iter().map(|run| value(run, key)).collect() })
        .filter(|row| row.values.windows(2).any(|pair| pair[0] != pair[1]))
        .collect()
}

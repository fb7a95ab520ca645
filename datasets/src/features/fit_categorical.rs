use std::collections::HashMap;
use std::fmt::Write;

use super::CategoricalConfig;
use super::reader::Values;
use crate::schema::ColumnType;

/// Distinct values counted per feature. Beyond this the rarest are forgotten: the counts of a
/// column with more distinct values are lower bounds, and its frequent values are still found.
const DISTINCT_MAX: usize = 262_144;

/// Counts the categories of one feature.
pub(super) struct CategoryCounts {
    texts: HashMap<Box<str>, u64>,
    ints: HashMap<i64, u64>,
    bools: [u64; 2],
    distinct_max: usize,
}

impl CategoryCounts {
    pub(super) fn new(_: ColumnType) -> Self {
        Self { texts: HashMap::new(), ints: HashMap::new(), bools: [0; 2], distinct_max: DISTINCT_MAX }
    }

    pub(super) fn add(&mut self, values: &Values<'_>) {
        match values {
            Values::Bool(a) => a.iter().flatten().for_each(|v| self.bools[usize::from(v)] += 1),
            Values::Int(a) => a.iter().flatten().for_each(|v| *self.ints.entry(v).or_default() += 1),
            Values::Text(a) => a.iter().flatten().for_each(|v| count(&mut self.texts, v)),
            Values::Float(a) => {
                let mut text = String::new();
                for v in a.iter().flatten().filter(|v| v.is_finite()) {
                    text.clear();
                    let _ = write!(text, "{v}");
                    count(&mut self.texts, &text);
                }
            }
            Values::Time(_) => {}
        }
        forget_rare(&mut self.texts, self.distinct_max);
        forget_rare(&mut self.ints, self.distinct_max);
    }

    /// The categories that get a code: the most frequent first, equal counts by name.
    pub(super) fn vocabulary(self, config: &CategoricalConfig) -> Vec<String> {
        let texts = self.texts.into_iter().map(|(value, n)| (value.into_string(), n));
        let ints = self.ints.into_iter().map(|(value, n)| (value.to_string(), n));
        let bools = ["false", "true"].into_iter().zip(self.bools).map(|(value, n)| (value.to_owned(), n));
        let least = config.count_min.max(1) as u64;
        let mut counted: Vec<(String, u64)> =
            texts.chain(ints).chain(bools).filter(|(_, n)| *n >= least).collect();
        counted.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        counted.truncate(config.categories_max);
        counted.into_iter().map(|(value, _)| value).collect()
    }
}

fn count(counts: &mut HashMap<Box<str>, u64>, value: &str) {
    match counts.get_mut(value) {
        Some(n) => *n += 1,
        None => {
            counts.insert(value.into(), 1);
        }
    }
}

/// Drops the rarer half when there are too many. What is dropped depends on counts alone, so the
/// result does not depend on the order of a hash table.
fn forget_rare<K: Eq + std::hash::Hash>(counts: &mut HashMap<K, u64>, distinct_max: usize) {
    if counts.len() <= distinct_max {
        return;
    }
    let mut sorted: Vec<u64> = counts.values().copied().collect();
    sorted.sort_unstable();
    let limit = sorted[sorted.len() / 2];
    counts.retain(|_, n| *n > limit);
}

#[cfg(test)]
mod tests {
    use arrow::array::StringArray;

    use super::*;

    #[test]
    fn memory_is_bounded_and_frequent_categories_survive() {
        let mut counts = CategoryCounts { distinct_max: 100, ..CategoryCounts::new(ColumnType::String) };
        for round in 0..50 {
            let rare = (0..60).map(|i| format!("rare {round} {i}"));
            let values: StringArray =
                rare.chain((0..20).map(|i| format!("often {}", i % 2))).map(Some).collect();
            counts.add(&Values::Text(&values));
            assert!(counts.texts.len() <= 160);
        }
        let vocabulary = counts.vocabulary(&CategoricalConfig { categories_max: 2, count_min: 5 });
        assert_eq!(vocabulary, ["often 0", "often 1"]);
        assert_eq!(vocabulary.first().unwrap(), "often 0");
    }
}

use std::collections::HashMap;
use std::hash::Hash;

use super::association::{LabelValues, correlation_ratio, cramers_v};
use super::data_profile::{Association, CategoryCount};
use crate::features::Values;

/// Distinct values kept per column; beyond, the rarer half is forgotten and the association with
/// the label is not known.
const KEPT_MAX: usize = 65_536;

/// Rows per value, and the label within each.
#[derive(Default)]
pub(super) struct Categories {
    texts: Groups<Box<str>>,
    ints: Groups<i64>,
}

#[derive(Default)]
struct Groups<K> {
    groups: HashMap<K, Group>,
    forgot: bool,
}

#[derive(Clone, Default)]
struct Group {
    n: u64,
    n_labelled: u64,
    label_sum: f64,
    by_class: Vec<u64>,
}

impl Group {
    fn add(&mut self, label: Option<&LabelValues>, row: usize) {
        self.n += 1;
        match label {
            Some(LabelValues::Numbers(y)) if !y[row].is_nan() => {
                self.n_labelled += 1;
                self.label_sum += y[row];
            }
            Some(LabelValues::Classes(classes)) => {
                if let Some(class) = classes[row] {
                    self.by_class.resize(self.by_class.len().max(class + 1), 0);
                    self.by_class[class] += 1;
                }
            }
            _ => {}
        }
    }
}

impl<K: Eq + Hash> Groups<K> {
    fn forget_rare(&mut self) {
        if self.groups.len() > KEPT_MAX {
            let mut counts: Vec<u64> = self.groups.values().map(|g| g.n).collect();
            counts.sort_unstable();
            let limit = counts[counts.len() / 2];
            self.groups.retain(|_, g| g.n > limit);
            self.forgot = true;
        }
    }
}

impl Categories {
    /// Adds a batch of strings, integers or bools; other types have no categories.
    pub(super) fn add(&mut self, values: &Values<'_>, label: Option<&LabelValues>) {
        match values {
            Values::Text(a) => {
                for (row, value) in a.iter().enumerate() {
                    let Some(value) = value else { continue };
                    match self.texts.groups.get_mut(value) {
                        Some(group) => group.add(label, row),
                        None => self.texts.groups.entry(value.into()).or_default().add(label, row),
                    }
                }
                self.texts.forget_rare();
            }
            Values::Int(a) => {
                for (row, value) in a.iter().enumerate() {
                    if let Some(value) = value {
                        self.ints.groups.entry(value).or_default().add(label, row);
                    }
                }
                self.ints.forget_rare();
            }
            Values::Bool(a) => {
                for (row, value) in a.iter().enumerate() {
                    if let Some(value) = value {
                        let text = if value { "true" } else { "false" };
                        self.texts.groups.entry(text.into()).or_default().add(label, row);
                    }
                }
            }
            Values::Float(_) | Values::Time(_) => {}
        }
    }

    /// The most frequent values, equal counts by value.
    pub(super) fn top(&self, n: usize) -> Vec<CategoryCount> {
        let texts = self.texts.groups.iter().map(|(value, group)| (value.to_string(), group));
        let ints = self.ints.groups.iter().map(|(value, group)| (value.to_string(), group));
        let mut all: Vec<(String, &Group)> = texts.chain(ints).collect();
        all.sort_unstable_by(|a, b| b.1.n.cmp(&a.1.n).then_with(|| a.0.cmp(&b.0)));
        all.truncate(n);
        all.into_iter()
            .map(|(value, group)| CategoryCount {
                value,
                count: group.n,
                label_mean: (group.n_labelled > 0).then(|| group.label_sum / group.n_labelled as f64),
            })
            .collect()
    }

    /// How much a string says about the label; `label_squares`: see [`correlation_ratio`].
    pub(super) fn association(&self, label_squares: Option<f64>) -> Option<Association> {
        if self.texts.forgot || self.ints.forgot {
            return None;
        }
        // In a fixed order, so that sums are the same in every run.
        let mut groups: Vec<(&str, &Group)> =
            self.texts.groups.iter().map(|(k, g)| (k.as_ref(), g)).collect();
        groups.sort_unstable_by_key(|(value, _)| *value);
        match label_squares {
            Some(squares) => {
                correlation_ratio(groups.iter().map(|(_, g)| (g.n_labelled as f64, g.label_sum)), squares)
            }
            None => cramers_v(groups.iter().map(|(_, g)| g.by_class.as_slice())),
        }
    }
}

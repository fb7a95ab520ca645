use indexmap::IndexMap;
use rayon::prelude::*;

use super::Predictions;
use crate::lists::{self, Lists};

/// Places of `ndcg_at_10`.
const PLACES: usize = 10;

/// NDCG over whole lists and over their first ten places.
pub(super) fn evaluate(p: &Predictions<'_>, values: &mut IndexMap<String, f64>) {
    // Without groups all rows are one list.
    let one = vec![0; p.labels.len()];
    let lists = Lists::new(p.groups.unwrap_or(&one));
    let mean = |n_places| mean_ndcg(&lists, p.labels, &p.scores.values, n_places);
    values.insert("ndcg_at_10".into(), mean(PLACES));
    values.insert("ndcg".into(), mean(usize::MAX));
}

/// Mean over the lists of NDCG, with gains of 2^relevance - 1. Rows of equal score share the mean of their gains, as in
/// scikit-learn; lists without a relevant row say nothing and are left out. NaN where all are.
pub(crate) fn mean_ndcg(lists: &Lists, labels: &[f32], scores: &[f32], n_places: usize) -> f64 {
    let of_list = |list: usize| ndcg(lists.rows(list), labels, scores, n_places);
    let found: Vec<Option<f64>> = (0..lists.len()).into_par_iter().map(of_list).collect();
    let found: Vec<f64> = found.into_iter().flatten().collect();
    found.iter().sum::<f64>() / found.len() as f64
}

/// Discounted gain of the order that scores give, as a share of the best; `None` without a relevant row.
fn ndcg(rows: &[u32], labels: &[f32], scores: &[f32], n_places: usize) -> Option<f64> {
    let label = |row: &u32| labels[*row as usize];
    let score = |row: &u32| scores[*row as usize];
    let best = lists::ideal(rows.iter().map(label), n_places);
    let mut order = rows.to_vec();
    order.sort_by(|a, b| score(b).total_cmp(&score(a)));
    let mut place = 0;
    let mut sum = 0.0;
    for tied in order.chunk_by(|a, b| score(a) == score(b)) {
        let gain = tied.iter().map(|row| lists::gain(label(row))).sum::<f64>() / tied.len() as f64;
        let places = place..(place + tied.len()).min(n_places.max(place));
        sum += gain * places.map(lists::discount).sum::<f64>();
        place += tied.len();
    }
    (best > 0.0).then(|| sum / best)
}

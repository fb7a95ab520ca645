use cupola_datasets::FeatureBatch;
use cupola_datasets::features::LabelledBatch;

/// Bytes of one row in memory.
pub(super) fn row_bytes(batch: &LabelledBatch) -> usize {
    let numbers =
        batch.features.n_numeric + batch.features.n_categorical + 1 + usize::from(batch.weights.is_some());
    numbers * size_of::<f32>()
}

/// An empty block for rows of the same shape as `like`, with room for `n_rows`. Networks do not rank: groups are left.
pub(super) fn empty_like(like: &LabelledBatch, n_rows: usize) -> LabelledBatch {
    let FeatureBatch { n_numeric, n_categorical, .. } = like.features;
    LabelledBatch {
        features: FeatureBatch {
            n_rows: 0,
            n_numeric,
            n_categorical,
            numeric: Vec::with_capacity(n_rows * n_numeric),
            categorical: Vec::with_capacity(n_rows * n_categorical),
        },
        labels: Vec::with_capacity(n_rows),
        weights: like.weights.is_some().then(|| Vec::with_capacity(n_rows)),
        groups: None,
    }
}

/// Appends all rows of `from`, which has the same shape.
pub(super) fn append(to: &mut LabelledBatch, from: &LabelledBatch) {
    to.features.n_rows += from.features.n_rows;
    to.features.numeric.extend_from_slice(&from.features.numeric);
    to.features.categorical.extend_from_slice(&from.features.categorical);
    to.labels.extend_from_slice(&from.labels);
    if let (Some(to), Some(from)) = (&mut to.weights, &from.weights) {
        to.extend_from_slice(from);
    }
}

/// Appends one row of `from`, which has the same shape.
pub(super) fn push(to: &mut LabelledBatch, from: &LabelledBatch, row: usize) {
    let FeatureBatch { n_numeric, n_categorical, .. } = from.features;
    to.features.n_rows += 1;
    to.features.numeric.extend_from_slice(&from.features.numeric[row * n_numeric..(row + 1) * n_numeric]);
    to.features
        .categorical
        .extend_from_slice(&from.features.categorical[row * n_categorical..(row + 1) * n_categorical]);
    to.labels.push(from.labels[row]);
    if let (Some(to), Some(from)) = (&mut to.weights, &from.weights) {
        to.push(from[row]);
    }
}

/// Overwrites row `at` of `to` with row `row` of `from`, which has the same shape.
pub(super) fn replace(to: &mut LabelledBatch, at: usize, from: &LabelledBatch, row: usize) {
    let FeatureBatch { n_numeric: n, n_categorical: k, .. } = from.features;
    to.features.numeric[at * n..(at + 1) * n].copy_from_slice(&from.features.numeric[row * n..(row + 1) * n]);
    to.features.categorical[at * k..(at + 1) * k]
        .copy_from_slice(&from.features.categorical[row * k..(row + 1) * k]);
    to.labels[at] = from.labels[row];
    if let (Some(to), Some(from)) = (&mut to.weights, &from.weights) {
        to[at] = from[row];
    }
}

/// The rows with these numbers, in this order.
pub(super) fn gather(from: &LabelledBatch, rows: &[u32]) -> LabelledBatch {
    let mut out = empty_like(from, rows.len());
    rows.iter().for_each(|row| push(&mut out, from, *row as usize));
    out
}

//! Where a number is cut into bins.
//!
//! A feature with few values gets a bin for each. One with many gets three kinds of cuts: those where
//! the target changes most (found as a regression tree over this feature alone finds them, so that a
//! rule about a rare range has its own bins), tails cut at halving shares of the rows, and quantiles
//! for the rest of the budget.

use std::ops::Range;

use super::bins::Sampled;

/// How many bins a feature may have, and how many rows they are chosen from.
#[derive(Clone, Copy, Debug)]
pub struct CutBudget {
    /// Most bins of a feature that does not earn more.
    pub bins_max: usize,
    /// Most bins of a feature whose target changes in more places than `bins_max` has room for.
    pub wide_bins_max: usize,
    /// Sampled rows on each side of a cut by the target, at least: so many that a rare class can be expected.
    pub side_rows_min: usize,
}

/// Least gain of a cut by the target, in units of the target's variance (a chi-squared of one degree of freedom that
/// chance passes once in 100,000).
const GAIN_MIN: f64 = 19.5;
/// Cuts of each tail.
const TAIL_CUTS: usize = 10;

/// The cuts of a feature, ascending. The sample, which has no NaN, is sorted.
pub fn choose(sample: &mut [Sampled], budget: CutBudget) -> Vec<f32> {
    sample.sort_unstable_by(|a, b| a.value.total_cmp(&b.value).then(a.target.total_cmp(&b.target)));
    let starts = distinct_starts(sample);
    // One bin is for missing numbers, and n cuts make n + 1 bins.
    let cuts_max = budget.bins_max.saturating_sub(2);
    if starts.len() <= cuts_max {
        return starts.iter().map(|at| cut_before(sample, *at)).collect();
    }
    let wide_max = budget.wide_bins_max.saturating_sub(2).max(cuts_max);
    let mut positions = target_cuts(sample, wide_max / 2, budget.side_rows_min);
    // Half of the cuts are quantiles. A feature whose other half is too small for the target earns two bytes.
    let room = if positions.len() <= cuts_max / 2 { cuts_max } else { wide_max };
    positions.truncate(room / 2);
    positions.extend(tail_positions(sample.len(), TAIL_CUTS.min(room / 16)));
    fill_with_quantiles(&mut positions, &starts, sample.len(), room);
    let mut cuts: Vec<f32> = positions.iter().map(|at| cut_before(sample, *at)).collect();
    cuts.sort_unstable_by(f32::total_cmp);
    cuts.dedup();
    cuts
}

/// Positions in the sorted sample at which another value than before begins; never 0.
fn distinct_starts(sample: &[Sampled]) -> Vec<usize> {
    (1..sample.len()).filter(|i| sample[i - 1].value < sample[*i].value).collect()
}

/// A number between the values before and at a position: the middle, where f32 has one.
fn cut_before(sample: &[Sampled], at: usize) -> f32 {
    let (below, above) = (sample[at - 1].value, sample[at].value);
    let middle = ((f64::from(below) + f64::from(above)) / 2.0) as f32;
    if middle > below && middle <= above { middle } else { above }
}

/// Positions where the rows split best by their target, best first.
fn target_cuts(sample: &[Sampled], n_max: usize, side: usize) -> Vec<usize> {
    let mut sums = Vec::with_capacity(sample.len() + 1);
    let mut sum = 0.0;
    sums.push(0.0);
    for row in sample {
        sum += f64::from(row.target);
        sums.push(sum);
    }
    let mut open: Vec<Piece> = best_in(sample, &sums, 0..sample.len(), side).into_iter().collect();
    let mut found = Vec::new();
    while found.len() < n_max {
        let order = |a: &Piece, b: &Piece| a.gain.total_cmp(&b.gain).then(b.first.cmp(&a.first));
        let Some(best) = (0..open.len()).max_by(|a, b| order(&open[*a], &open[*b])) else { break };
        let piece = open.swap_remove(best);
        found.push(piece.at);
        open.extend(best_in(sample, &sums, piece.first..piece.at, side));
        open.extend(best_in(sample, &sums, piece.at..piece.end, side));
    }
    found
}

/// A range of the sorted sample and its best cut.
struct Piece {
    first: usize,
    end: usize,
    at: usize,
    gain: f64,
}

fn best_in(sample: &[Sampled], sums: &[f64], range: Range<usize>, side: usize) -> Option<Piece> {
    let Range { start: first, end } = range;
    if end - first < 2 * side {
        return None;
    }
    let whole = sums[end] - sums[first];
    let n = (end - first) as f64;
    let mean = whole / n;
    let (mut at, mut gain) = (0, GAIN_MIN);
    for i in first + side..=end - side {
        if sample[i - 1].value >= sample[i].value {
            continue;
        }
        let n_left = (i - first) as f64;
        let off = sums[i] - sums[first] - mean * n_left;
        // Between-group sum of squares of a two-way cut.
        let here = off * off * n / (n_left * (n - n_left));
        if here > gain {
            (at, gain) = (i, here);
        }
    }
    (at > 0).then_some(Piece { first, end, at, gain })
}

/// Ranks at a 512th, a 1024th, ... of the rows from both ends.
fn tail_positions(n: usize, n_cuts: usize) -> impl Iterator<Item = usize> {
    let ranks = (0..n_cuts).map(move |k| n >> (8 + k)).filter(|rank| *rank >= 4);
    ranks.flat_map(move |rank| [rank, n - rank])
}

/// Snaps every position to where a value begins and adds quantiles until about `n_max` are there.
fn fill_with_quantiles(positions: &mut Vec<usize>, starts: &[usize], n_rows: usize, n_max: usize) {
    for position in positions.iter_mut() {
        let next = starts.partition_point(|start| *start < *position);
        *position = starts[next.min(starts.len() - 1)];
    }
    positions.sort_unstable();
    positions.dedup();
    positions.extend(quantile_positions(starts, n_rows, n_max.saturating_sub(positions.len())));
    positions.sort_unstable();
    positions.dedup();
}

/// Cuts into bins of equal numbers of rows; a value with more rows than that has a bin of its own.
fn quantile_positions(starts: &[usize], n_rows: usize, n_cuts: usize) -> Vec<usize> {
    let firsts = || std::iter::once(0).chain(starts.iter().copied());
    let ends = || starts.iter().copied().chain([n_rows]);
    let (mut rows, mut bins) = (n_rows, n_cuts + 1);
    let mut size = rows / bins;
    // Values that overflow a bin take their rows and their bin out of the account of the others.
    for _ in 0..4 {
        let heavy = firsts().zip(ends()).map(|(first, end)| end - first).filter(|n| *n > size);
        let (n_heavy, heavy_rows) = heavy.fold((0, 0), |(n, sum), rows| (n + 1, sum + rows));
        (rows, bins) = (n_rows - heavy_rows, (n_cuts + 1).saturating_sub(n_heavy).max(1));
        size = (rows / bins).max(1);
    }
    let mut cuts = Vec::with_capacity(n_cuts);
    let mut last = 0;
    for (first, end) in firsts().zip(ends()) {
        if end - first > size && first > last {
            cuts.push(first);
            last = first;
        }
        if end - last >= size && end < n_rows && cuts.len() < n_cuts {
            cuts.push(end);
            last = end;
        }
    }
    cuts
}

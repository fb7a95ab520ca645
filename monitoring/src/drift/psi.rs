/// Smallest share a bin is taken to have, since the index is not defined for an empty one.
const SHARE_MIN: f64 = 1e-4;

/// Population stability index: the sum over bins of `(actual - expected) * ln(actual / expected)`,
/// of shares. 0: the same distribution. Below 0.1 is usually called stable, above 0.25 a shift
/// (Siddiqi, Credit Risk Scorecards, 2006).
///
/// `reference` and `counts` have one entry per bin, in the same order. Without counts on either side
/// there is nothing to compare: 0.
pub fn psi(reference: &[u64], counts: &[u64]) -> f64 {
    let (expected, actual) = (reference.iter().sum::<u64>(), counts.iter().sum::<u64>());
    if expected == 0 || actual == 0 {
        return 0.0;
    }
    let share = |count: u64, sum: u64| (count as f64 / sum as f64).max(SHARE_MIN);
    let bins = reference.iter().zip(counts);
    bins.map(|(e, a)| (share(*e, expected), share(*a, actual))).map(|(e, a)| (a - e) * (a / e).ln()).sum()
}

use crate::trees::learner::gradient::Units;
use crate::trees::learner::histogram::Sums;
use crate::trees::learner::scan::Cut;
use crate::trees::learner::split::{Limits, Regularisation};

/// All cuts of a feature that tell rows apart, each with what it gains over the node, summed and weighed one by one in
/// 64 bits.
pub(crate) fn cuts(bins: &[Sums], total: Sums, units: Units, penalties: &Regularisation) -> Vec<(Cut, f64)> {
    let none_missing = bins[0] == Sums::default();
    let mut found = Vec::new();
    for missing_left in [false, true] {
        for bin in 1..bins.len() {
            let is_last = bin + 1 == bins.len();
            let is_known = bin > 1 && bins[bin] == Sums::default();
            if (missing_left && (none_missing || is_last)) || (none_missing && is_last) || is_known {
                continue;
            }
            let start = if missing_left { bins[0] } else { Sums::default() };
            let left = bins[1..=bin].iter().fold(start, |sum, bin| sum + *bin);
            let right = total - left;
            let weights = [left, right].map(|side| side.hessian as f64 * units.hessian);
            if left.hessian == 0
                || right.hessian == 0
                || weights.iter().any(|w| *w < penalties.min_child_weight)
            {
                continue;
            }
            let gain = |side: Sums| {
                let g = side.gradient as f64 * units.gradient;
                penalties.gain(g, side.hessian as f64 * units.hessian + penalties.lambda, Limits::NONE)
            };
            let cut = Cut { bin: bin as u16, missing_left, none_missing, left };
            found.push((cut, gain(left) + gain(right) - gain(total)));
        }
    }
    found
}

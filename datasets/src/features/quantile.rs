#![allow(clippy::excessive_precision, reason = "published constants are kept as they were published")]

use super::normal::{NORMAL_MAX, normal_quantile};

/// Largest distance between the map and the normal quantile function of the interpolated rank.
const TOLERANCE: f64 = 1e-3;

/// Numbers beyond this are pulled back, so that differences of two do not overflow.
const LARGEST: f64 = f64::MAX / 4.0;

/// Values handled together, so that their searches overlap.
const LANES: usize = 8;

/// A piecewise-linear map from a feature's quantiles to the normal distribution.
///
/// At a knot that ties occupy, the ranks of the first and the last tied quantile differ: the map
/// jumps there, and its value is that of the mean rank, as `QuantileTransformer` of scikit-learn
/// has it by averaging interpolation from both sides. The first and the last knot are ±5.2.
#[derive(Debug)]
pub(super) struct QuantileMap {
    /// Positions, strictly ascending.
    x: Vec<f64>,
    /// Behaviour at and after each position.
    knots: Vec<Knot>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Knot {
    /// Value exactly here.
    at: f64,
    /// Limit from the right.
    right: f64,
    /// Slope up to the next knot.
    slope: f64,
}

impl QuantileMap {
    /// Builds the map of `quantiles`: orders `i / (len - 1)`, ascending, finite.
    pub(super) fn new(quantiles: &[f64]) -> Self {
        let last = quantiles.len().saturating_sub(1);
        let order = |i: usize| i as f64 / last.max(1) as f64;
        // (position, rank of its first and last tied quantile)
        let mut groups: Vec<(f64, f64, f64)> = Vec::new();
        for (i, q) in quantiles.iter().map(|q| q.clamp(-LARGEST, LARGEST)).enumerate() {
            match groups.last_mut() {
                Some(group) if group.0 == q => group.2 = order(i),
                _ => groups.push((q, order(i), order(i))),
            }
        }
        let mut points: Vec<(f64, f64, f64, f64)> = Vec::new(); // position, left, at, right
        for (i, &(x, first, end)) in groups.iter().enumerate() {
            if let Some(&(x0, _, before)) = i.checked_sub(1).and_then(|i| groups.get(i)) {
                let (left, right) = ((x0, before), (x, first));
                refine(left, right, 0, &mut points);
            }
            let at = match i {
                0 => -NORMAL_MAX,
                i if i + 1 == groups.len() => NORMAL_MAX,
                _ => normal_quantile(first + (end - first) / 2.0),
            };
            points.push((x, normal_quantile(first), at, normal_quantile(end)));
        }
        let x = points.iter().map(|p| p.0).collect();
        let slope =
            |i: usize| points.get(i + 1).map_or(0.0, |next| (next.1 - points[i].3) / (next.0 - points[i].0));
        let knots =
            points.iter().enumerate().map(|(i, p)| Knot { at: p.2, right: p.3, slope: slope(i) }).collect();
        Self { x, knots }
    }

    /// Maps `values`, none of them NaN, in place.
    pub(super) fn map(&self, values: &mut [f64]) {
        let (chunks, rest) = values.as_chunks_mut::<LANES>();
        for chunk in chunks {
            self.map_lanes(chunk);
        }
        for value in rest {
            let mut one = [*value];
            self.map_lanes(&mut one);
            *value = one[0];
        }
    }

    /// A binary search without branches; every value takes the same number of steps.
    fn map_lanes<const N: usize>(&self, values: &mut [f64; N]) {
        let (Some(&first), Some(&last)) = (self.x.first(), self.x.last()) else {
            values.fill(0.0);
            return;
        };
        for value in values.iter_mut() {
            *value = value.clamp(first, last);
        }
        let mut base = [0_usize; N];
        let mut n = self.x.len();
        while n > 1 {
            let half = n / 2;
            for (base, value) in base.iter_mut().zip(values.iter()) {
                let middle = *base + half;
                *base = if self.x[middle] <= *value { middle } else { *base };
            }
            n -= half;
        }
        for (value, base) in values.iter_mut().zip(base) {
            let knot = self.knots[base];
            let distance = *value - self.x[base];
            let beyond = (knot.right + distance * knot.slope).clamp(-NORMAL_MAX, NORMAL_MAX);
            *value = if distance == 0.0 { knot.at } else { beyond };
        }
    }
}

/// Adds points between two (position, rank) until straight lines are close enough to the curve.
fn refine(left: (f64, f64), right: (f64, f64), depth: usize, points: &mut Vec<(f64, f64, f64, f64)>) {
    let middle = (left.0 + (right.0 - left.0) / 2.0, left.1 + (right.1 - left.1) / 2.0);
    let z = normal_quantile(middle.1);
    let straight = (normal_quantile(left.1) + normal_quantile(right.1)) / 2.0;
    // Close at the middle is close all along: the curve bends one way between the knots, except
    // around rank 1/2, where it is nearly straight. At the clipped ends it is halved further.
    if (z - straight).abs() <= TOLERANCE || depth >= 24 || middle.0 <= left.0 || middle.0 >= right.0 {
        return;
    }
    refine(left, middle, depth + 1, points);
    points.push((middle.0, z, z, z));
    refine(middle, right, depth + 1, points);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(quantiles: &[f64], values: &[f64]) -> Vec<f64> {
        let mut out = values.to_vec();
        QuantileMap::new(quantiles).map(&mut out);
        out
    }

    #[test]
    fn normal_quantiles_are_those_of_scipy() {
        // scipy.stats.norm.ppf
        let expected = [
            (0.5, 0.0),
            (0.9, 1.281_551_565_544_600_4),
            (0.075, -1.439_531_470_938_456_3),
            (0.001, -3.090_232_306_167_813_2),
            (1e-6, -4.753_424_308_822_899),
            (0.999_999, 4.753_424_308_817_087),
        ];
        for (p, z) in expected {
            assert!((normal_quantile(p) - z).abs() < 1e-13, "{p}: {} {z}", normal_quantile(p));
        }
        assert_eq!((normal_quantile(0.0), normal_quantile(1.0)), (-NORMAL_MAX, NORMAL_MAX));
    }

    #[test]
    fn a_uniform_feature_becomes_normal() {
        let quantiles: Vec<f64> = (0..1000).map(|i| f64::from(i) / 999.0).collect();
        for i in 0..100_000 {
            let p = f64::from(i) / 100_000.0;
            let z = map(&quantiles, &[p])[0];
            assert!((z - normal_quantile(p)).abs() < 2.0 * TOLERANCE, "{p}: {z} {}", normal_quantile(p));
        }
    }

    #[test]
    fn many_at_once_are_as_one_by_one() {
        let quantiles: Vec<f64> = (0..1000).map(|i| f64::from(i / 7).powi(3)).collect();
        let values: Vec<f64> = (0..1003).map(|i| f64::from(i * i) - 1000.0).collect();
        let together = map(&quantiles, &values);
        for (value, z) in values.iter().zip(&together) {
            assert_eq!(map(&quantiles, &[*value])[0].to_bits(), z.to_bits());
        }
    }

    #[test]
    fn the_map_never_falls_and_stays_in_its_limits() {
        let quantiles = [-3.0, -3.0, 0.0, 0.0, 0.0, 0.5, 1e6, 1e6];
        let values: Vec<f64> =
            (-4000..4000).map(|i| f64::from(i) / 1000.0).chain([1e5, 1e6, 2e6, f64::MAX]).collect();
        let z = map(&quantiles, &values);
        assert!(z.windows(2).all(|w| w[0] <= w[1]));
        assert_eq!((z[0], *z.last().unwrap()), (-NORMAL_MAX, NORMAL_MAX));
    }

    #[test]
    fn extreme_numbers_stay_finite() {
        let quantiles = [-f64::MAX, -1e-310, 0.0, 5e-324, 1e-310, f64::MAX];
        let z = map(&quantiles, &[-f64::MAX, -1e308, -1e-311, 0.0, 5e-324, 1e-323, 1e300, f64::MAX]);
        assert!(z.iter().all(|z| z.is_finite() && z.abs() <= NORMAL_MAX), "{z:?}");
    }
}

//! The best split of a node by one feature.

use super::gradient::Units;
use super::histogram::Sums;
use super::split::{Limits, Regularisation, Rule, Split};

/// A node and a feature.
pub struct Scan<'a> {
    pub place: usize,
    /// Sums of the node's rows by the feature's bins.
    pub bins: &'a [Sums],
    pub total: Sums,
    pub units: Units,
    /// Mean hessian of a row of the tree.
    pub row_hessian: f64,
    pub limits: Limits,
    /// 1 where values may only rise with the feature, -1 where they may only fall.
    pub monotone: i8,
    pub penalties: &'a Regularisation,
}

/// A cut of a number after one of its bins.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cut {
    pub bin: u16,
    pub missing_left: bool,
    pub none_missing: bool,
    /// Sums of the rows that go left.
    pub left: Sums,
}

/// The best cut so far; the first of equal ones.
struct BestCut {
    gain: f64,
    cut: Option<Cut>,
}

impl BestCut {
    const NONE: Self = Self { gain: f64::NEG_INFINITY, cut: None };

    #[inline(always)]
    fn consider(&mut self, scan: &Scan<'_>, cut: Cut) {
        if let Some(gain) = scan.gain(cut.left, 0.0)
            && gain > self.gain
        {
            *self = Self { gain, cut: Some(cut) };
        }
    }
}

impl Scan<'_> {
    /// Cuts between bins, with missing rows on either side.
    pub fn numbers(&self) -> Option<Split> {
        let missing = self.bins[0];
        let none_missing = missing == Sums::default();
        let mut best = BestCut::NONE;
        for missing_left in [false, true] {
            let mut left = if missing_left { missing } else { Sums::default() };
            // The cut after the last bin tells missing rows from others; on the right, where they are by then.
            let n = self.bins.len() - usize::from(missing_left || none_missing);
            for (bin, sums) in self.bins.iter().enumerate().take(n).skip(1) {
                left = left + *sums;
                best.consider(self, Cut { bin: bin as u16, missing_left, none_missing, left });
            }
            if none_missing {
                break;
            }
        }
        self.split_by(best)
    }

    /// The same where only these cuts can be the best; in the order above.
    pub fn among(&self, cuts: impl Iterator<Item = Cut>) -> Option<Split> {
        let mut best = BestCut::NONE;
        cuts.for_each(|cut| best.consider(self, cut));
        self.split_by(best)
    }

    fn split_by(&self, best: BestCut) -> Option<Split> {
        let Cut { bin, missing_left, none_missing, left } = best.cut?;
        // Missing values that training never saw here follow the heavier side.
        let heavier = left.hessian > self.total.hessian - left.hessian;
        let missing_left = if none_missing { heavier } else { missing_left };
        self.worthwhile(Rule::UpTo { bin, missing_left }, best.gain, left, 0.0)
    }

    /// Sets of codes.
    pub fn codes(&self) -> Option<Split> {
        let used: Vec<u16> =
            (0..self.bins.len() as u32).map(|c| c as u16).filter(|c| self.bin(*c).hessian > 0).collect();
        if used.len() < 2 {
            None
        } else if used.len() <= self.penalties.max_cat_to_onehot {
            self.one_against_the_rest(&used)
        } else {
            self.prefix_of_order(used)
        }
    }

    fn bin(&self, code: u16) -> Sums {
        self.bins[usize::from(code)]
    }

    fn one_against_the_rest(&self, used: &[u16]) -> Option<Split> {
        let (mut best, mut best_gain) = (None, f64::NEG_INFINITY);
        for code in used {
            if let Some(gain) = self.gain(self.bin(*code), 0.0)
                && gain > best_gain
            {
                best_gain = gain;
                best = Some(*code);
            }
        }
        let code = best?;
        self.worthwhile(Rule::Codes(vec![code]), best_gain, self.bin(code), 0.0)
    }

    /// The best set of codes is a prefix of their order by mean gradient (Fisher 1958). Smoothing draws rare codes to
    /// the middle of the order, where no short prefix reaches them; those of fewer rows than it weighs are not told
    /// apart at all, and go right.
    fn prefix_of_order(&self, mut used: Vec<u16>) -> Option<Split> {
        let Regularisation { cat_smooth, cat_l2, max_cat_threshold, .. } = *self.penalties;
        let (g, h) = self.in_units(self.total);
        let mean = if h > 0.0 { g / h } else { 0.0 };
        let rank = |code: &u16| {
            let (g, h) = self.in_units(self.bin(*code));
            (g + mean * cat_smooth) / (h + cat_smooth)
        };
        used.retain(|code| self.in_units(self.bin(*code)).1 >= cat_smooth * self.row_hessian);
        used.sort_by(|a, b| rank(a).total_cmp(&rank(b)).then(a.cmp(b)));
        let (mut best, mut best_gain) = (None, f64::NEG_INFINITY);
        let mut scan = |order: &mut dyn Iterator<Item = &u16>, from_end: bool| {
            let mut left = Sums::default();
            for (i, code) in order.take(max_cat_threshold).enumerate() {
                left = left + self.bin(*code);
                if let Some(gain) = self.gain(left, cat_l2)
                    && gain > best_gain
                {
                    best_gain = gain;
                    best = Some((i + 1, from_end, left));
                }
            }
        };
        scan(&mut used.iter(), false);
        scan(&mut used.iter().rev(), true);
        let (n, from_end, left) = best?;
        let mut codes = if from_end { used[used.len() - n..].to_vec() } else { used[..n].to_vec() };
        codes.sort_unstable();
        self.worthwhile(Rule::Codes(codes), best_gain, left, cat_l2)
    }

    #[inline(always)]
    fn in_units(&self, sums: Sums) -> (f64, f64) {
        (sums.gradient as f64 * self.units.gradient, sums.hessian as f64 * self.units.hessian)
    }

    /// Gain of both sides; `None` where one is too light, or the order of their values is forbidden.
    #[inline(always)]
    fn gain(&self, left: Sums, l2: f64) -> Option<f64> {
        let right = self.total - left;
        let ((gl, hl), (gr, hr)) = (self.in_units(left), self.in_units(right));
        let r = self.penalties;
        if left.hessian <= 0 || right.hessian <= 0 || hl < r.min_child_weight || hr < r.min_child_weight {
            return None;
        }
        let (hl, hr) = (hl + r.lambda + l2, hr + r.lambda + l2);
        if self.monotone != 0 {
            let rise = r.value_of(gr, hr, self.limits) - r.value_of(gl, hl, self.limits);
            if rise * f64::from(self.monotone) < 0.0 {
                return None;
            }
        }
        Some(r.gain(gl, hl, self.limits) + r.gain(gr, hr, self.limits))
    }

    /// The split, if it gains more than `gamma` over the node as it is.
    fn worthwhile(&self, rule: Rule, gain: f64, left: Sums, l2: f64) -> Option<Split> {
        let (g, h) = self.in_units(self.total);
        let gain = gain - self.penalties.gain(g, h + self.penalties.lambda, self.limits);
        (gain > self.penalties.gain_min()).then(|| Split {
            place: self.place,
            rule,
            gain,
            left,
            right: self.total - left,
            l2,
        })
    }
}

use super::gradient::Units;
use super::histogram::Sums;

/// What goes left.
#[derive(Clone, Debug, PartialEq)]
pub enum Rule {
    /// Bins up to this one, and the missing bin if so.
    UpTo { bin: u16, missing_left: bool },
    /// These codes, ascending.
    Codes(Vec<u16>),
}

/// A split of a node.
#[derive(Clone, Debug, PartialEq)]
pub struct Split {
    pub place: usize,
    pub rule: Rule,
    pub gain: f64,
    pub left: Sums,
    pub right: Sums,
    /// Penalty of its children's values on top of the usual one.
    pub l2: f64,
}

impl Split {
    /// The better of two: by gain, ties by place.
    pub fn better(a: Option<Self>, b: Option<Self>) -> Option<Self> {
        match (a, b) {
            (Some(a), Some(b)) => {
                let second = b.gain > a.gain || (b.gain == a.gain && b.place < a.place);
                Some(if second { b } else { a })
            }
            (a, b) => a.or(b),
        }
    }
}

/// How gains and leaf values are penalised.
#[derive(Clone, Copy, Debug)]
pub struct Regularisation {
    pub lambda: f64,
    pub alpha: f64,
    pub gamma: f64,
    pub min_child_weight: f64,
    pub max_delta_step: f64,
    pub cat_smooth: f64,
    pub cat_l2: f64,
    pub max_cat_to_onehot: usize,
    pub max_cat_threshold: usize,
}

/// Limits of a leaf's value, from monotone constraints above it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    pub low: f64,
    pub high: f64,
}

impl Limits {
    pub const NONE: Self = Self { low: f64::NEG_INFINITY, high: f64::INFINITY };
}

impl Regularisation {
    /// The best value of a leaf within limits. All in f64 from exact sums: one answer on every machine.
    pub fn value(&self, units: Units, sums: Sums, l2: f64, limits: Limits) -> f64 {
        let (g, h) = (sums.gradient as f64 * units.gradient, sums.hessian as f64 * units.hessian);
        self.value_of(g, h + self.lambda + l2, limits)
    }

    /// The same of a gradient and a hessian that has its penalty.
    pub fn value_of(&self, g: f64, h: f64, limits: Limits) -> f64 {
        if h <= 0.0 {
            return 0.0_f64.clamp(limits.low, limits.high);
        }
        let value = -self.shrunk(g) / h;
        let step = self.max_delta_step;
        let value = if step > 0.0 { value.clamp(-step, step) } else { value };
        value.clamp(limits.low, limits.high)
    }

    /// Twice the loss that a leaf of its best value takes away.
    #[inline(always)]
    pub fn gain(&self, g: f64, h: f64, limits: Limits) -> f64 {
        if limits == Limits::NONE && self.max_delta_step <= 0.0 {
            let g = self.shrunk(g);
            return if h > 0.0 { g * g / h } else { 0.0 };
        }
        let value = self.value_of(g, h, limits);
        -(2.0 * g * value + h * value * value) - 2.0 * self.alpha * value.abs()
    }

    /// What a split has to gain.
    pub fn gain_min(&self) -> f64 {
        self.gamma.max(1e-6)
    }

    #[inline(always)]
    fn shrunk(&self, g: f64) -> f64 {
        if self.alpha == 0.0 {
            return g;
        }
        g.signum() * (g.abs() - self.alpha).max(0.0)
    }
}

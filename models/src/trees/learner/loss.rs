//! Losses of each row by itself whose gradients are the same bits on every processor and device: products and sums that
//! no compiler can fuse, and a table where others have `exp`.

use std::sync::LazyLock;

/// A loss of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowLoss {
    /// Log loss of the second of two classes; its probability is the sigmoid of the raw score.
    Logistic,
    /// Half the squared difference of raw score and label.
    SquaredError,
}

/// A loss at the present raw scores.
pub struct RowScores<'a> {
    /// The loss.
    pub loss: RowLoss,
    /// By row.
    pub raw: &'a [f32],
    /// By row.
    pub labels: &'a [f32],
    /// By row, where they differ.
    pub weights: Option<&'a [f32]>,
}

/// Least hessian of a classification: keeps sums above zero where a model is sure.
pub const HESSIAN_MIN: f32 = 1e-16;

impl RowLoss {
    /// Gradient and hessian.
    #[inline(always)]
    pub fn gradient(self, table: &SigmoidTable, raw: f32, label: f32) -> (f32, f32) {
        match self {
            Self::SquaredError => (raw - label, 1.0),
            Self::Logistic => {
                let p = sigmoid(table, raw);
                let hessian = p * (1.0 - p);
                (p - label, if hessian > HESSIAN_MIN { hessian } else { HESSIAN_MIN })
            }
        }
    }
}

/// Sigmoid of 0, -1/256, -2/256, ... -16, in units of 2^-30.
pub type SigmoidTable = [u32; ENTRIES + 1];

/// Entries of the table, without the last one.
pub const ENTRIES: usize = 4_096;
/// Parts of the way from an entry to the next that are told apart: as many as leave their product with a difference of
/// entries within 32 bits.
pub const PARTS: u32 = 4_096;
/// The same of a unit of the raw score.
pub const UNIT_PARTS: f32 = 1_048_576.0;

/// The table, from sums and products alone: a library's `exp` is not the same everywhere.
pub fn sigmoid_table() -> &'static SigmoidTable {
    static TABLE: LazyLock<Box<SigmoidTable>> = LazyLock::new(|| {
        /// e^(1/256).
        const STEP: f64 = 1.003_913_889_338_347_5;
        let mut power = 1.0;
        let mut table = Box::new([0; ENTRIES + 1]);
        for entry in table.iter_mut() {
            *entry = (1_073_741_824.0 / (1.0 + power) + 0.5) as u32;
            power *= STEP;
        }
        table
    });
    &TABLE
}

/// 1 / (1 + e^-x), off by at most 4e-7, and by 1 % of itself: between entries of the table on a line, then cut to the 24
/// bits that a float holds. Beyond 16, that of 16; NaN of NaN.
#[inline(always)]
pub fn sigmoid(table: &SigmoidTable, x: f32) -> f32 {
    let size = x.abs();
    let size = if size < 16.0 { size } else { 16.0 };
    let at = (size * UNIT_PARTS + 0.5) as u32;
    let entry = ((at / PARTS) as usize).min(ENTRIES - 1);
    let part = at - entry as u32 * PARTS;
    let (above, below) = (table[entry], table[entry + 1]);
    let tail = above - (above - below) * part / PARTS;
    let is_small = tail < 1 << 24;
    let bits = if is_small { tail } else { (tail + 32) & !63 };
    let tail = bits as f32 * (1.0 / 1_073_741_824.0);
    let p = if x < 0.0 { tail } else { 1.0 - tail };
    if x.is_nan() { x } else { p }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sigmoid_is_within_its_error() {
        let table = sigmoid_table();
        for i in -2_000_000..=2_000_000 {
            let x = i as f32 / 100_000.0;
            let exact = 1.0 / (1.0 + f64::from(-x.clamp(-16.0, 16.0)).exp());
            let error = (f64::from(sigmoid(table, x)) - exact).abs();
            assert!(error < 4e-7 && error < 0.01 * exact, "of {x} is off by {error}");
        }
        assert_eq!([0.0, -0.0].map(|x| sigmoid(table, x)), [0.5; 2]);
        assert!(sigmoid(table, f32::NAN).is_nan());
        for (x, limit) in [(f32::INFINITY, 16.0), (1e30, 16.0), (f32::NEG_INFINITY, -16.0)] {
            assert_eq!(sigmoid(table, x), sigmoid(table, limit));
        }
    }

    #[test]
    fn the_sigmoid_never_falls() {
        let table = sigmoid_table();
        let all: Vec<f32> = (-1_100_000..=1_100_000).map(|i| sigmoid(table, i as f32 / 65_536.0)).collect();
        assert!(all.is_sorted());
    }
}

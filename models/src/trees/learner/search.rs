use super::bins::FeatureBins;

/// Finds the bins of numbers: all comparisons with 16 cuts at once, level by level.
pub struct Search {
    /// Every 16^k-th cut, the coarsest level first; padded with NaN, which is not below anything.
    levels: Vec<Vec<f32>>,
    n_cuts: usize,
}

impl Search {
    pub fn new(feature: &FeatureBins) -> Self {
        let FeatureBins::Numeric { cuts } = feature else { return Self { levels: Vec::new(), n_cuts: 0 } };
        let mut levels = vec![cuts.clone()];
        while let Some(finer) = levels.last()
            && finer.len() > 16
        {
            levels.push(finer.iter().skip(15).step_by(16).copied().collect());
        }
        for level in &mut levels {
            level.resize(level.len().next_multiple_of(16) + 16, f32::NAN);
        }
        levels.reverse();
        Self { levels, n_cuts: cuts.len() }
    }

    /// 0 for NaN, else 1 + the number of cuts that are not above the value.
    pub fn bins(&self, values: &[f32], bins: &mut [u16]) {
        match self.levels.as_slice() {
            [one] => each(values, bins, self.n_cuts, |v| count(one, 0, v)),
            [coarse, fine] => each(values, bins, self.n_cuts, |v| {
                let i = count(coarse, 0, v);
                16 * i + count(fine, 16 * i, v)
            }),
            levels => each(values, bins, self.n_cuts, |v| {
                levels.iter().fold(0, |i, level| 16 * i + count(level, 16 * i, v))
            }),
        }
    }
}

#[inline(always)]
fn each(values: &[f32], bins: &mut [u16], n_cuts: usize, below: impl Fn(f32) -> usize) {
    for (bin, value) in bins.iter_mut().zip(values) {
        let n = below(*value).min(n_cuts) as u16 + 1;
        *bin = if value.is_nan() { 0 } else { n };
    }
}

/// How many of 16 cuts are not above the value.
#[inline(always)]
fn count(cuts: &[f32], first: usize, value: f32) -> usize {
    let mut n = 0_i32;
    for cut in &cuts[first..first + 16] {
        n += i32::from(*cut <= value);
    }
    n as usize
}

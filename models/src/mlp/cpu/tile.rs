//! Register tiles of the dense layer, and the choice of instruction set.

#[cfg(target_arch = "x86_64")]
use super::lanes::{Avx2, Avx512};
use super::lanes::{Lanes, Portable};

/// Which instruction set computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InstructionSet {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    Portable,
}

/// A dense layer's operands. `x` is `[n_rows, n_inputs]`, `out` `[n_rows, n_padded]`; `weights`
/// holds one panel per [`InstructionSet::panel_width`] outputs, each `[n_inputs, panel_width]`;
/// `bias` is `[n_padded]`, where `n_padded` is the outputs rounded up to whole panels.
pub(super) struct Operands<'a> {
    pub x: &'a [f32],
    pub n_rows: usize,
    pub n_inputs: usize,
    /// From one row of `x` to the next.
    pub x_stride: usize,
    pub weights: &'a [f32],
    pub bias: &'a [f32],
    pub out: &'a mut [f32],
}

impl InstructionSet {
    /// The widest this processor has.
    pub fn detect() -> Self {
        Self::available()[0]
    }

    /// All this processor has, widest first.
    pub fn available() -> Vec<Self> {
        let mut sets = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx512f") {
                sets.push(Self::Avx512);
            }
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                sets.push(Self::Avx2);
            }
        }
        sets.push(Self::Portable);
        sets
    }

    /// Outputs per panel: two registers.
    pub fn panel_width(self) -> usize {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => 2 * Avx512::WIDTH,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => 2 * Avx2::WIDTH,
            Self::Portable => 2 * Portable::WIDTH,
        }
    }

    /// `out = bias + x * weights`.
    pub fn dense(self, mut operands: Operands<'_>) {
        operands.check(self.panel_width());
        match self {
            // SAFETY: `detect` and `available` give a set only where the processor has it, and
            // `check` has compared every length with the sizes.
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => unsafe { dense_avx512(&mut operands) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => unsafe { dense_avx2(&mut operands) },
            // SAFETY: needs no instruction set; lengths as above.
            Self::Portable => unsafe { dense::<Portable, 4>(&mut operands) },
        }
    }
}

impl Operands<'_> {
    /// The tiles below read without bounds checks: every length is compared here.
    fn check(&self, panel_width: usize) {
        let n_padded = self.bias.len();
        assert!(n_padded.is_multiple_of(panel_width), "bias padded to whole panels");
        assert!(self.weights.len() == self.n_inputs * n_padded, "one weight per input and output");
        assert!(self.out.len() >= self.n_rows * n_padded, "room for all outputs");
        assert!(self.x_stride >= self.n_inputs, "rows do not overlap");
        assert!(
            self.n_rows == 0 || self.x.len() >= (self.n_rows - 1) * self.x_stride + self.n_inputs,
            "one input per row and column"
        );
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
unsafe fn dense_avx512(operands: &mut Operands<'_>) {
    // SAFETY: the caller's promise. 8 rows: 16 sums in flight hide the latency of the multiply-add.
    unsafe { dense::<Avx512, 8>(operands) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn dense_avx2(operands: &mut Operands<'_>) {
    // SAFETY: the caller's promise. 6 rows: 12 sums, 2 weights and 1 input fit 16 registers.
    unsafe { dense::<Avx2, 6>(operands) }
}

/// Panel by panel, so that a panel stays in the cache while all rows pass it.
#[inline(always)]
unsafe fn dense<L: Lanes, const ROWS: usize>(operands: &mut Operands<'_>) {
    let width = 2 * L::WIDTH;
    let n_panels = operands.bias.len() / width;
    let n_tiled = operands.n_rows - operands.n_rows % ROWS;
    // SAFETY: `Operands::check` has held; panels and rows stay below the counts it used.
    unsafe {
        for panel in 0..n_panels {
            for row in (0..n_tiled).step_by(ROWS) {
                tile::<L, ROWS, 1>(operands, row, panel);
            }
        }
        // The last rows: fewer per tile, but more panels, to keep as many sums in flight.
        let mut row = n_tiled;
        while operands.n_rows - row >= 4 && ROWS > 4 {
            rows::<L, 4, 1>(operands, row, n_panels);
            row += 4;
        }
        while operands.n_rows - row >= 2 {
            rows::<L, 2, 2>(operands, row, n_panels);
            row += 2;
        }
        if row < operands.n_rows {
            rows::<L, 1, 4>(operands, row, n_panels);
        }
    }
}

/// A few rows through all panels.
#[inline(always)]
unsafe fn rows<L: Lanes, const ROWS: usize, const PANELS: usize>(
    operands: &mut Operands<'_>,
    row: usize,
    n_panels: usize,
) {
    let n_tiled = n_panels - n_panels % PANELS;
    // SAFETY: the caller's promise.
    unsafe {
        for panel in (0..n_tiled).step_by(PANELS) {
            tile::<L, ROWS, PANELS>(operands, row, panel);
        }
        for panel in n_tiled..n_panels {
            tile::<L, ROWS, 1>(operands, row, panel);
        }
    }
}

/// `ROWS` rows times `PANELS` panels, all sums in registers.
#[inline(always)]
unsafe fn tile<L: Lanes, const ROWS: usize, const PANELS: usize>(
    operands: &mut Operands<'_>,
    row: usize,
    panel: usize,
) {
    let width = 2 * L::WIDTH;
    let (n_inputs, n_padded, stride) = (operands.n_inputs, operands.bias.len(), operands.x_stride);
    // SAFETY: rows row..row+ROWS and panels panel..panel+PANELS exist, so every offset below is
    // within the lengths that `Operands::check` has compared.
    unsafe {
        let x = operands.x.as_ptr().add(row * stride);
        let weights = operands.weights.as_ptr().add(panel * n_inputs * width);
        let bias = operands.bias.as_ptr().add(panel * width);
        let mut sums = [[[L::splat(0.0); 2]; PANELS]; ROWS];
        for sums in &mut sums {
            for (p, sums) in sums.iter_mut().enumerate() {
                *sums = [L::load(bias.add(p * width)), L::load(bias.add(p * width + L::WIDTH))];
            }
        }
        for k in 0..n_inputs {
            for p in 0..PANELS {
                let at = weights.add((p * n_inputs + k) * width);
                let (low, high) = (L::load(at), L::load(at.add(L::WIDTH)));
                for (r, sums) in sums.iter_mut().enumerate() {
                    let value = L::splat(*x.add(r * stride + k));
                    sums[p] = [sums[p][0].add_product(value, low), sums[p][1].add_product(value, high)];
                }
            }
        }
        let out = operands.out.as_mut_ptr().add(row * n_padded + panel * width);
        for (r, sums) in sums.iter().enumerate() {
            for (p, sums) in sums.iter().enumerate() {
                sums[0].store(out.add(r * n_padded + p * width));
                sums[1].store(out.add(r * n_padded + p * width + L::WIDTH));
            }
        }
    }
}

/// e to the power of `x`, from -87 to 88; beyond, of the nearer end. Relative error below 2e-7.
///
/// Sums and products only, in a fixed order (Cephes' polynomial): the same bits on every processor, which a
/// library's `exp` does not promise, and plain enough for the compiler to compute several at once.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    /// Adding it leaves a whole number in the lowest bits: the exponent of 2^23 * 1.5.
    const ROUND: f32 = 12_582_912.0;
    const LN2_HIGH: f32 = 355.0 / 512.0;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    let x = if x < -87.0 { -87.0 } else { x };
    let x = if x > 88.0 { 88.0 } else { x };
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = x - n * LN2_HIGH - n * LN2_LOW;
    let p = 1.987_569_1e-4;
    let p = p * r + 1.398_2e-3;
    let p = p * r + 8.333_452e-3;
    let p = p * r + 4.166_579_6e-2;
    let p = p * r + 1.666_666_5e-1;
    let p = p * r + 0.5;
    let e = p * r * r + r + 1.0;
    // The whole number goes into the exponent, on top of the bias of 127 in e's own.
    f32::from_bits(e.to_bits().wrapping_add(shifted.to_bits() << 23))
}

#[cfg(test)]
mod tests {
    #[test]
    fn exp_agrees_with_the_library_within_its_error() {
        for i in -8_700..=8_800 {
            let x = i as f32 / 100.0;
            let exact = f64::from(x).exp();
            let error = (f64::from(super::exp(x)) / exact - 1.0).abs();
            assert!(error < 2e-7, "exp({x}) is off by {error}");
        }
        assert_eq!(super::exp(-1e30), super::exp(-87.0));
        assert_eq!(super::exp(1e30), super::exp(88.0));
        assert_eq!(super::exp(0.0), 1.0);
    }
}

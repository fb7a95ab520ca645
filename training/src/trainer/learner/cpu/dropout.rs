/// Which units of a layer are dropped in one step: a hash of the unit's place, so that a mask needs
/// no memory, no order and no state between steps.
#[derive(Clone, Copy)]
pub(super) struct Dropout {
    key: u32,
    /// Units whose hash is below are dropped.
    threshold: u32,
    /// What the kept ones are multiplied by.
    pub scale: f32,
}

impl Dropout {
    /// Drops nothing.
    pub const OFF: Self = Self { key: 0, threshold: 0, scale: 1.0 };

    /// Drops units with a probability of `share`, below 1.
    pub fn new(share: f64, key: u64) -> Self {
        let threshold = (share * 2f64.powi(32)).round() as u32;
        Self { key: (key ^ (key >> 32)) as u32, threshold, scale: (1.0 / (1.0 - share)) as f32 }
    }

    /// Whether the unit at this place is kept.
    #[inline(always)]
    pub fn keeps(self, place: u32) -> bool {
        // Two rounds of multiply and shift (Wellons 2018, "lowbias32") mix each bit into all.
        let mut x = place.wrapping_mul(0x9E37_79B9) ^ self.key;
        x = (x ^ (x >> 16)).wrapping_mul(0x7FEB_352D);
        x = (x ^ (x >> 15)).wrapping_mul(0x846C_A68B);
        x ^ (x >> 16) >= self.threshold
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_holds_along_rows_columns_and_keys() {
        for share in [0.1, 0.5] {
            let kept = |places: &mut dyn Iterator<Item = (u64, u32)>| {
                let drawn: Vec<bool> = places
                    .map(|(key, place)| Dropout::new(share, crate::split::splitmix64(key, 7)).keeps(place))
                    .collect();
                drawn.iter().filter(|kept| **kept).count() as f64 / drawn.len() as f64
            };
            // Three standard deviations of 100,000 draws are 0.005 at most.
            for found in [
                kept(&mut (0..100_000).map(|i| (1, i))),
                kept(&mut (0..100_000).map(|i| (1, i * 512 + 3))),
                kept(&mut (0..100_000).map(|i| (i, 17))),
            ] {
                assert!((found - (1.0 - share)).abs() < 0.005, "{found} of {share}");
            }
        }
    }

    #[test]
    fn neighbouring_units_and_steps_are_independent() {
        let draw = |key: u64, place: u32| Dropout::new(0.5, crate::split::splitmix64(key, 7)).keeps(place);
        let agree = |other: &dyn Fn(u32) -> bool| {
            (0..100_000).filter(|&i| draw(1, i) == other(i)).count() as f64 / 100_000.0
        };
        for found in [agree(&|i| draw(1, i + 1)), agree(&|i| draw(1, i + 512)), agree(&|i| draw(2, i))] {
            assert!((found - 0.5).abs() < 0.005, "{found}");
        }
    }

    #[test]
    fn off_keeps_all() {
        assert!((0..1000).all(|i| Dropout::OFF.keeps(i)));
    }
}

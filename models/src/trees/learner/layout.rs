use super::bins::FeatureBins;

/// Bins of a feature that takes one byte.
pub const NARROW_BINS: usize = 256;

/// Where a feature's bin is in a row, and where its bins are in a histogram.
#[derive(Clone, Debug)]
pub struct Layout {
    /// Bytes of a row.
    pub stride: usize,
    /// Features by their place in the row.
    pub slots: Vec<Slot>,
    /// Features of one byte; they come first.
    pub n_narrow: usize,
    /// Bins of a histogram over all features.
    pub n_bins: usize,
}

/// A feature's place.
#[derive(Clone, Copy, Debug)]
pub struct Slot {
    pub feature: usize,
    /// Its byte, or the first of two, in the row.
    pub byte: usize,
    /// Its first bin in the histogram.
    pub first_bin: usize,
    pub n_bins: usize,
}

impl Layout {
    pub fn new(features: &[FeatureBins]) -> Self {
        let is_narrow = |i: &usize| features[*i].n_bins() <= NARROW_BINS;
        let used = || (0..features.len()).filter(|i| features[*i] != FeatureBins::Unused);
        let narrow: Vec<usize> = used().filter(is_narrow).collect();
        let wide = used().filter(|i| !is_narrow(i));
        let n_narrow = narrow.len();
        let (mut byte, mut first_bin) = (0_usize, 0);
        let mut slots = Vec::with_capacity(features.len());
        for feature in narrow.into_iter().chain(wide) {
            let n_bins = features[feature].n_bins();
            let (bytes, room) = if slots.len() < n_narrow {
                // A fixed width makes the place of a feature's bins a constant of the inner loop.
                (1, NARROW_BINS)
            } else {
                byte = byte.next_multiple_of(2);
                (2, n_bins)
            };
            slots.push(Slot { feature, byte, first_bin, n_bins });
            byte += bytes;
            first_bin += room;
        }
        Self { stride: stride(byte.max(1)), slots, n_narrow, n_bins: first_bin }
    }
}

/// Bytes of a cache line.
pub const LINE: usize = 64;

/// Room for a row of so many bytes: as few cache lines as can be, for up to a third more memory.
fn stride(bytes: usize) -> usize {
    let aligned = if bytes < LINE { bytes.next_power_of_two() } else { bytes.next_multiple_of(LINE) };
    if aligned * 3 <= bytes * 4 { aligned } else { bytes.next_multiple_of(2) }
}

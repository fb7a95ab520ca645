use super::gradient::{FLUSH_ROWS, Record};
use super::layout::{LINE, Layout, NARROW_BINS};
use super::matrix::BinnedMatrix;

/// Sums of quantised gradients and hessians.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    pub gradient: i64,
    pub hessian: i64,
}

impl Sums {
    /// As a GPU keeps them: gradient and hessian, low word first.
    pub fn words(self) -> [u32; 4] {
        let [gradient, hessian] = [self.gradient as u64, self.hessian as u64];
        [gradient as u32, (gradient >> 32) as u32, hessian as u32, (hessian >> 32) as u32]
    }

    pub fn from_words([a, b, c, d]: [u32; 4]) -> Self {
        let long = |low: u32, high: u32| (u64::from(high) << 32 | u64::from(low)) as i64;
        Self { gradient: long(a, b), hessian: long(c, d) }
    }
}

impl std::ops::Add for Sums {
    type Output = Self;

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Self { gradient: self.gradient + other.gradient, hessian: self.hessian + other.hessian }
    }
}

impl std::ops::Sub for Sums {
    type Output = Self;

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        Self { gradient: self.gradient - other.gradient, hessian: self.hessian - other.hessian }
    }
}

/// Sums of a node's rows by bin, over all features. Exact, so that rows may come in any order and the larger of two
/// children is the parent less the smaller.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    pub bins: Vec<Sums>,
}

impl Histogram {
    /// All bins empty.
    pub fn clear(&mut self, n_bins: usize) {
        self.bins.clear();
        self.bins.resize(n_bins, Sums::default());
    }

    pub fn add(&mut self, other: &Self) {
        self.bins.iter_mut().zip(&other.bins).for_each(|(a, b)| *a = *a + *b);
    }

    pub fn subtract(&mut self, other: &Self) {
        self.bins.iter_mut().zip(&other.bins).for_each(|(a, b)| *a = *a - *b);
    }

    /// Sums of all rows.
    pub fn total(&self, layout: &Layout) -> Sums {
        let Some(slot) = layout.slots.first() else { return Sums::default() };
        let bins = &self.bins[slot.first_bin..slot.first_bin + slot.n_bins];
        bins.iter().fold(Sums::default(), |sum, bin| sum + *bin)
    }
}

/// Sums rows up: in packed 32-bit pairs first, and in 64 bits before those could overflow.
#[derive(Default)]
pub struct Collector {
    packed: Vec<u64>,
    n_packed: usize,
    wide: Histogram,
}

/// Rows that pass all features while they are in the first-level cache.
const RUN_ROWS: usize = 256;
/// Features whose bins (32 KiB) stay in the first-level cache together.
const TILE: usize = 16;
/// Rows between one that is summed and the one whose memory is asked for.
pub const AHEAD: usize = 32;

impl Collector {
    /// Starts from nothing, in the memory of a histogram that is not needed any more.
    pub fn start(&mut self, n_bins: usize, mut reused: Histogram) {
        self.packed.resize(n_bins, 0);
        reused.clear(n_bins);
        self.wide = reused;
    }

    pub fn add(&mut self, matrix: &BinnedMatrix, records: &[Record]) {
        let (data, stride) = (matrix.data(), matrix.layout.stride);
        for (first, run) in records.chunks(RUN_ROWS).enumerate() {
            if self.n_packed + run.len() > FLUSH_ROWS {
                self.flush();
            }
            self.n_packed += run.len();
            // The first tile reads from memory, the others find their rows in the cache.
            let ahead = &records[(first * RUN_ROWS + AHEAD).min(records.len())..];
            let ahead = ahead.iter().map(Some).chain(std::iter::repeat(None));
            let prefetched = run.iter().zip(ahead).map(|(record, ahead)| {
                if let Some(ahead) = ahead {
                    (0..stride)
                        .step_by(LINE)
                        .for_each(|line| prefetch(data, ahead.row as usize * stride + line));
                }
                record
            });
            self.add_tile(matrix, 0, prefetched);
            for tile in (TILE..matrix.layout.n_narrow).step_by(TILE) {
                self.add_tile(matrix, tile, run.iter());
            }
            self.add_wide(matrix, run);
        }
    }

    /// The sums of all rows since the start.
    pub fn finish(&mut self) -> Histogram {
        self.flush();
        std::mem::take(&mut self.wide)
    }

    /// Adds rows to the bins of the narrow features from `first` on.
    #[inline(always)]
    fn add_tile<'a>(&mut self, matrix: &BinnedMatrix, first: usize, run: impl Iterator<Item = &'a Record>) {
        let Layout { stride, n_narrow, .. } = matrix.layout;
        let data = matrix.data();
        let n = TILE.min(n_narrow - first.min(n_narrow));
        let bins = &mut self.packed[first * NARROW_BINS..(first + n) * NARROW_BINS];
        for record in run {
            debug_assert!((record.row as usize + 1) * stride <= data.len());
            // SAFETY: records hold rows of the matrix, and the tile's features are narrow ones.
            unsafe {
                add_row(data.as_ptr().add(record.row as usize * stride + first), n, record.packed(), bins)
            };
        }
    }

    fn add_wide(&mut self, matrix: &BinnedMatrix, run: &[Record]) {
        let (layout, data) = (&matrix.layout, matrix.data());
        for slot in &layout.slots[layout.n_narrow..] {
            let bins = &mut self.packed[slot.first_bin..slot.first_bin + slot.n_bins];
            for record in run {
                let at = record.row as usize * layout.stride + slot.byte;
                let bin = u16::from_le_bytes([data[at], data[at + 1]]);
                let bin = &mut bins[usize::from(bin)];
                *bin = bin.wrapping_add(record.packed());
            }
        }
    }

    fn flush(&mut self) {
        if self.n_packed == 0 {
            return;
        }
        for (sums, packed) in self.wide.bins.iter_mut().zip(&mut self.packed) {
            sums.gradient += i64::from((*packed >> 32) as i32);
            sums.hessian += (*packed & 0xFFFF_FFFF) as i64;
            *packed = 0;
        }
        self.n_packed = 0;
    }
}

/// Adds a row to the bins of `n` features.
///
/// # Safety
/// `row` points at `n` bytes, and `bins` has [`NARROW_BINS`] bins for each.
#[inline(always)]
unsafe fn add_row(row: *const u8, n: usize, value: u64, bins: &mut [u64]) {
    let (mut row, mut bins) = (row, bins.as_mut_ptr());
    // SAFETY: all reads are within `n` bytes; a byte is below 256, so all writes are within `n * 256` bins.
    unsafe {
        for _ in 0..n / 8 {
            let eight = u64::from_le_bytes(row.cast::<[u8; 8]>().read_unaligned());
            for k in 0..8 {
                let bin = bins.add(k * NARROW_BINS + usize::from((eight >> (8 * k)) as u8));
                *bin = (*bin).wrapping_add(value);
            }
            (row, bins) = (row.add(8), bins.add(8 * NARROW_BINS));
        }
        for k in 0..n % 8 {
            let bin = bins.add(k * NARROW_BINS + usize::from(*row.add(k)));
            *bin = (*bin).wrapping_add(value);
        }
    }
}

/// Asks for a cache line ahead of its use.
#[inline(always)]
pub fn prefetch(data: &[u8], at: usize) {
    #[cfg(target_arch = "x86_64")]
    if at < data.len() {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: the address is within the slice, and a prefetch reads nothing.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(data.as_ptr().add(at).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (data, at);
}

use super::super::matrix::WordBits;

/// Words of a row that a workgroup sums at once: eight features of one byte.
pub(in super::super) const GROUP_WORDS: usize = 2;
/// Bins a workgroup sums in shared memory, eight features of one byte or a stretch of a feature of
/// two: 16 KiB, which every Vulkan device has, and little enough that a GPU keeps several at work.
pub(in super::super) const TILE_BINS: usize = 2_048;
/// From so many bins on, a feature's rows would be read so often (once a tile) that atomic additions
/// in device memory cost less; with that many bins they seldom meet.
pub(in super::super) const DIRECT_BINS_MIN: usize = 8 * TILE_BINS + 1;

/// A stretch of bins of a feature of two bytes.
pub(in super::super) struct Tile {
    pub bits: WordBits,
    /// First bin of the stretch in the histogram.
    pub first_bin: usize,
    /// The same in the feature.
    pub first: usize,
    pub n_bins: usize,
}

/// Features of one byte that a workgroup sums at once.
pub(in super::super) struct Group {
    /// Words of the part with their bins. The second one may repeat the first if it has no feature.
    pub words: [usize; GROUP_WORDS],
    pub first_bin: usize,
    pub n_features: usize,
}

/// As kernels read them, four words each.
pub(in super::super) fn group_table(groups: &[Group]) -> Vec<u32> {
    let words = |group: &Group| [group.words[0], group.words[1], group.first_bin, group.n_features];
    groups.iter().flat_map(words).map(|word| word as u32).collect()
}

/// As kernels read them, five words each.
pub(in super::super) fn tile_table(tiles: &[Tile]) -> Vec<u32> {
    let words = |tile: &Tile| {
        [tile.bits.word, tile.bits.shift, tile.first_bin as u32, tile.first as u32, tile.n_bins as u32]
    };
    tiles.iter().flat_map(words).collect()
}

const _: () = assert!(
    TILE_BINS == 256 * 4 * GROUP_WORDS && GROUP_WORDS == 2,
    "the kernel of narrow features reads two words"
);

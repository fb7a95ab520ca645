use std::ops::Range;

use cubecl::client::ComputeClient;
use cubecl::prelude::Runtime;
use rayon::prelude::*;

use super::super::layout::Layout;
use super::GpuError;
use super::buffer::Buffer;
use super::histogram::{DIRECT_BINS_MIN, GROUP_WORDS, Group, TILE_BINS, Tile, group_table, tile_table};

/// The bins of all rows on the device, by columns of 32-bit words.
///
/// Word `w` of all rows is one stretch of memory: a workgroup that looks at few features, or at the
/// one that splits a node, reads neighbouring rows side by side and nothing else. Columns that do not
/// fit in one buffer are spread over several.
pub(super) struct GpuMatrix {
    pub layout: Layout,
    pub n_rows: usize,
    pub parts: Vec<Part>,
}

/// Some columns of words, and the features in them.
pub(super) struct Part {
    pub words: Range<usize>,
    pub data: Buffer,
    /// Groups of features of one byte.
    pub narrow: Table,
    /// Stretches of bins of features of two bytes that are summed in shared memory.
    pub tiles: Table,
    /// Features of two bytes with too many bins for that.
    pub direct: Table,
}

/// Descriptions of stretches of bins on the device.
pub(super) struct Table {
    pub data: Buffer,
    pub len: usize,
}

/// Bytes of a buffer, at most. Devices take more, but the upload passes through host memory.
const PART_BYTES_MAX: u64 = 1 << 30;

impl GpuMatrix {
    /// Uploads row-major bins. `bins` holds `n_rows` rows of `layout.stride` bytes.
    pub fn upload<R: Runtime>(
        client: &ComputeClient<R>,
        layout: Layout,
        bins: &[u8],
    ) -> Result<Self, GpuError> {
        let n_rows = bins.len() / layout.stride.max(1);
        check(&layout, bins, n_rows)?;
        let n_words = layout.stride.div_ceil(4);
        let per_part = words_of_part(client.properties().memory.max_page_size, n_rows)?;
        let mut parts = Vec::new();
        for first in (0..n_words).step_by(per_part) {
            let words = first..(first + per_part).min(n_words);
            parts.push(Part::upload(client, &layout, bins, words));
        }
        Ok(Self { layout, n_rows, parts })
    }

    /// The part with a feature, the word's number in it, and the word's bits that are the bin.
    pub fn find(&self, place: usize) -> Option<(usize, WordBits)> {
        let word = self.layout.slots.get(place)?.byte / 4;
        let part = self.parts.iter().position(|part| part.words.contains(&word))?;
        Some((part, bits(&self.layout, place, &self.parts[part].words)))
    }
}

/// Where a bin is: word of the part, shift, mask.
#[derive(Clone, Copy)]
pub(super) struct WordBits {
    pub word: u32,
    pub shift: u32,
    pub mask: u32,
}

fn bits(layout: &Layout, place: usize, words: &Range<usize>) -> WordBits {
    let byte = layout.slots[place].byte;
    let mask = if place < layout.n_narrow { 0xFF } else { 0xFFFF };
    WordBits { word: (byte / 4 - words.start) as u32, shift: 8 * (byte % 4) as u32, mask }
}

impl Part {
    fn upload<R: Runtime>(
        client: &ComputeClient<R>,
        layout: &Layout,
        bins: &[u8],
        words: Range<usize>,
    ) -> Self {
        let data = Buffer::upload(client, columns(bins, layout.stride, words.clone()));
        let narrow = groups(layout, &words);
        let wide = layout.n_narrow..layout.slots.len();
        let wide = wide.filter(|&place| words.contains(&(layout.slots[place].byte / 4)));
        let (mut tiles, mut direct) = (Vec::new(), Vec::new());
        for place in wide {
            let slot = layout.slots[place];
            let bits = bits(layout, place, &words);
            if slot.n_bins >= DIRECT_BINS_MIN {
                direct.push(Tile { bits, first_bin: slot.first_bin, first: 0, n_bins: slot.n_bins });
            } else {
                tiles.extend((0..slot.n_bins).step_by(TILE_BINS).map(|first| {
                    let n_bins = TILE_BINS.min(slot.n_bins - first);
                    Tile { bits, first_bin: slot.first_bin + first, first, n_bins }
                }));
            }
        }
        let table = |words, len| Table { data: Buffer::upload(client, words), len };
        let narrow = table(group_table(&narrow), narrow.len());
        let tiles = table(tile_table(&tiles), tiles.len());
        let direct = table(tile_table(&direct), direct.len());
        Self { words, data, narrow, tiles, direct }
    }
}

/// Features of one byte in some words; those of a place have the bins from 256 times the place on.
fn groups(layout: &Layout, words: &Range<usize>) -> Vec<Group> {
    let n_words = layout.n_narrow.div_ceil(4).min(words.end);
    let group = |word: usize| Group {
        words: [word - words.start, (word + 1).min(words.end - 1) - words.start],
        first_bin: 4 * 256 * word,
        n_features: (layout.n_narrow - 4 * word).min(4 * GROUP_WORDS),
    };
    (words.start..n_words).step_by(GROUP_WORDS).map(group).collect()
}

/// Kernels write where a bin says, so a bin beyond its feature's must not get there.
fn check(layout: &Layout, bins: &[u8], n_rows: usize) -> Result<(), GpuError> {
    if n_rows == 0 || n_rows * layout.stride != bins.len() {
        let what = format!("{} bytes of bins in rows of {}", bins.len(), layout.stride);
        return Err(GpuError::Input { what });
    }
    let wide = &layout.slots[layout.n_narrow..];
    let wrong = bins.par_chunks_exact(layout.stride).position_any(|row| {
        wide.iter().any(|s| usize::from(u16::from_le_bytes([row[s.byte], row[s.byte + 1]])) >= s.n_bins)
    });
    match wrong {
        None => Ok(()),
        Some(row) => {
            Err(GpuError::Input { what: format!("row {row} has a bin beyond those of its feature") })
        }
    }
}

/// Columns of a buffer, a multiple of a workgroup's. Kernels count words with 32 bits.
fn words_of_part(bytes_max: u64, n_rows: usize) -> Result<usize, GpuError> {
    let bytes_max = bytes_max.min(u64::from(u32::MAX));
    let of_group = (n_rows * size_of::<u32>() * GROUP_WORDS) as u64;
    if of_group > bytes_max {
        let n_rows_max = bytes_max as usize / (size_of::<u32>() * GROUP_WORDS);
        return Err(GpuError::TooManyRows { n_rows, n_rows_max });
    }
    let groups = (bytes_max.min(PART_BYTES_MAX) / of_group).max(1);
    Ok(GROUP_WORDS * groups as usize)
}

/// Rows whose words are turned at once: few enough that they stay in a core's cache.
const BLOCK_ROWS: usize = 1_024;

/// Some words of each row, all of the first word first.
fn columns(bins: &[u8], stride: usize, words: Range<usize>) -> Vec<u32> {
    let n_rows = bins.len() / stride;
    let mut data = vec![0_u32; n_rows * words.len()];
    let n_blocks = n_rows.div_ceil(BLOCK_ROWS);
    let mut blocks: Vec<Vec<&mut [u32]>> = (0..n_blocks).map(|_| Vec::with_capacity(words.len())).collect();
    for column in data.chunks_mut(n_rows) {
        blocks.iter_mut().zip(column.chunks_mut(BLOCK_ROWS)).for_each(|(block, rows)| block.push(rows));
    }
    blocks.into_par_iter().zip(bins.par_chunks(BLOCK_ROWS * stride)).for_each(|(block, rows)| {
        for (word, column) in words.clone().zip(block) {
            let bytes = 4 * word..(4 * word + 4).min(stride);
            for (to, row) in column.iter_mut().zip(rows.chunks_exact(stride)) {
                let mut padded = [0; 4];
                padded[..bytes.len()].copy_from_slice(&row[bytes.clone()]);
                *to = u32::from_le_bytes(padded);
            }
        }
    });
    data
}

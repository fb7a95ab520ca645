use cupola_datasets::FeatureBatch;
use rayon::prelude::*;

use super::bins::FeatureBins;
use super::layout::{LINE, Layout, Slot};
use super::search::Search;

/// The bins of all rows: by row for histograms, which read all features of some rows, and, where memory allows it,
/// once more by feature for partitioning, which reads one feature of all rows.
///
/// By row, a row is one stretch of memory, one byte for a feature of up to 256 bins, two for others: most rows
/// are one cache line, and reading a row costs one miss.
pub struct BinnedMatrix {
    pub(super) features: Vec<FeatureBins>,
    pub(super) layout: Layout,
    n_rows: usize,
    lines: Vec<Line>,
    /// By place; empty where the matrix is too large to be kept twice.
    columns: Vec<Column>,
    searches: Vec<Search>,
}

/// A cache line: rows start where lines do.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Line(#[expect(dead_code, reason = "only its memory is used")] [u8; LINE]);

/// The bins of one feature.
enum Column {
    Narrow(Vec<u8>),
    Wide(Vec<u16>),
}

/// Where the bins of one feature are read.
pub(super) enum BinsOf<'a> {
    Narrow(&'a [u8]),
    Wide(&'a [u16]),
    /// In the rows, from a row's first byte on.
    InRows {
        rows: &'a [u8],
        slot: Slot,
        is_narrow: bool,
    },
}

/// Rows that a thread bins at once: so few that they stay in its cache from feature to feature.
const BLOCK_ROWS: usize = 512;

impl BinnedMatrix {
    /// An empty matrix for rows of these features, numeric ones first. The second copy of the bins takes at most
    /// `columns_bytes_max`.
    pub fn new(features: Vec<FeatureBins>, n_rows_max: usize, columns_bytes_max: usize) -> Self {
        let layout = Layout::new(&features);
        let row_bytes = 2 * layout.slots.len() - layout.n_narrow;
        let n_columns = if n_rows_max * row_bytes <= columns_bytes_max { layout.slots.len() } else { 0 };
        let column = |place: usize| {
            if place < layout.n_narrow {
                Column::Narrow(Vec::with_capacity(n_rows_max))
            } else {
                Column::Wide(Vec::with_capacity(n_rows_max))
            }
        };
        let lines = Vec::with_capacity((n_rows_max * layout.stride).div_ceil(LINE));
        ask_for_huge_pages(&lines);
        Self {
            lines,
            columns: (0..n_columns).map(column).collect(),
            searches: layout.slots.iter().map(|slot| Search::new(&features[slot.feature])).collect(),
            n_rows: 0,
            features,
            layout,
        }
    }

    /// Rows of bins, [`Layout::stride`] bytes each.
    pub(super) fn data(&self) -> &[u8] {
        // SAFETY: a line is 64 bytes and nothing else.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.lines.len() * LINE) }
    }

    /// Bins of the feature at a place.
    pub(super) fn bins_of(&self, place: usize) -> BinsOf<'_> {
        match self.columns.get(place) {
            Some(Column::Narrow(bins)) => BinsOf::Narrow(bins),
            Some(Column::Wide(bins)) => BinsOf::Wide(bins),
            None => {
                let is_narrow = place < self.layout.n_narrow;
                BinsOf::InRows { rows: self.data(), slot: self.layout.slots[place], is_narrow }
            }
        }
    }

    /// Bin of one row.
    pub(super) fn bin(&self, row: usize, place: usize) -> u16 {
        let at = row * self.layout.stride + self.layout.slots[place].byte;
        let data = self.data();
        if place < self.layout.n_narrow {
            u16::from(data[at])
        } else {
            u16::from_le_bytes([data[at], data[at + 1]])
        }
    }

    /// Rows so far.
    pub fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// How each feature is binned.
    pub fn features(&self) -> &[FeatureBins] {
        &self.features
    }

    /// Features that take two bytes.
    pub fn n_wide(&self) -> usize {
        self.layout.slots.len() - self.layout.n_narrow
    }

    /// Appends the bins of a batch. Codes must be within their feature's cardinality.
    pub fn push(&mut self, batch: &FeatureBatch) {
        let (first, end, stride) = (self.n_rows, self.n_rows + batch.n_rows, self.layout.stride);
        self.n_rows = end;
        self.lines.resize((end * stride).div_ceil(LINE), Line([0; LINE]));
        // One list of column stretches for each block.
        let n_blocks = batch.n_rows.div_ceil(BLOCK_ROWS);
        let mut blocks: Vec<Vec<Stretch<'_>>> =
            (0..n_blocks).map(|_| Vec::with_capacity(self.layout.slots.len())).collect();
        for column in &mut self.columns {
            match column {
                Column::Narrow(bins) => {
                    bins.resize(end, 0);
                    let stretches = bins[first..].chunks_mut(BLOCK_ROWS).map(Stretch::Narrow);
                    blocks.iter_mut().zip(stretches).for_each(|(block, stretch)| block.push(stretch));
                }
                Column::Wide(bins) => {
                    bins.resize(end, 0);
                    let stretches = bins[first..].chunks_mut(BLOCK_ROWS).map(Stretch::Wide);
                    blocks.iter_mut().zip(stretches).for_each(|(block, stretch)| block.push(stretch));
                }
            }
        }
        let (layout, searches) = (&self.layout, &self.searches);
        let rows =
            bytes_mut(&mut self.lines)[first * stride..end * stride].par_chunks_mut(BLOCK_ROWS * stride);
        rows.zip(blocks).enumerate().for_each(|(block, (rows, columns))| {
            Block { layout, searches, batch, first: block * BLOCK_ROWS }.fill(rows, columns);
        });
    }
}

/// Rows of deep nodes are far apart: with pages of 2 MiB the processor finds their addresses in its own table.
fn ask_for_huge_pages(lines: &Vec<Line>) {
    #[cfg(target_os = "linux")]
    {
        const PAGE: usize = 4_096;
        let (start, end) = (lines.as_ptr() as usize, lines.as_ptr() as usize + lines.capacity() * LINE);
        let (first, end) = (start.next_multiple_of(PAGE), end / PAGE * PAGE);
        if first < end {
            // SAFETY: whole pages within memory of our own, whose content the advice leaves alone. A kernel that
            // has no huge pages says so; nothing depends on it.
            unsafe { libc::madvise(first as *mut libc::c_void, end - first, libc::MADV_HUGEPAGE) };
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = lines;
}

fn bytes_mut(lines: &mut [Line]) -> &mut [u8] {
    let n = lines.len() * LINE;
    // SAFETY: a line is 64 bytes and nothing else.
    unsafe { std::slice::from_raw_parts_mut(lines.as_mut_ptr().cast(), n) }
}

enum Stretch<'a> {
    Narrow(&'a mut [u8]),
    Wide(&'a mut [u16]),
}

struct Block<'a> {
    layout: &'a Layout,
    searches: &'a [Search],
    batch: &'a FeatureBatch,
    /// First row in the batch.
    first: usize,
}

impl Block<'_> {
    fn fill(&self, rows: &mut [u8], columns: Vec<Stretch<'_>>) {
        let stride = self.layout.stride;
        let n = rows.len() / stride;
        let mut bins = [0_u16; BLOCK_ROWS];
        let mut columns = columns.into_iter();
        for (place, slot) in self.layout.slots.iter().enumerate() {
            self.bins(place, &mut bins[..n]);
            let rows = rows.chunks_exact_mut(stride).zip(&bins);
            if place < self.layout.n_narrow {
                rows.for_each(|(row, bin)| row[slot.byte] = *bin as u8);
            } else {
                rows.for_each(|(row, bin)| row[slot.byte..slot.byte + 2].copy_from_slice(&bin.to_le_bytes()));
            }
            match columns.next() {
                Some(Stretch::Narrow(column)) => {
                    column.iter_mut().zip(&bins).for_each(|(to, bin)| *to = *bin as u8)
                }
                Some(Stretch::Wide(column)) => column.copy_from_slice(&bins[..n]),
                None => {}
            }
        }
    }

    /// Bins of a feature in all rows of the block.
    fn bins(&self, place: usize, bins: &mut [u16]) {
        let FeatureBatch { n_numeric, n_categorical, numeric, categorical, .. } = self.batch;
        let feature = self.layout.slots[place].feature;
        if feature < *n_numeric {
            let mut values = [0_f32; BLOCK_ROWS];
            let values = &mut values[..bins.len()];
            let from = numeric[self.first * n_numeric + feature..].iter().step_by(*n_numeric);
            values.iter_mut().zip(from).for_each(|(to, value)| *to = *value);
            self.searches[place].bins(values, bins);
        } else {
            let from = categorical[self.first * n_categorical + feature - n_numeric..].iter();
            bins.iter_mut().zip(from.step_by(*n_categorical)).for_each(|(bin, code)| *bin = *code as u16);
        }
    }
}

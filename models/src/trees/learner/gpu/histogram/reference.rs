use crate::trees::learner::gradient::Record;
use crate::trees::learner::histogram::{Histogram, Sums};
use crate::trees::learner::layout::Layout;

/// What the kernels must find: bins and pairs looked up one by one, summed in 64 bits.
pub(crate) fn histogram(layout: &Layout, bins: &[u8], records: &[Record]) -> Histogram {
    let mut histogram = Histogram { bins: vec![Sums::default(); layout.n_bins] };
    for record in records {
        for (place, slot) in layout.slots.iter().enumerate() {
            let sums = &mut histogram.bins[slot.first_bin + bin(layout, bins, record.row, place)];
            sums.gradient += i64::from((record.pair >> 16) as u16 as i16);
            sums.hessian += i64::from(record.pair as u16);
        }
    }
    histogram
}

/// Bin of a row by the place of the feature.
pub(crate) fn bin(layout: &Layout, bins: &[u8], row: u32, place: usize) -> usize {
    let row = &bins[row as usize * layout.stride..][..layout.stride];
    let byte = layout.slots[place].byte;
    if place < layout.n_narrow {
        usize::from(row[byte])
    } else {
        usize::from(u16::from_le_bytes([row[byte], row[byte + 1]]))
    }
}

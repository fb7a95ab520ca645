use std::ops::Range;

use crate::trees::learner::gradient::Record;

/// What [`super::Records::reset`] must leave behind.
pub(crate) fn reset(pairs: &[u32]) -> Vec<Record> {
    (0..).zip(pairs).map(|(row, &pair)| Record { row, pair }).collect()
}

/// What [`super::Records::assign`] must return.
pub(crate) fn assign(buffers: [&[Record]; 2], leaves: &[(Range<usize>, usize, u32)]) -> Vec<u32> {
    let mut leaf_of_row = vec![0; buffers[0].len()];
    for (rows, parity, leaf) in leaves {
        for record in &buffers[*parity][rows.clone()] {
            leaf_of_row[record.row as usize] = *leaf;
        }
    }
    leaf_of_row
}

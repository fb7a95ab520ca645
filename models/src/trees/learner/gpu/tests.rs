#![allow(clippy::unwrap_used, clippy::panic)]

use std::ops::Range;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::histogram::reference::histogram;
use super::partition::reference::partition;
use super::testing::{Data, client_or_skip};
use super::{Done, Order};
use crate::trees::learner::gradient::Record;
use crate::trees::learner::rows::Side;
use crate::trees::learner::store::NodeHistogram;

/// A random tree, level by level, on the device and by the references: every count, every wanted
/// histogram, and in the end the leaf of every row.
#[test]
fn a_tree_grown_on_the_device_has_the_sums_and_leaves_of_the_references() {
    let Some(client) = client_or_skip("a_tree_grown_on_the_device") else { return };
    let mut random = StdRng::seed_from_u64(9);
    let data = Data::random(10, 30_000, &[256, 256, 30, 2, 256, 77, 256, 10, 256, 3_000, 20_000]);
    let mut rows = data.rows(client);
    let mut records: Vec<Record> = (0..).zip(&data.pairs).map(|(row, &pair)| Record { row, pair }).collect();
    let mut nodes: Vec<Range<usize>> = std::iter::once(0..30_000).collect();
    for level in 0..7 {
        let orders: Vec<Order> =
            nodes.iter().map(|node| order(&data, node.clone(), level % 2, &mut random)).collect();
        let done = rows.split(&orders).unwrap();
        nodes = orders
            .iter()
            .zip(&done)
            .flat_map(|(order, done)| step(&data, &mut records, order, done))
            .collect();
        assert_eq!(nodes.iter().map(Range::len).sum::<usize>(), 30_000);
    }
    let leaves: Vec<_> = nodes.iter().cloned().zip(10..).map(|(node, leaf)| (node, 1, leaf)).collect();
    let leaf_of_row = rows.assign(&leaves).unwrap();
    for (node, _, leaf) in &leaves {
        assert!(records[node.clone()].iter().all(|record| leaf_of_row[record.row as usize] == *leaf));
    }
}

fn order(data: &Data, rows: Range<usize>, parity: usize, random: &mut StdRng) -> Order {
    let place = random.random_range(0..data.layout.slots.len());
    // Bin 0 has half of all rows: leave most of them together, so that nodes differ in size.
    let goes_left = (0..data.layout.slots[place].n_bins).map(|_| random.random()).collect();
    let build = [None, Some(Side::Left), Some(Side::Right)][random.random_range(0..3)];
    Order { rows, parity, place, goes_left, build }
}

/// Does the same to the records of the reference and returns the children.
fn step(data: &Data, records: &mut [Record], order: &Order, done: &Done) -> [Range<usize>; 2] {
    let (left, right) = partition(&data.layout, &data.bins, records, order);
    assert_eq!(done.n_left, left.len());
    let of = |records: &[Record]| histogram(&data.layout, &data.bins, records);
    let found = done.histogram.as_ref().map(|histogram| match histogram {
        NodeHistogram::Here(histogram) => histogram.clone(),
        NodeHistogram::There(_) => panic!("it was not to be kept"),
    });
    let expected = match order.build {
        None => None,
        Some(Side::Left) => Some(of(&left)),
        Some(Side::Right) => Some(of(&right)),
    };
    assert!(found == expected, "{order:?}");
    let middle = order.rows.start + left.len();
    records[order.rows.start..middle].copy_from_slice(&left);
    records[middle..order.rows.end].copy_from_slice(&right);
    [order.rows.start..middle, middle..order.rows.end]
}

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::super::Order;
use super::super::testing::{Data, client_or_skip};
use super::reference::partition;
use crate::trees::learner::gradient::Record;

fn records(data: &Data) -> Vec<Record> {
    (0..).zip(&data.pairs).map(|(row, &pair)| Record { row, pair }).collect()
}

fn sorted(mut records: Vec<Record>) -> Vec<Record> {
    records.sort_unstable();
    records
}

fn order(data: &Data, rows: std::ops::Range<usize>, place: usize, seed: u64) -> Order {
    let mut random = StdRng::seed_from_u64(seed);
    let goes_left = (0..data.layout.slots[place].n_bins).map(|_| random.random()).collect();
    Order { rows, parity: 0, place, goes_left, build: None }
}

/// Splits stretches of the first buffer and compares each side, whatever its order.
#[track_caller]
fn agrees(data: &Data, orders: &[Order]) {
    let Some(client) = client_or_skip("partition::agrees") else { return };
    let mut rows = data.rows(client);
    let done = rows.split(orders).unwrap();
    let all = records(data);
    for (order, done) in orders.iter().zip(done) {
        let (left, right) = partition(&data.layout, &data.bins, &all, order);
        assert_eq!((done.n_left, done.histogram.is_none()), (left.len(), true), "{:?}", order.rows);
        let middle = order.rows.start + done.n_left;
        assert_eq!(sorted(rows.records(order.rows.start..middle, 1).unwrap()), left);
        assert_eq!(sorted(rows.records(middle..order.rows.end, 1).unwrap()), right);
    }
    assert_eq!(rows.records(0..all.len(), 0).unwrap(), all, "the buffer that is read stays as it is");
}

#[test]
fn sides_agree_for_every_feature() {
    let data = Data::random(1, 10_000, &[2, 256, 17, 100, 255, 3, 300, 65_536]);
    for place in 0..8 {
        agrees(&data, &[order(&data, 0..10_000, place, 5)]);
    }
}

#[test]
fn sides_agree_around_the_size_of_a_chunk() {
    let data = Data::random(2, 5_000, &[50]);
    for n_rows in [0, 1, 3, 4, 5, 1_023, 1_024, 1_025, 2_048, 5_000] {
        agrees(&data, &[order(&data, 5_000 - n_rows..5_000, 0, 6)]);
    }
}

#[test]
fn one_side_may_be_empty() {
    let data = Data::random(3, 3_000, &[40]);
    for left in [false, true] {
        let mut order = order(&data, 100..2_900, 0, 7);
        order.goes_left.fill(left);
        agrees(&data, &[order]);
    }
}

#[test]
fn a_level_of_many_nodes_is_split_at_once() {
    let data = Data::random(4, 60_000, &[30, 200, 5_000]);
    let orders: Vec<Order> =
        (0..300).map(|i| order(&data, i * 200..(i + 1) * 200 - i % 3, i % 3, i as u64)).collect();
    agrees(&data, &orders);
    agrees(&data, &[]);
}

/// 140 MB of bins where a buffer of lavapipe has at most 128 MiB.
#[test]
fn features_of_a_matrix_in_several_buffers_are_found() {
    let mut n_bins = vec![256; 136];
    n_bins.extend([300, 20_000]);
    let data = Data::random(6, 1_000_000, &n_bins);
    let orders: Vec<Order> = [0, 127, 128, 135, 136, 137]
        .iter()
        .zip(0..)
        .map(|(&place, i)| order(&data, i * 1_000..(i + 1) * 1_000, place, 9))
        .collect();
    agrees(&data, &orders);
}

#[test]
fn orders_that_do_not_fit_are_errors() {
    let Some(client) = client_or_skip("orders_that_do_not_fit_are_errors") else { return };
    let data = Data::random(5, 100, &[30, 300]);
    let mut rows = data.rows(client);
    let sound = order(&data, 0..100, 1, 8);
    assert!(rows.split(&[Order { rows: 0..101, ..sound.clone() }]).is_err());
    assert!(rows.split(&[Order { parity: 2, ..sound.clone() }]).is_err());
    assert!(rows.split(&[Order { place: 2, ..sound.clone() }]).is_err());
    assert!(rows.split(&[Order { place: 0, ..sound.clone() }]).is_err());
    assert!(rows.split(&[sound]).is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn sides_agree(
        seed: u64,
        n_rows in 1_usize..50_000,
        narrow in prop::collection::vec(1_usize..=256, 1..12),
        wide in prop::collection::vec(257_usize..=65_536, 0..3),
        place: prop::sample::Index,
        middle: prop::sample::Index,
    ) {
        let n_bins: Vec<usize> = narrow.into_iter().chain(wide).collect();
        let data = Data::random(seed, n_rows, &n_bins);
        let middle = middle.index(n_rows);
        let place = place.index(n_bins.len());
        agrees(&data, &[order(&data, 0..middle, place, seed), order(&data, middle..n_rows, 0, seed + 1)]);
    }
}

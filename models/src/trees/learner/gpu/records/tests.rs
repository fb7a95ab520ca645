#![allow(clippy::unwrap_used)]

use super::super::testing::{Data, client_or_skip};
use super::reference;

#[test]
fn a_new_tree_has_all_rows_in_natural_order() {
    let Some(client) = client_or_skip("a_new_tree_has_all_rows_in_natural_order") else { return };
    for n_rows in [1, 255, 256, 257, 100_000] {
        let data = Data::random(1, n_rows, &[4]);
        let mut rows = data.rows(client.clone());
        assert_eq!(rows.records(0..n_rows, 0).unwrap(), reference::reset(&data.pairs));
        let other: Vec<u32> = data.pairs.iter().rev().copied().collect();
        rows.start(other.clone()).unwrap();
        assert_eq!(rows.records(0..n_rows, 0).unwrap(), reference::reset(&other));
    }
}

#[test]
fn each_row_gets_the_leaf_its_record_is_in() {
    let Some(client) = client_or_skip("each_row_gets_the_leaf_its_record_is_in") else { return };
    let data = Data::random(2, 50_000, &[8]);
    let rows = data.rows(client);
    let records = reference::reset(&data.pairs);
    let leaves = [(0..1, 0, 7), (1..1, 1, 9), (1..20_000, 0, 4_000_000_000), (20_000..50_000, 0, 0)];
    assert_eq!(rows.assign(&leaves).unwrap(), reference::assign([&records, &records], &leaves));
}

#[test]
fn leaves_that_leave_rows_out_are_an_error() {
    let Some(client) = client_or_skip("leaves_that_leave_rows_out_are_an_error") else { return };
    let rows = Data::random(3, 100, &[8]).rows(client);
    assert!(rows.assign(&[(0..99, 0, 1)]).is_err());
    assert!(rows.assign(&[(0..100, 2, 1)]).is_err());
    assert!(rows.assign(&[(1..101, 0, 1)]).is_err());
}

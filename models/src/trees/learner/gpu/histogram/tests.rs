#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::super::testing::{Data, client_or_skip, layout, pair};
use super::super::{GpuError, GpuRows};
use super::reference::histogram;
use crate::trees::learner::gradient::Record;
use crate::trees::learner::histogram::Sums;

fn records(data: &Data) -> Vec<Record> {
    (0..).zip(&data.pairs).map(|(row, &pair)| Record { row, pair }).collect()
}

#[track_caller]
fn agrees(data: &Data, rows: std::ops::Range<usize>) {
    let Some(client) = client_or_skip("histogram::agrees") else { return };
    let found = data.rows(client).histogram(rows.clone(), 0).unwrap();
    let expected = histogram(&data.layout, &data.bins, &records(data)[rows]);
    assert_eq!(found.bins.len(), expected.bins.len());
    if let Some(bin) = (0..expected.bins.len()).find(|&bin| found.bins[bin] != expected.bins[bin]) {
        panic!("bin {bin}: {:?}, expected {:?}", found.bins[bin], expected.bins[bin]);
    }
}

#[test]
fn sums_agree_for_any_number_of_narrow_features() {
    for n_features in [1, 3, 4, 5, 8, 9, 13, 16, 50] {
        agrees(&Data::random(n_features as u64, 3_000, &vec![256; n_features]), 0..3_000);
    }
}

#[test]
fn sums_agree_for_wide_features_of_all_sizes() {
    agrees(&Data::random(1, 20_000, &[257, 2_048, 2_049, 16_384, 16_385, 65_536]), 0..20_000);
}

#[test]
fn sums_agree_where_narrow_and_wide_features_share_a_word() {
    for n_narrow in 1..10 {
        let mut n_bins = vec![200; n_narrow];
        n_bins.extend([300, 70, 20_000, 4_096]);
        agrees(&Data::random(7, 2_000, &n_bins), 0..2_000);
    }
}

#[test]
fn rows_without_features_have_no_bins() {
    let Some(client) = client_or_skip("rows_without_features_have_no_bins") else { return };
    let rows = Data::random(2, 300, &[]).rows(client);
    assert!(rows.histogram(0..300, 0).unwrap().bins.is_empty());
}

#[test]
fn sums_agree_over_a_stretch_and_over_none() {
    let data = Data::random(3, 70_000, &[256, 10, 1_000]);
    agrees(&data, 17..69_001);
    agrees(&data, 69_999..70_000);
    agrees(&data, 500..500);
}

#[test]
fn a_chunk_of_the_largest_size_does_not_overflow() {
    for (gradient, hessian) in [(i16::MIN, u16::MAX), (i16::MAX, 32_767)] {
        let mut data = Data::random(4, 700_000, &[2; 400]);
        data.bins.fill(1);
        data.pairs.fill(pair(gradient, hessian));
        agrees_on_one_bin(&data, gradient, hessian);
    }
}

/// Of so many features and rows that chunks have the largest size.
fn agrees_on_one_bin(data: &Data, gradient: i16, hessian: u16) {
    let Some(client) = client_or_skip("agrees_on_one_bin") else { return };
    let n_rows = data.pairs.len() as i64;
    let found = data.rows(client).histogram(0..n_rows as usize, 0).unwrap();
    let all = Sums { gradient: n_rows * i64::from(gradient), hessian: n_rows * i64::from(hessian) };
    for (bin, sums) in found.bins.iter().enumerate() {
        assert_eq!(*sums, if bin % 256 == 1 { all } else { Sums::default() }, "bin {bin}");
    }
}

#[test]
fn sums_carry_into_the_high_limb() {
    let Some(client) = client_or_skip("sums_carry_into_the_high_limb") else { return };
    let n_rows = 4_000_000;
    // Straight into the limbs, row by row: the low limb wraps around some 30 times.
    for n_bins in [20_000, 300, 2] {
        for gradient in [i16::MIN, -1, 1, i16::MAX] {
            let mut data = Data { layout: layout(&[n_bins]), bins: Vec::new(), pairs: Vec::new() };
            data.bins = [1, 0].repeat(n_rows);
            data.pairs = vec![pair(gradient, 32_767); n_rows];
            let found = data.rows(client.clone()).histogram(0..n_rows, 0).unwrap();
            let all = Sums { gradient: n_rows as i64 * i64::from(gradient), hessian: n_rows as i64 * 32_767 };
            assert_eq!(found.bins[1], all, "{n_bins} bins, gradient {gradient}");
        }
    }
}

#[test]
fn sums_that_go_to_and_fro_around_zero_agree() {
    let mut data = Data::random(5, 100_000, &[1, 20_000]);
    data.bins.fill(0);
    agrees(&data, 0..100_000);
}

#[test]
fn a_bin_beyond_its_feature_is_an_error() {
    let Some(client) = client_or_skip("a_bin_beyond_its_feature_is_an_error") else { return };
    let mut data = Data::random(6, 1_000, &[10, 300]);
    data.bins[999 * 4 + 3] = 2;
    let made = GpuRows::new(client, data.layout, &data.bins);
    assert!(matches!(made, Err(GpuError::Input { what }) if what.contains("row 999")));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn sums_agree(
        seed: u64,
        n_rows in 1_usize..20_000,
        narrow in prop::collection::vec(1_usize..=256, 0..20),
        wide in prop::collection::vec(257_usize..=65_536, 0..4),
        bounds: (prop::sample::Index, prop::sample::Index),
    ) {
        let n_bins: Vec<usize> = narrow.into_iter().chain(wide).collect();
        prop_assume!(!n_bins.is_empty());
        let (a, b) = (bounds.0.index(n_rows + 1), bounds.1.index(n_rows + 1));
        agrees(&Data::random(seed, n_rows, &n_bins), a.min(b)..a.max(b));
    }
}

#![allow(clippy::unwrap_used, clippy::panic)]

use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::super::histogram::reference::{bin, histogram};
use super::super::testing::{Data, client_or_skip, pair};
use super::super::{Done, Order};
use super::launch::{CUTS_MAX, Found, Question};
use super::reference::cuts;
use crate::trees::learner::gradient::{Record, Units};
use crate::trees::learner::histogram::{Histogram, Sums};
use crate::trees::learner::rows::Side;
use crate::trees::learner::scan::Cut;
use crate::trees::learner::split::{Limits, Regularisation};
use crate::trees::learner::store::NodeHistogram;

const UNITS: Units = Units { gradient: 1e-3, hessian: 2e-4 };

fn penalties() -> Regularisation {
    Regularisation {
        lambda: 1.0,
        alpha: 0.0,
        gamma: 0.0,
        min_child_weight: 1.0,
        max_delta_step: 0.0,
        cat_smooth: 10.0,
        cat_l2: 10.0,
        max_cat_to_onehot: 4,
        max_cat_threshold: 64,
    }
}

/// Gradients that depend on the first feature, on top of `mean`.
fn data(seed: u64, n_rows: usize, n_bins: &[usize], mean: i32, noise: i32) -> Data {
    let mut data = Data::random(seed, n_rows, n_bins);
    let mut random = StdRng::seed_from_u64(seed);
    for row in 0..n_rows {
        let signal = if bin(&data.layout, &data.bins, row as u32, 0) % 7 > 3 { 500 } else { -500 };
        let gradient = mean + signal + random.random_range(-noise..=noise);
        data.pairs[row] = pair(gradient as i16, random.random_range(1..32_768));
    }
    data
}

fn total(data: &Data, histogram: &Histogram) -> Sums {
    histogram.total(&data.layout)
}

fn records(data: &Data) -> Vec<Record> {
    (0..).zip(&data.pairs).map(|(row, &pair)| Record { row, pair }).collect()
}

/// Every cut of a node that gains as much as the best is found, with its sums; all found ones exist; and those that gain
/// clearly less are not among them.
#[track_caller]
fn agrees(data: &Data, histogram: &Histogram, penalties: &Regularisation, found: &Found) {
    let total = total(data, histogram);
    let of_place = |place: usize| {
        let slot = data.layout.slots[place];
        &histogram.bins[slot.first_bin..slot.first_bin + slot.n_bins]
    };
    for (place, bins) in &found.bins {
        assert_eq!(bins, of_place(*place));
    }
    let all: Vec<(usize, Cut, f64)> = (0..data.layout.slots.len())
        .flat_map(|place| {
            cuts(of_place(place), total, UNITS, penalties)
                .into_iter()
                .map(move |(cut, gain)| (place, cut, gain))
        })
        .collect();
    let best = all.iter().map(|(.., gain)| *gain).fold(penalties.gain_min(), f64::max);
    let close: Vec<_> = all.iter().filter(|(.., gain)| *gain >= best * (1.0 - 1e-9)).collect();
    if !found.bins.is_empty() {
        assert!(all.iter().filter(|(.., gain)| *gain >= best * 0.98).count() > CUTS_MAX / 2, "needless bins");
        return;
    }
    for (place, cut, _) in &close {
        assert!(found.cuts.contains(&(*place, *cut)), "{cut:?} of {place} is missing among {:?}", found.cuts);
    }
    for (place, cut) in &found.cuts {
        let gain = all.iter().find(|(p, c, _)| (p, c) == (place, cut)).map(|(.., gain)| *gain);
        assert!(
            gain.is_some_and(|gain| gain >= best * 0.98),
            "{cut:?} of {place} gains {gain:?}, the best {best}"
        );
    }
    assert!(found.cuts.is_sorted_by_key(|(place, cut)| (*place, cut.missing_left, cut.bin)));
}

/// The root, and both children of a split of it by its last feature.
#[track_caller]
fn found_in_a_family(data: &Data, penalties: &Regularisation) {
    let Some(client) = client_or_skip("search::found_in_a_family") else { return };
    let mut rows = data.rows(client);
    rows.keep_histograms(8, |_| true).unwrap();
    let (sums, whole) = rows.root().unwrap();
    let of_all = histogram(&data.layout, &data.bins, &records(data));
    assert_eq!(sums, total(data, &of_all));
    let n_places = data.layout.slots.len();
    let allowed = vec![true; n_places];
    let ask = |rows: &super::super::GpuRows<_>, node: &NodeHistogram, of: &Histogram| {
        let NodeHistogram::There(histogram) = node else { panic!("it stays on the device") };
        let question =
            Question { histogram, total: total(data, of), limits: Limits::NONE, allowed: &allowed };
        let found = rows.search((UNITS, penalties), &[question]).unwrap().pop().unwrap();
        agrees(data, of, penalties, &found);
    };
    ask(&rows, &whole, &of_all);
    let n_bins = data.layout.slots[n_places - 1].n_bins;
    let goes_left: Vec<bool> = (0..n_bins).map(|bin| bin % 3 == 0).collect();
    let (left, right): (Vec<Record>, Vec<Record>) = records(data)
        .into_iter()
        .partition(|record| goes_left[bin(&data.layout, &data.bins, record.row, n_places - 1)]);
    let order =
        Order { rows: 0..rows.n_rows(), parity: 0, place: n_places - 1, goes_left, build: Some(Side::Right) };
    let Done { histogram: part, n_left } = rows.split(&[order]).unwrap().pop().unwrap();
    assert_eq!(n_left, left.len());
    let (of_left, of_right) =
        (histogram(&data.layout, &data.bins, &left), histogram(&data.layout, &data.bins, &right));
    let part = part.unwrap();
    ask(&rows, &part, &of_right);
    let (NodeHistogram::There(of_whole), NodeHistogram::There(of_part)) = (&whole, &part) else {
        panic!("they stay on the device")
    };
    rows.subtract(of_whole, of_part).unwrap();
    ask(&rows, &whole, &of_left);
}

#[test]
fn the_best_cuts_are_found_for_features_of_all_sizes() {
    found_in_a_family(&data(1, 20_000, &[256, 2, 3, 255, 40, 257, 3_000, 65_536], 0, 300), &penalties());
}

/// The node's mean gradient is ten times what cuts tell apart.
#[test]
fn the_best_cuts_are_found_where_all_gradients_have_one_sign() {
    found_in_a_family(&data(2, 30_000, &[256, 100, 9], 20_000, 5_000), &penalties());
    found_in_a_family(&data(3, 30_000, &[256, 100, 9], -20_000, 5_000), &penalties());
}

#[test]
fn copies_of_a_feature_are_found_or_come_whole() {
    let mut data = data(4, 5_000, &[30; 40], 0, 200);
    for row in data.bins.chunks_exact_mut(data.layout.stride) {
        let first = row[0];
        row.fill(first);
    }
    found_in_a_family(&data, &penalties());
}

#[test]
fn nothing_is_found_where_nothing_gains() {
    let Some(client) = client_or_skip("nothing_is_found_where_nothing_gains") else { return };
    let mut data = data(5, 4_000, &[256, 20], 0, 300);
    data.pairs.fill(pair(700, 900));
    let mut rows = data.rows(client);
    rows.keep_histograms(8, |_| true).unwrap();
    let (total, NodeHistogram::There(histogram)) = rows.root().unwrap() else {
        panic!("it stays on the device")
    };
    let question = Question { histogram: &histogram, total, limits: Limits::NONE, allowed: &[true, true] };
    // Without a penalty equal rows are as well together as apart.
    let penalties = Regularisation { lambda: 0.0, ..penalties() };
    let found = rows.search((UNITS, &penalties), &[question]).unwrap().pop().unwrap();
    assert!(found.cuts.is_empty() && found.bins.is_empty(), "{found:?}");
}

#[test]
fn forbidden_features_are_not_found_and_others_come_whole() {
    let Some(client) = client_or_skip("forbidden_features_are_not_found") else { return };
    let data = data(6, 9_000, &[256, 256, 30, 20], 0, 300);
    let mut rows = data.rows(client);
    rows.keep_histograms(8, |place| place != 2).unwrap();
    let (total, NodeHistogram::There(histogram)) = rows.root().unwrap() else {
        panic!("it stays on the device")
    };
    let expected = histogram_of(&data);
    let ask = |limits: Limits, allowed: &[bool]| {
        let question = Question { histogram: &histogram, total, limits, allowed };
        rows.search((UNITS, &penalties()), &[question]).unwrap().pop().unwrap()
    };
    let found = ask(Limits::NONE, &[false, true, true, true]);
    assert!(!found.cuts.is_empty() && found.cuts.iter().all(|(place, _)| [1, 3].contains(place)));
    let slot = data.layout.slots[2];
    assert_eq!(found.bins, vec![(2, expected.bins[slot.first_bin..slot.first_bin + slot.n_bins].to_vec())]);
    // Limits of values are the host's business.
    let found = ask(Limits { low: -1.0, high: 1.0 }, &[true, false, true, false]);
    let mut places: Vec<usize> = found.bins.iter().map(|(place, _)| *place).collect();
    places.sort_unstable();
    assert_eq!((places, found.cuts), (vec![0, 2], Vec::new()));
}

#[test]
fn where_no_feature_is_cut_all_come_whole() {
    let Some(client) = client_or_skip("where_no_feature_is_cut_all_come_whole") else { return };
    let data = data(7, 3_000, &[30, 20], 0, 300);
    let mut rows = data.rows(client);
    rows.keep_histograms(8, |_| false).unwrap();
    let (total, NodeHistogram::There(histogram)) = rows.root().unwrap() else {
        panic!("it stays on the device")
    };
    let question = Question { histogram: &histogram, total, limits: Limits::NONE, allowed: &[true, true] };
    let found = rows.search((UNITS, &penalties()), &[question]).unwrap().pop().unwrap();
    assert_eq!((found.cuts.len(), found.bins.len()), (0, 2));
}

#[test]
fn histograms_of_too_many_nodes_come_to_the_host() {
    let Some(client) = client_or_skip("histograms_of_too_many_nodes_come_to_the_host") else { return };
    let data = data(8, 3_000, &[30, 20], 0, 300);
    let mut rows = data.rows(client);
    rows.keep_histograms(1 << 40, |_| true).unwrap();
    assert!(matches!(rows.root().unwrap().1, NodeHistogram::Here(_)));
}

fn histogram_of(data: &Data) -> Histogram {
    histogram(&data.layout, &data.bins, &records(data))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]
    #[test]
    fn the_best_cuts_are_found(
        seed: u64,
        n_rows in 2_usize..20_000,
        narrow in prop::collection::vec(1_usize..=256, 1..9),
        wide in prop::collection::vec(257_usize..=5_000, 0..3),
        mean in -30_000_i32..30_000,
        noise in 1_i32..2_000,
        lambda in prop::sample::select(vec![0.0, 0.1, 1.0, 100.0]),
        min_child_weight in prop::sample::select(vec![0.0, 1.0, 50.0]),
    ) {
        let n_bins: Vec<usize> = narrow.into_iter().chain(wide).collect();
        let penalties = Regularisation { lambda, min_child_weight, ..penalties() };
        found_in_a_family(&data(seed, n_rows, &n_bins, mean, noise), &penalties);
    }
}

#![allow(clippy::unwrap_used, clippy::panic)]

use cubecl::wgpu::WgpuRuntime;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::super::GpuRows;
use super::super::testing::{Data, client_or_skip};
use super::reference::records;
use crate::trees::learner::gradient::{Draw, Units, scales};
use crate::trees::learner::loss::{RowLoss, RowScores};

fn rows(data: &Data, test: &str) -> Option<GpuRows<WgpuRuntime>> {
    Some(data.rows(client_or_skip(test)?))
}

fn start(rows: &mut GpuRows<WgpuRuntime>, draw: Draw) -> Option<Units> {
    let largest = rows.largest().unwrap();
    let (scales, units) = scales(largest);
    rows.quantise(draw, scales, 0).unwrap();
    largest.iter().all(|x| x.is_finite()).then_some(units)
}

/// Scores of all sizes, the extremes among them.
fn scores(n_rows: usize, seed: u64) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
    let mut random = StdRng::seed_from_u64(seed);
    let extremes = [0.0, -0.0, 16.0, -16.0, 15.999_999, 1e30, -1e30, 1e-40, f32::MIN_POSITIVE];
    let raw =
        (0..n_rows).map(|i| extremes.get(i).copied().unwrap_or_else(|| random.random_range(-20.0..20.0)));
    let raw = raw.collect();
    let labels = (0..n_rows).map(|_| random.random_range(0..2) as f32).collect();
    let weights = (0..n_rows).map(|_| random.random_range(0.1..3.0)).collect();
    (raw, labels, weights)
}

#[test]
fn records_are_those_of_the_host_bit_for_bit() {
    let data = Data::random(1, 70_001, &[30]);
    let Some(mut on_device) = rows(&data, "records_are_those_of_the_host_bit_for_bit") else { return };
    let (mut raw, labels, weights) = scores(70_001, 2);
    for loss in [RowLoss::Logistic, RowLoss::SquaredError] {
        for weights in [None, Some(weights.as_slice())] {
            for subsample in [1.0, 0.3] {
                if loss == RowLoss::SquaredError {
                    // Their squares would leave nothing of the others.
                    raw[5..7].fill(0.0);
                }
                let draw = Draw { seed: 0x1234_5678_9ABC_DEF0, subsample };
                let scores = RowScores { loss, raw: &raw, labels: &labels, weights };
                let (expected, units) = records(&scores, draw).unwrap();
                on_device.take_scores(&scores, 0..70_001).unwrap();
                assert_eq!(start(&mut on_device, draw), Some(units));
                let found = on_device.records(0..70_001, 0).unwrap();
                if let Some(row) = (0..70_001).find(|row| found[*row] != expected[*row]) {
                    panic!("{loss:?}: {:?}, expected {:?} of {}", found[row], expected[row], raw[row]);
                }
            }
        }
    }
}

#[test]
fn scores_that_are_not_finite_are_refused() {
    let data = Data::random(1, 300, &[30]);
    let Some(mut on_device) = rows(&data, "scores_that_are_not_finite_are_refused") else { return };
    let (mut raw, labels, _) = scores(300, 3);
    for (number, loss) in [
        (f32::NAN, RowLoss::SquaredError),
        (f32::NAN, RowLoss::Logistic),
        (f32::INFINITY, RowLoss::SquaredError),
    ] {
        raw[200] = number;
        let scores = RowScores { loss, raw: &raw, labels: &labels, weights: None };
        on_device.take_scores(&scores, 0..300).unwrap();
        assert_eq!(start(&mut on_device, Draw { seed: 1, subsample: 1.0 }), None);
    }
}

#[test]
fn leaves_add_their_values_to_the_scores() {
    let data = Data::random(1, 20_000, &[30]);
    let Some(mut on_device) = rows(&data, "leaves_add_their_values_to_the_scores") else { return };
    let (mut raw, labels, _) = scores(20_000, 4);
    // Beside these all others would be nothing.
    raw[5..7].fill(0.0);
    let draw = Draw { seed: 7, subsample: 1.0 };
    let value = |row: usize| if row < 12_345 { 0.3 } else { -1e-3 };
    let expected: Vec<f32> = raw.iter().enumerate().map(|(row, raw)| raw + value(row)).collect();
    let loss = RowLoss::SquaredError;
    on_device.take_scores(&RowScores { loss, raw: &raw, labels: &labels, weights: None }, 0..20_000).unwrap();
    start(&mut on_device, draw);
    on_device.add_to_scores(&[(0..12_345, 0, 0.3), (12_345..20_000, 0, -1e-3)]).unwrap();
    let next = RowScores { loss, raw: &expected, labels: &labels, weights: None };
    let (expected, units) = records(&next, draw).unwrap();
    assert_eq!(start(&mut on_device, draw), Some(units));
    assert_eq!(on_device.records(0..20_000, 0).unwrap(), expected);
}

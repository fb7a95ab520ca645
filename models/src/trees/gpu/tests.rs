#![allow(clippy::unwrap_used)]

use cubecl::cuda::CudaRuntime;
use cubecl::prelude::Runtime;
use cubecl::wgpu::WgpuRuntime;
use cupola_datasets::FeatureBatch;
use proptest::prelude::*;

use super::super::learner::gpu::GpuError;
use super::super::learner::gpu::testing::client_or_skip;
use super::super::{CpuForest, Forest, Node, NodeRule};
use super::testing::{Form, leaf, random_forest, random_rows, shape};
use super::{DeviceForest, GpuForest, columns, packed, reference};
use crate::device::Device;
use crate::predict::Predictor;

/// Compares bits of all forms, since `==` takes -0 for 0.
#[track_caller]
fn agrees(test: &str, forest: &Forest, batch: &FeatureBatch) {
    let bits = |raw: &[f32]| raw.iter().map(|score| score.to_bits()).collect::<Vec<u32>>();
    let codes = |row: usize| &batch.categorical[row * batch.n_categorical..][..batch.n_categorical];
    let numbers = |row: usize| &batch.numeric[row * batch.n_numeric..][..batch.n_numeric];
    let plain: Vec<f32> = (0..batch.n_rows).flat_map(|row| forest.raw(numbers(row), codes(row))).collect();
    let plain = bits(&plain);
    let on_cpu = CpuForest::new(forest).unwrap().raw(batch).unwrap();
    assert_eq!(bits(&on_cpu), plain, "the CPU's form");
    let packed = packed::Packed::new(forest).unwrap();
    let features = columns::columns(batch, 0..batch.n_rows);
    assert_eq!(bits(&reference::scores(&packed, &features, batch.n_rows)), plain, "the kernel's reference");
    let Some(client) = client_or_skip(test) else { return };
    let raw = GpuForest::new(client, forest).unwrap().raw(batch).unwrap();
    assert_eq!(raw.len(), batch.n_rows * forest.shape.n_outputs);
    assert!(bits(&raw) == plain, "row {:?}", bits(&raw).iter().zip(&plain).position(|(a, b)| a != b));
}

#[test]
fn all_forms_agree_around_the_size_of_a_workgroup() {
    let forest =
        random_forest(&Form { n_numeric: 5, cardinalities: vec![3, 70], n_trees: 30, ..Form::new(1) });
    for n_rows in [0, 1, 63, 64, 65, 127, 129, 1_023, 1_025, 10_000] {
        let batch = random_rows(&forest, n_rows, n_rows as u64);
        agrees("all_forms_agree_around_the_size_of_a_workgroup", &forest, &batch);
    }
}

#[test]
fn small_batches_stay_on_the_cpu_with_the_same_scores() {
    let forest = random_forest(&Form { n_numeric: 4, cardinalities: vec![9], n_trees: 20, ..Form::new(8) });
    // Where there is no driver, all of them are on the CPU.
    let on_device = DeviceForest::new(&forest, Device::Vulkan(0)).unwrap();
    let on_cpu = CpuForest::new(&forest).unwrap();
    for n_rows in [1, 4_095, 4_096, 20_000] {
        let batch = random_rows(&forest, n_rows, 6);
        assert_eq!(on_device.predict(&batch).unwrap(), on_cpu.predict(&batch).unwrap());
    }
}

#[test]
fn trees_add_to_the_outputs_in_turn() {
    for (n_outputs, n_trees) in [(2, 9), (3, 21), (7, 20), (5, 3), (4, 0)] {
        let forest = random_forest(&Form { n_outputs, n_trees, ..Form::new(2) });
        agrees("trees_add_to_the_outputs_in_turn", &forest, &random_rows(&forest, 1_000, 3));
    }
}

#[test]
fn rows_end_in_leaves_of_any_depth() {
    for depth_max in [0, 1, 2, 300] {
        let form = Form { n_trees: 12, depth_max, is_lopsided: true, ..Form::new(4) };
        let mut forest = random_forest(&form);
        let deepest = packed::Packed::new(&forest).unwrap().trees.chunks(2).map(|tree| tree[1]).max();
        assert_eq!(deepest, Some(depth_max));
        agrees("rows_end_in_leaves_of_any_depth", &forest, &random_rows(&forest, 500, 5));
        forest = chain(depth_max);
        let steps: Vec<f32> = (0..=depth_max).map(|step| step as f32).collect();
        assert_eq!(forest.raw(&steps[steps.len() - 1..], &[]), steps[steps.len() - 1..]);
        agrees("rows_end_in_leaves_of_any_depth", &forest, &numeric(1, steps));
    }
}

/// A tree that the number `i` leaves after step `i`, with the score `i`.
fn chain(n_inner: u32) -> Forest {
    let mut forest = Forest::new(shape(1, &[], 1), vec![0.0]);
    forest.roots.push(0);
    for i in 0..n_inner {
        let (threshold, left) = (i as f32 + 0.5, 2 * i + 1);
        let rule = NodeRule::Below { feature: 0, threshold, missing_left: true, left };
        forest.nodes.extend([Node { rule: Some(rule), ..leaf(0.0) }, leaf(i as f32)]);
    }
    forest.nodes.push(leaf(n_inner as f32));
    forest
}

/// One output and one tree for each threshold and direction of missing numbers.
#[test]
fn numbers_at_the_ends_of_the_scale_and_around_zero_go_where_a_comparison_sends_them() {
    let tiny = f32::from_bits(1);
    let mut numbers =
        vec![f32::INFINITY, f32::MAX, 1.0_f32.next_up(), 1.0, f32::MIN_POSITIVE, tiny * 2.0, tiny, 0.0];
    numbers.extend(numbers.clone().iter().map(|number| -number));
    let directions = [true, false];
    let thresholds = numbers.iter().flat_map(|&threshold| directions.map(|left| (threshold, left)));
    let thresholds: Vec<(f32, bool)> = thresholds.collect();
    let mut forest = Forest::new(shape(1, &[], thresholds.len()), vec![0.0; thresholds.len()]);
    for &(threshold, missing_left) in &thresholds {
        let root = forest.nodes.len() as u32;
        forest.roots.push(root);
        let rule = NodeRule::Below { feature: 0, threshold, missing_left, left: root + 1 };
        forest.nodes.extend([Node { rule: Some(rule), ..leaf(0.0) }, leaf(1.0), leaf(2.0)]);
    }
    numbers.extend([f32::NAN, -f32::NAN, f32::from_bits(0x7F80_0001), f32::from_bits(0xFFFF_FFFF)]);
    let expected: Vec<f32> = numbers
        .iter()
        .flat_map(|number| {
            thresholds.iter().map(move |(threshold, missing_left)| {
                let is_left = if number.is_nan() { *missing_left } else { number < threshold };
                if is_left { 1.0 } else { 2.0 }
            })
        })
        .collect();
    let batch = numeric(1, numbers);
    let packed = packed::Packed::new(&forest).unwrap();
    let features = columns::columns(&batch, 0..batch.n_rows);
    assert_eq!(reference::scores(&packed, &features, batch.n_rows), expected);
    let Some(client) = client_or_skip("numbers_at_the_ends_of_the_scale") else { return };
    assert_eq!(GpuForest::new(client, &forest).unwrap().raw(&batch).unwrap(), expected);
}

#[test]
fn a_hand_made_forest_scores_as_by_hand() {
    let mut forest = Forest::new(shape(1, &[40], 1), vec![10.0]);
    let below = NodeRule::Below { feature: 0, threshold: 3.0, missing_left: false, left: 1 };
    let codes = NodeRule::In { feature: 1, words: 0, left: 4 };
    forest.roots = vec![0, 3];
    forest.nodes = vec![leaf(0.0), leaf(-1.0), leaf(2.5), leaf(0.0), leaf(0.25), leaf(0.5)];
    (forest.nodes[0].rule, forest.nodes[3].rule) = (Some(below), Some(codes));
    forest.words = vec![0b101, 0b10];
    let mut batch = numeric(1, vec![2.9, 3.0, f32::NAN, -7.0, 8.0]);
    (batch.n_categorical, batch.categorical) = (1, vec![0, 1, 2, 33, 39]);
    let Some(client) = client_or_skip("a_hand_made_forest_scores_as_by_hand") else { return };
    let raw = GpuForest::new(client, &forest).unwrap().raw(&batch).unwrap();
    assert_eq!(raw, [9.25, 13.0, 12.75, 9.25, 13.0]);
}

#[test]
fn margins_are_added_before_the_trees_and_missing_ones_are_none() {
    let form = Form { n_outputs: 3, margin: Some(2), ..Form::new(6) };
    let mut forest = random_forest(&form);
    forest.base[1] = -0.0;
    let mut batch = random_rows(&forest, 300, 7);
    for (row, margin) in [f32::NAN, 0.0, -0.0, 1e9, -1e9, 1.5, f32::MAX].into_iter().enumerate() {
        batch.numeric[row * batch.n_numeric + 2] = margin;
    }
    agrees("margins_are_added_before_the_trees", &forest, &batch);
    forest.truncate(0);
    agrees("margins_are_added_before_the_trees", &forest, &batch);
    forest.shape.base_margin = None;
    agrees("margins_are_added_before_the_trees", &forest, &batch);
}

/// 72 MB of features, then of scores, where a piece has at most 64 MiB.
#[test]
fn large_batches_are_scored_in_pieces() {
    for (n_numeric, n_outputs, n_rows) in [(8_192, 1, 2_200), (2, 32_768, 550)] {
        let forest = random_forest(&Form { n_numeric, n_outputs, n_trees: 20, ..Form::new(8) });
        agrees("large_batches_are_scored_in_pieces", &forest, &random_rows(&forest, n_rows, 9));
    }
}

#[test]
fn what_does_not_fit_is_an_error() {
    let Some(client) = client_or_skip("what_does_not_fit_is_an_error") else { return };
    let forest = random_forest(&Form::new(10));
    let is_input = |error| matches!(error, Err(GpuError::Input { .. }));
    let on_gpu = GpuForest::new(client.clone(), &forest).unwrap();
    let sound = random_rows(&forest, 10, 11);
    assert!(on_gpu.raw(&sound).is_ok());
    let damaged = |change: &dyn Fn(&mut FeatureBatch)| {
        let mut batch = sound.clone();
        change(&mut batch);
        assert!(is_input(on_gpu.raw(&batch).map(drop)));
    };
    damaged(&|batch| batch.n_numeric -= 1);
    damaged(&|batch| batch.n_categorical += 1);
    damaged(&|batch| batch.n_rows += 1);
    damaged(&|batch| batch.numeric.truncate(5));
    damaged(&|batch| batch.categorical[3] = 70);

    let refused = |forest: &Forest| is_input(GpuForest::new(client.clone(), forest).map(drop));
    assert!(!refused(&forest));
    assert!(refused(&Forest { base: vec![], ..forest.clone() }));
    assert!(refused(&Forest { nodes: forest.nodes[1..].to_vec(), ..forest.clone() }));
    assert!(refused(&Forest::new(shape(0, &[], 1), vec![0.0])));
    assert!(refused(&Forest::new(shape(16_384, &[], 1), vec![0.0])));
    assert!(!refused(&Forest::new(shape(16_383, &[], 1), vec![0.0])));
    assert!(refused(&Forest::new(shape(1, &[], 65_536), vec![0.0; 65_536])));
    assert!(!refused(&chain(32_767)));
    assert!(refused(&chain(32_768)));
}

#[test]
fn forests_can_be_shared_by_threads() {
    fn check<R: Runtime>()
    where
        GpuForest<R>: Send + Sync,
    {
    }
    check::<CudaRuntime>();
    check::<WgpuRuntime>();
    let Some(client) = client_or_skip("forests_can_be_shared_by_threads") else { return };
    let forest = random_forest(&Form::new(12));
    let on_gpu = GpuForest::new(client, &forest).unwrap();
    let on_cpu = CpuForest::new(&forest).unwrap();
    std::thread::scope(|scope| {
        for seed in 0..4 {
            let (forest, on_gpu, on_cpu) = (&forest, &on_gpu, &on_cpu);
            scope.spawn(move || {
                let batch = random_rows(forest, 200 + seed as usize, seed);
                assert_eq!(on_gpu.raw(&batch).unwrap(), on_cpu.raw(&batch).unwrap());
            });
        }
    });
}

fn numeric(n_numeric: usize, numeric: Vec<f32>) -> FeatureBatch {
    let n_rows = numeric.len() / n_numeric;
    FeatureBatch { n_rows, n_numeric, n_categorical: 0, numeric, categorical: Vec::new() }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn all_forms_agree(
        seed: u64,
        n_rows in 0_usize..3_000,
        n_numeric in 1_usize..20,
        cardinalities in prop::collection::vec(1_usize..200, 0..5),
        n_outputs in 1_usize..6,
        n_trees in 0_usize..40,
        depth_max in 0_u32..12,
        is_lopsided: bool,
        has_margin: bool,
    ) {
        let margin = has_margin.then_some(n_numeric - 1);
        let form =
            Form { seed, n_numeric, cardinalities, n_outputs, n_trees, depth_max, is_lopsided, margin };
        let forest = random_forest(&form);
        agrees("all_forms_agree", &forest, &random_rows(&forest, n_rows, seed));
    }
}

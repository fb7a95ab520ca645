#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::ops::Range;

use burn::{Dispatch, DispatchDevice};
use cupola_datasets::FeatureBatch;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::*;
use crate::device::Device;
use crate::device::tests::vulkan_or_skip;
use crate::predict::{Predictor, Task};

/// A shape for tests.
pub(crate) fn shape(
    n_numeric: usize,
    cardinalities: &[usize],
    hidden: &[usize],
    layer_norm: bool,
    n_outputs: usize,
) -> MlpShape {
    let config = MlpConfig { hidden: hidden.to_vec(), layer_norm, residual: true, ..MlpConfig::default() };
    MlpShape { n_numeric, cardinalities: cardinalities.to_vec(), config, n_outputs }
}

/// Rows for a shape, by seed.
pub(crate) fn batch(shape: &MlpShape, n_rows: usize, seed: u64) -> FeatureBatch {
    let mut rng = StdRng::seed_from_u64(seed);
    let n_categorical = shape.cardinalities.len();
    FeatureBatch {
        n_rows,
        n_numeric: shape.n_numeric,
        n_categorical,
        numeric: (0..n_rows * shape.n_numeric).map(|_| rng.random_range(-3.0..3.0)).collect(),
        categorical: (0..n_rows * n_categorical)
            .map(|i| rng.random_range(0..shape.cardinalities[i % n_categorical] as u32))
            .collect(),
    }
}

/// Some of a batch's rows.
pub(crate) fn slice(batch: &FeatureBatch, rows: Range<usize>) -> FeatureBatch {
    FeatureBatch {
        n_rows: rows.len(),
        n_numeric: batch.n_numeric,
        n_categorical: batch.n_categorical,
        numeric: batch.numeric[rows.start * batch.n_numeric..rows.end * batch.n_numeric].to_vec(),
        categorical: batch.categorical[rows.start * batch.n_categorical..rows.end * batch.n_categorical]
            .to_vec(),
    }
}

/// Largest difference, relative above 1 and absolute below.
pub(crate) fn difference(left: &[f32], right: &[f32]) -> f32 {
    assert_eq!(left.len(), right.len());
    let one = |(a, b): (&f32, &f32)| (a - b).abs() / a.abs().max(1.0);
    left.iter().zip(right).map(one).fold(0.0, f32::max)
}

fn binary() -> Task {
    Task::Binary { classes: ["no".into(), "yes".into()] }
}

#[test]
fn embedding_widths_follow_the_rule() {
    let shape = shape(1, &[2, 10, 100, 100_000], &[8], false, 1);
    // 1.6 k^0.56: 2.36, 5.81, 21.1, 1009.
    assert_eq!([0, 1, 2, 3].map(|j| shape.embedding_width(j)), [3, 6, 22, 32]);
    assert_eq!(shape.input_width(), 1 + 3 + 6 + 22 + 32);
}

#[test]
fn shapes_that_cannot_be_built_are_named() {
    let valid = shape(1, &[], &[4], false, 1);
    assert_eq!(valid.check(), Ok(()));
    assert_eq!(MlpShape { n_numeric: 0, ..valid.clone() }.check(), Err(ShapeError::NoFeatures));
    assert_eq!(MlpShape { n_outputs: 0, ..valid.clone() }.check(), Err(ShapeError::NoOutputs));
    let thin = shape(1, &[], &[4, 0], false, 1);
    assert_eq!(thin.check(), Err(ShapeError::Empty { what: "hidden[1]".into() }));
    let mut dropped = valid;
    dropped.config.dropout = Some(1.0);
    assert_eq!(dropped.check(), Err(ShapeError::Dropout { found: "1".into() }));
}

#[test]
fn initial_weights_depend_on_the_seed_and_spare_reserved_codes() {
    let shape = shape(3, &[7], &[16, 16], true, 2);
    let weights = MlpWeights::init(&shape, 5);
    assert_eq!(weights, MlpWeights::init(&shape, 5));
    assert_ne!(weights, MlpWeights::init(&shape, 6));
    let embedding = weights.get("embedding.0.weight").unwrap();
    let width = embedding.shape[1];
    assert!(embedding.values[..2 * width].iter().all(|&value| value == 0.0));
    assert!(embedding.values[2 * width..].iter().all(|&value| value != 0.0));
    let bound = 1.0 / (16f32).sqrt();
    let hidden = weights.get("hidden.1.weight").unwrap();
    let top = hidden.values.iter().fold(0f32, |top, value| top.max(value.abs()));
    assert!(top <= bound && top > 0.9 * bound, "{top}");
}

#[test]
fn weights_survive_the_way_through_a_file_and_a_network() {
    let shape = shape(5, &[3, 9], &[12, 8], true, 2);
    let mut weights = MlpWeights::init(&shape, 1);
    let device = Device::Cpu.burn();
    let network = Mlp::<Dispatch>::from_weights(&shape, &weights, &device).unwrap();
    assert_eq!(network.to_weights().unwrap(), weights);
    weights.set_output_scale(OutputScale { mean: 1.5, sd: 0.1 });
    let bytes = weights.to_safetensors().unwrap();
    assert_eq!(MlpWeights::from_safetensors(&bytes).unwrap(), weights);
    assert_eq!(weights.to_safetensors().unwrap(), bytes);
}

#[test]
fn weights_of_another_network_are_refused() {
    let weights = MlpWeights::init(&shape(5, &[], &[12], false, 2), 1);
    let other = |shape: MlpShape| weights.check(&shape).unwrap_err();
    assert_eq!(
        other(shape(6, &[], &[12], false, 2)),
        WeightsError::Shape { name: "hidden.0.weight".into(), expected: vec![12, 6], found: vec![12, 5] }
    );
    let missing = other(shape(5, &[], &[12], true, 2));
    assert_eq!(missing, WeightsError::Missing { name: "hidden.0.norm.bias".into() });
    let unexpected = other(shape(5, &[], &[], false, 2));
    assert!(
        matches!(unexpected, WeightsError::Shape { .. } | WeightsError::Unexpected { .. }),
        "{unexpected}"
    );
    let mut broken = weights.clone();
    broken.insert("output.bias", WeightTensor { shape: vec![2], values: vec![0.0, f32::NAN] });
    let error = broken.check(&shape(5, &[], &[12], false, 2)).unwrap_err();
    assert_eq!(error, WeightsError::NotFinite { name: "output.bias".into() });
    assert!(matches!(MlpWeights::from_safetensors(b"no such file"), Err(WeightsError::Format { .. })));
}

#[test]
fn the_network_on_burns_cpu_device_agrees_with_our_kernel() {
    for (n_numeric, cardinalities, layer_norm) in
        [(7, vec![4, 50], false), (7, vec![], true), (0, vec![6], true), (0, vec![6, 3], false)]
    {
        let shape = shape(n_numeric, &cardinalities, &[40, 40, 17], layer_norm, 1);
        let weights = MlpWeights::init(&shape, 11);
        let rows = batch(&shape, 75, 2);
        let exact = CpuMlp::new(&shape, &weights, &binary()).unwrap().predict(&rows).unwrap();
        let device =
            DeviceMlp::load(&shape, &weights, &binary(), Device::Cpu).unwrap().predict(&rows).unwrap();
        let worst = difference(&exact.values, &device.values);
        assert!(worst < 1e-5, "{worst}");
    }
}

#[test]
fn dropout_acts_in_training_only() {
    let mut shape = shape(6, &[], &[64], false, 1);
    shape.config.dropout = Some(0.1);
    let rows = batch(&shape, 4, 0);
    let run = |device: DispatchDevice| {
        let network = Mlp::<Dispatch>::init(&shape, &device).unwrap();
        let (numeric, categorical) = input_tensors(&rows, &device);
        network.forward(numeric, categorical).into_data().to_vec::<f32>().unwrap()
    };
    let exact = run(Device::Cpu.burn());
    assert_eq!(exact, run(Device::Cpu.burn()));
    assert_ne!(exact, run(DispatchDevice::autodiff(Device::Cpu.burn())));
}

#[test]
fn the_network_on_vulkan_agrees_with_our_kernel() {
    let Some(device) = vulkan_or_skip("the_network_on_vulkan_agrees_with_our_kernel") else { return };
    let shape = shape(7, &[4, 50], &[24, 24], true, 1);
    let weights = MlpWeights::init(&shape, 11);
    let rows = batch(&shape, 300, 2);
    let exact = CpuMlp::new(&shape, &weights, &binary()).unwrap().predict(&rows).unwrap();
    let gpu = DeviceMlp::load(&shape, &weights, &binary(), device).unwrap();
    let worst = difference(&exact.values, &gpu.predict(&rows).unwrap().values);
    assert!(worst < 1e-4, "{worst}");
    let alone = gpu.predict(&slice(&rows, 299..300)).unwrap();
    assert!(difference(exact.row(299), &alone.values) < 1e-4, "padding changes nothing");
}

#[test]
fn batches_beyond_the_largest_size_are_split() {
    let shape = shape(3, &[4], &[8], false, 2);
    let task = Task::Multiclass { classes: vec!["a".into(), "b".into()] };
    let weights = MlpWeights::init(&shape, 4);
    let rows = batch(&shape, 2 * 2048 + 33, 5);
    let exact = CpuMlp::new(&shape, &weights, &task).unwrap().predict(&rows).unwrap();
    let device = DeviceMlp::load(&shape, &weights, &task, Device::Cpu).unwrap();
    assert!(difference(&exact.values, &device.predict(&rows).unwrap().values) < 1e-5);
    assert_eq!(device.predict(&slice(&rows, 0..0)).unwrap().values.len(), 0);
}

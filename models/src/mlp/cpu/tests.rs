use cupola_datasets::FeatureBatch;
use proptest::prelude::*;

use super::CpuMlp;
use super::tile::InstructionSet;
use crate::mlp::tests::{batch, shape, slice};
use crate::mlp::{MlpConfig, MlpShape, MlpWeights, OutputScale, WeightTensor};
use crate::predict::{PredictError, Predictor, Task};

fn tensor(shape: &[usize], values: &[f32]) -> WeightTensor {
    WeightTensor { shape: shape.to_vec(), values: values.to_vec() }
}

/// Two numbers and a category into two hidden units with a residual, then one output.
fn small() -> (MlpShape, MlpWeights) {
    let config = MlpConfig {
        hidden: vec![3],
        dropout: None,
        layer_norm: false,
        residual: true,
        embedding_width_max: 1,
    };
    let shape = MlpShape { n_numeric: 2, cardinalities: vec![3], config, n_outputs: 1 };
    let mut weights = MlpWeights::default();
    weights.insert("embedding.0.weight", tensor(&[3, 1], &[0.0, 0.5, -2.0]));
    weights.insert("hidden.0.weight", tensor(&[3, 3], &[1.0, 2.0, 3.0, -1.0, 0.0, 1.0, 0.0, 1.0, -1.0]));
    weights.insert("hidden.0.bias", tensor(&[3], &[0.5, -0.5, 1.0]));
    weights.insert("output.weight", tensor(&[1, 3], &[1.0, -2.0, 0.25]));
    weights.insert("output.bias", tensor(&[1], &[0.125]));
    (shape, weights)
}

#[test]
fn scores_match_a_hand_calculation() {
    let (shape, mut weights) = small();
    weights.set_output_scale(OutputScale { mean: 100.0, sd: 2.0 });
    let cpu = CpuMlp::new(&shape, &weights, &Task::Regression).unwrap();
    let batch = FeatureBatch {
        n_rows: 2,
        n_numeric: 2,
        n_categorical: 1,
        numeric: vec![1.0, 2.0, -1.0, 0.5],
        categorical: vec![1, 2],
    };
    // Row 0: x = (1, 2, .5); hidden = relu(7, -1, 2.5) + x = (8, 2, 3); raw = 8 - 4 + .75 + .125.
    // Row 1: x = (-1, .5, -2); hidden = relu(-5.5, -1.5, 3.5) + x = (-1, .5, 1.5); raw = -1.5.
    assert_eq!(cpu.predict(&batch).unwrap().values, [109.75, 97.0]);
}

#[test]
fn layer_normalisation_matches_a_hand_calculation() {
    let (mut shape, mut weights) = small();
    shape.config.layer_norm = true;
    shape.config.residual = false;
    weights.insert("hidden.0.norm.weight", tensor(&[3], &[1.0, 1.0, 2.0]));
    weights.insert("hidden.0.norm.bias", tensor(&[3], &[0.0, 1.0, 0.0]));
    let cpu = CpuMlp::new(&shape, &weights, &Task::Regression).unwrap();
    let batch = FeatureBatch {
        n_rows: 1,
        n_numeric: 2,
        n_categorical: 1,
        numeric: vec![1.0, 2.0],
        categorical: vec![1],
    };
    // (7, -1, 2.5): mean 17/6, variance 32.1666/3; normalised (1.27243, -1.17064, -0.10179).
    // After weight and bias relu gives (1.27243, 0, 0): raw = 1.27243 + 0.125.
    let score = cpu.predict(&batch).unwrap().values[0];
    assert!((score - 1.397_43).abs() < 1e-4, "{score}");
}

#[test]
fn every_instruction_set_gives_the_same_bits() {
    for layer_norm in [false, true] {
        let shape = shape(13, &[5, 40], &[70, 70, 33], layer_norm, 3);
        let weights = MlpWeights::init(&shape, 7);
        let task = Task::Multiclass { classes: vec!["a".into(), "b".into(), "c".into()] };
        let batch = batch(&shape, 37, 1);
        let scores: Vec<_> = InstructionSet::available()
            .into_iter()
            .map(|set| {
                CpuMlp::with_instructions(&shape, &weights, &task, set).unwrap().predict(&batch).unwrap()
            })
            .collect();
        for other in &scores[1..] {
            assert_eq!(scores[0], *other);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn a_rows_score_is_the_same_bits_in_any_batch(n_rows in 1usize..=65, seed in 0u64..1000, layer_norm: bool) {
        let shape = shape(9, &[4], &[40, 40], layer_norm, 2);
        let task = Task::Multiclass { classes: vec!["a".into(), "b".into()] };
        let weights = MlpWeights::init(&shape, seed);
        let rows = batch(&shape, n_rows, seed);
        for set in InstructionSet::available() {
            let cpu = CpuMlp::with_instructions(&shape, &weights, &task, set).unwrap();
            let together = cpu.predict(&rows).unwrap();
            for i in 0..n_rows {
                let alone = cpu.predict(&slice(&rows, i..i + 1)).unwrap();
                prop_assert_eq!(&alone.values, together.row(i), "row {} of {} on {:?}", i, n_rows, set);
            }
        }
    }
}

#[test]
fn a_large_batch_on_all_cores_gives_the_same_bits_as_its_rows() {
    let shape = shape(30, &[], &[128, 128], false, 1);
    let task = Task::Binary { classes: ["0".into(), "1".into()] };
    let cpu = CpuMlp::new(&shape, &MlpWeights::init(&shape, 3), &task).unwrap();
    let rows = batch(&shape, 5_000, 3);
    let together = cpu.predict(&rows).unwrap();
    for i in [0, 95, 96, 1_234, 4_999] {
        assert_eq!(cpu.predict(&slice(&rows, i..i + 1)).unwrap().values, together.row(i));
    }
}

#[test]
fn a_batch_of_no_rows_has_no_scores() {
    let (shape, weights) = small();
    let cpu = CpuMlp::new(&shape, &weights, &Task::Poisson).unwrap();
    let scores =
        cpu.predict(&FeatureBatch { n_numeric: 2, n_categorical: 1, ..FeatureBatch::default() }).unwrap();
    assert_eq!((scores.n_outputs, scores.values.len()), (1, 0));
}

#[test]
fn a_batch_that_does_not_fit_is_an_error() {
    let (shape, weights) = small();
    let cpu = CpuMlp::new(&shape, &weights, &Task::Poisson).unwrap();
    let narrow =
        FeatureBatch { n_rows: 1, n_numeric: 1, n_categorical: 1, numeric: vec![1.0], categorical: vec![0] };
    assert!(matches!(cpu.predict(&narrow), Err(PredictError::Shape { expected: 3, found: 2 })));
    let short = FeatureBatch {
        n_rows: 2,
        n_numeric: 2,
        n_categorical: 1,
        numeric: vec![1.0; 2],
        categorical: vec![0; 2],
    };
    assert!(matches!(cpu.predict(&short), Err(PredictError::Shape { .. })));
    let code = FeatureBatch {
        n_rows: 1,
        n_numeric: 2,
        n_categorical: 1,
        numeric: vec![1.0; 2],
        categorical: vec![3],
    };
    let error = cpu.predict(&code).unwrap_err();
    assert!(matches!(error, PredictError::Code { feature: 0, code: 3, cardinality: 3 }), "{error}");
}

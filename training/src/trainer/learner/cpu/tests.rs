#![allow(clippy::unwrap_used)]

use burn::Dispatch;
use burn::module::ParamId;
use burn::optim::GradientsParams;
use cupola_datasets::FeatureBatch;
use cupola_datasets::features::LabelledBatch;
use cupola_models::mlp::{MlpConfig, MlpShape, MlpWeights, WeightTensor};
use cupola_models::{Device, Task};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::CpuLearner;
use crate::trainer::learner::burn::BurnLearner;
use crate::trainer::learner::{Learner, Settings};

const PLAIN: Settings = Settings { weight_decay: 0.0, gradient_norm_max: 0.0, averaging_steps: 0.0, seed: 1 };

fn classes(n: usize) -> Vec<String> {
    (0..n).map(|i| i.to_string()).collect()
}

fn tasks() -> Vec<Task> {
    let [a, b] = ["a", "b"].map(String::from);
    vec![
        Task::Binary { classes: [a, b] },
        Task::Multiclass { classes: classes(3) },
        Task::Regression,
        Task::Poisson,
    ]
}

fn shape(
    task: &Task,
    layer_norm: bool,
    hidden: &[usize],
    n_numeric: usize,
    cardinalities: &[usize],
) -> MlpShape {
    let config = MlpConfig { hidden: hidden.to_vec(), layer_norm, residual: true, ..MlpConfig::default() };
    MlpShape { n_numeric, cardinalities: cardinalities.to_vec(), config, n_outputs: task.n_outputs() }
}

/// Rows for a shape; `weighted` gives them weights of 0 to 2.
fn batch(shape: &MlpShape, task: &Task, n_rows: usize, weighted: bool) -> LabelledBatch {
    let mut rng = StdRng::seed_from_u64(n_rows as u64);
    let k = shape.cardinalities.len();
    let numeric = (0..n_rows * shape.n_numeric).map(|_| rng.random_range(-2.0..2.0)).collect();
    let categorical =
        (0..n_rows * k).map(|i| rng.random_range(0..shape.cardinalities[i % k] as u32)).collect();
    let label = |_| match task {
        Task::Binary { .. } => rng.random_range(0..2) as f32,
        Task::Multiclass { classes } => rng.random_range(0..classes.len()) as f32,
        Task::Regression | Task::Ranking => rng.random_range(-2.0..2.0),
        Task::Poisson => rng.random_range(0..4) as f32,
    };
    let labels = (0..n_rows).map(label).collect();
    let weights = weighted.then(|| (0..n_rows).map(|_| rng.random_range(0.0..2.0)).collect());
    let features =
        FeatureBatch { n_rows, n_numeric: shape.n_numeric, n_categorical: k, numeric, categorical };
    LabelledBatch { features, labels, weights, groups: None }
}

/// Initial weights, with embeddings of the reserved codes that are not zero.
fn start(shape: &MlpShape) -> MlpWeights {
    let mut weights = MlpWeights::init(shape, 3);
    for (name, size) in
        shape.tensors().into_iter().filter(|(name, _)| name.contains("norm") || name.contains("embedding"))
    {
        let n: usize = size.iter().product();
        let values = (0..n).map(|i| 0.5 + 0.01 * (i % 37) as f32).collect();
        weights.insert(name, WeightTensor { shape: size, values });
    }
    weights
}

fn assert_close(found: &MlpWeights, expected: &MlpWeights, tolerance: f32) {
    for (name, expected) in expected.iter() {
        let found = &found.get(name).unwrap().values;
        for (i, (found, expected)) in found.iter().zip(&expected.values).enumerate() {
            let difference = (found - expected).abs() / expected.abs().max(0.01);
            assert!(difference < tolerance, "{name}[{i}]: {found} beside {expected}");
        }
    }
}

/// Burn's gradients in our order and layout. Its parameter ids are the tensors' positions, and its
/// linear layers keep `[in, out]`.
fn burn_gradients(shape: &MlpShape, gradients: &GradientsParams) -> Vec<Vec<f32>> {
    let of = |(i, (name, size)): (usize, (String, Vec<usize>))| {
        let id = ParamId::from(i as u64);
        let data = if size.len() == 1 {
            gradients.get::<Dispatch, 1>(id).unwrap().into_data()
        } else {
            let gradient = gradients.get::<Dispatch, 2>(id).unwrap();
            let embedding = name.starts_with("embedding");
            if embedding { gradient.into_data() } else { gradient.transpose().into_data() }
        };
        data.to_vec::<f32>().unwrap()
    };
    shape.tensors().into_iter().enumerate().map(of).collect()
}

#[test]
fn gradients_are_those_of_burn() {
    for task in tasks() {
        for layer_norm in [false, true] {
            let shape = shape(&task, layer_norm, &[23, 23, 14], 3, &[4, 5]);
            let (rows, weights) = (batch(&shape, &task, 150, true), start(&shape));
            let mut ours = CpuLearner::new(&shape, &task, &weights, PLAIN).unwrap();
            let theirs = BurnLearner::new(&shape, &task, &weights, PLAIN, Device::Cpu).unwrap();
            let (loss, mut rest) = ours.gradient(&rows, 0.0);
            let (expected_loss, gradients) = theirs.gradient(&rows);
            assert!(
                (loss - expected_loss).abs() < 1e-5 * expected_loss.abs(),
                "{loss} beside {expected_loss}"
            );
            for (expected, (name, _)) in burn_gradients(&shape, &gradients).iter().zip(shape.tensors()) {
                let (found, behind) = rest.split_at(expected.len());
                let largest = expected.iter().fold(0f32, |top, value| top.max(value.abs()));
                for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
                    let difference = (found - expected).abs();
                    assert!(difference < 1e-4 * largest, "{task:?} {name}[{i}]: {found} beside {expected}");
                }
                rest = behind;
            }
            assert!(rest.is_empty());
        }
    }
}

#[test]
fn steps_are_those_of_burn() {
    let settings = Settings { weight_decay: 0.1, gradient_norm_max: 0.05, averaging_steps: 4.0, seed: 1 };
    for task in tasks() {
        for (layer_norm, hidden, n_numeric, cardinalities) in [
            (false, vec![40, 40], 7, vec![]),
            (true, vec![32, 32], 5, vec![4, 9]),
            (false, vec![18], 0, vec![6, 3]),
            (false, vec![], 2, vec![4]),
        ] {
            let shape = shape(&task, layer_norm, &hidden, n_numeric, &cardinalities);
            let weights = start(&shape);
            let mut ours = CpuLearner::new(&shape, &task, &weights, settings).unwrap();
            let mut theirs = BurnLearner::new(&shape, &task, &weights, settings, Device::Cpu).unwrap();
            for step in 0..12 {
                let rows = batch(&shape, &task, 100 + step, step % 2 == 0);
                let (a, b) = (ours.step(&rows, 0.01).unwrap(), theirs.step(&rows, 0.01).unwrap());
                assert!((a - b).abs() < 1e-4 * b.abs().max(1.0), "{task:?} step {step}: {a} beside {b}");
            }
            assert_close(&ours.weights().unwrap(), &theirs.weights().unwrap(), 2e-2);
            let rows = batch(&shape, &task, 300, false);
            let (a, b) = (ours.loss(&rows).unwrap(), theirs.loss(&rows).unwrap());
            assert!((a - b).abs() < 1e-4 * b.abs().max(1.0), "{task:?}: {a} beside {b}");
        }
    }
}

#[test]
fn dropout_keeps_the_mean_and_changes_with_every_step() {
    let task = Task::Regression;
    let mut shape = shape(&task, false, &[512], 4, &[]);
    shape.config.dropout = Some(0.25);
    let rows = batch(&shape, &task, 1, false);
    let mut learner = CpuLearner::new(&shape, &task, &MlpWeights::init(&shape, 1), PLAIN).unwrap();
    let exact = learner.loss(&rows).unwrap();
    let mut losses: Vec<f64> = (0..400).map(|_| learner.step(&rows, 0.0).unwrap()).collect();
    // Squared error of (y - x): the square of its mean is at most its mean square.
    let root = |loss: f64| loss.sqrt();
    let mean = losses.iter().map(|loss| root(*loss)).sum::<f64>() / 400.0;
    assert!((mean - root(exact)).abs() < 0.05 * root(exact), "{mean} beside {}", root(exact));
    losses.sort_by(f64::total_cmp);
    losses.dedup();
    assert!(losses.len() > 390);
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let task = Task::Binary { classes: ["a".into(), "b".into()] };
    let mut shape = shape(&task, true, &[256, 256], 40, &[50]);
    shape.config.dropout = Some(0.1);
    let settings = Settings { gradient_norm_max: 0.1, averaging_steps: 5.0, ..PLAIN };
    let run = |n_threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
        pool.install(|| {
            let mut learner = CpuLearner::new(&shape, &task, &start(&shape), settings).unwrap();
            for step in 0..5 {
                learner.step(&batch(&shape, &task, 1_000 + step, false), 0.01).unwrap();
            }
            learner.weights().unwrap()
        })
    };
    let one = run(1);
    assert_eq!(run(2), one);
    assert_eq!(run(3), one);
}

#[test]
fn a_saved_state_goes_on_in_the_same_bits() {
    let task = Task::Poisson;
    let mut shape = shape(&task, false, &[24, 24], 6, &[3]);
    shape.config.dropout = Some(0.2);
    let settings = Settings { averaging_steps: 3.0, ..PLAIN };
    let new = || CpuLearner::new(&shape, &task, &start(&shape), settings).unwrap();
    let rows = batch(&shape, &task, 64, false);
    let (home, mut learner) = (tempfile::tempdir().unwrap(), new());
    for _ in 0..3 {
        learner.step(&rows, 0.01).unwrap();
    }
    learner.save(home.path()).unwrap();
    let mut resumed = new();
    resumed.load(home.path()).unwrap();
    for _ in 0..3 {
        assert_eq!(
            learner.step(&rows, 0.01).unwrap().to_bits(),
            resumed.step(&rows, 0.01).unwrap().to_bits()
        );
    }
    assert_eq!(learner.weights().unwrap(), resumed.weights().unwrap());
    assert!(new().load(&home.path().join("nowhere")).is_none());
}

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use cupola_datasets::FeatureBatch;
use cupola_datasets::features::LabelledBatch;
use cupola_models::mlp::{MlpConfig, MlpShape};
use cupola_models::{Device, Task};

use super::*;
use crate::split::Part;
use crate::tracker::NoTracker;

/// Rows whose label is 1 where the first number is above the second.
fn rows(n_rows: usize, seed: u32) -> LabelledBatch {
    let mut state = seed;
    let mut number = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    let numeric: Vec<f32> = (0..n_rows * 2).map(|_| number()).collect();
    let labels = numeric.chunks(2).map(|row| f32::from(row[0] > row[1])).collect();
    let features = FeatureBatch { n_rows, n_numeric: 2, n_categorical: 0, numeric, categorical: vec![] };
    LabelledBatch { features, labels, ..LabelledBatch::default() }
}

fn table() -> MemoryRows {
    MemoryRows { train: rows(2_000, 1), validation: rows(500, 2), test: rows(0, 3) }
}

fn config(epochs_max: usize) -> TrainConfig {
    TrainConfig {
        epochs_max,
        patience_epochs: 0,
        batch_rows: Some(64),
        learning_rate: 1e-2,
        ..TrainConfig::default()
    }
}

fn try_run(
    table: &dyn TrainingRows,
    config: &TrainConfig,
    dir: Option<&Path>,
) -> Result<Trained, TrainError> {
    let network = MlpConfig { hidden: vec![16, 16], dropout: Some(0.1), ..Default::default() };
    train(TrainInput {
        shape: &MlpShape { n_numeric: 2, cardinalities: vec![], config: network, n_outputs: 1 },
        task: &Task::Binary { classes: ["no".into(), "yes".into()] },
        table,
        config,
        device: Device::Cpu,
        checkpoint_dir: dir,
        tracker: &NoTracker,
        progress: &|_| {},
    })
}

fn run(epochs_max: usize, dir: Option<&Path>) -> Trained {
    try_run(&table(), &config(epochs_max), dir).unwrap()
}

#[test]
fn the_loss_falls_well_below_that_of_guessing() {
    let trained = run(8, None);
    // Guessing the base rate costs ln 2.
    assert!(trained.history.last().unwrap().validation_loss < 0.25, "{:?}", trained.history);
}

#[test]
fn the_same_seed_gives_the_same_bits_and_another_one_others() {
    let with = |seed| try_run(&table(), &TrainConfig { seed, ..config(2) }, None).unwrap().weights;
    assert_eq!(with(7), with(7));
    assert_ne!(with(7), with(8));
}

#[test]
fn a_resumed_training_ends_in_the_same_bits() {
    let home = tempfile::tempdir().unwrap();
    run(2, Some(home.path()));
    let resumed = run(4, Some(home.path()));
    assert_eq!(resumed.history.len(), 4);
    assert_eq!(resumed.weights, run(4, None).weights);
}

/// A table that cannot be read any more after some passes over its validation part.
struct Breaking {
    rows: MemoryRows,
    passes_left: AtomicUsize,
}

impl TrainingRows for Breaking {
    fn n_rows(&self, part: Part) -> Result<usize, TrainError> {
        self.rows.n_rows(part)
    }

    fn batches(&self, part: Part) -> Result<RowBatches<'_>, TrainError> {
        if part == Part::Validation && self.passes_left.fetch_sub(1, Ordering::Relaxed) == 0 {
            return Err(TrainError::Loader { reason: "the disk is gone".into() });
        }
        self.rows.batches(part)
    }
}

#[test]
fn a_training_that_broke_within_an_epoch_goes_on_in_the_same_bits() {
    let home = tempfile::tempdir().unwrap();
    let breaking = Breaking { rows: table(), passes_left: AtomicUsize::new(2) };
    let error = try_run(&breaking, &config(4), Some(home.path())).unwrap_err();
    assert!(matches!(error, TrainError::Loader { .. }), "{error}");
    let resumed = run(4, Some(home.path()));
    assert_eq!(resumed.weights, run(4, None).weights);
}

#[test]
fn a_damaged_checkpoint_is_passed_over() {
    let home = tempfile::tempdir().unwrap();
    run(2, Some(home.path()));
    for file in std::fs::read_dir(home.path().join("epoch-2")).unwrap() {
        let path = file.unwrap().path();
        let half = std::fs::metadata(&path).unwrap().len() / 2;
        std::fs::File::options().write(true).open(path).unwrap().set_len(half).unwrap();
    }
    let resumed = run(3, Some(home.path()));
    assert_eq!(resumed.weights, run(3, None).weights);
}

#[test]
fn training_stops_when_the_validation_loss_does_not_fall() {
    let config = TrainConfig { learning_rate: 0.0, patience_epochs: 3, ..config(50) };
    let trained = try_run(&table(), &config, None).unwrap();
    assert_eq!(trained.history.len(), 4);
    assert!(trained.stopped.contains("patience"), "{}", trained.stopped);
}

#[test]
fn rows_of_one_class_are_refused_with_the_class() {
    let mut table = table();
    table.train.labels.fill(1.0);
    let error = try_run(&table, &config(1), None).unwrap_err();
    assert!(matches!(&error, TrainError::OneClass { n_rows: 2_000, label } if label == "yes"), "{error}");
}

#[test]
fn a_number_that_is_none_is_refused_with_its_place() {
    for bad in [f32::NAN, f32::INFINITY] {
        let mut table = table();
        table.train.features.numeric[2 * 123 + 1] = bad;
        let error = try_run(&table, &config(1), None).unwrap_err();
        assert!(matches!(error, TrainError::NotFinite { row: 123, feature: 1, .. }), "{error}");
    }
}

#[test]
fn a_feature_that_never_changes_does_no_harm() {
    let mut table = table();
    for part in [&mut table.train, &mut table.validation] {
        part.features.numeric.iter_mut().skip(1).step_by(2).for_each(|number| *number = 0.0);
    }
    let trained = try_run(&table, &config(16), None).unwrap();
    // P(first > second) is (1 + first) / 2: the best possible loss is 1/2.
    let loss = trained.history.last().unwrap().validation_loss;
    assert!((loss - 0.5).abs() < 0.06, "{loss}");
}

#[test]
fn an_empty_part_and_a_diverging_training_say_what_to_do() {
    let empty = try_run(&MemoryRows::default(), &config(1), None).unwrap_err();
    assert!(empty.to_string().contains("[split]"), "{empty}");
    let wild = TrainConfig { learning_rate: 1e30, gradient_norm_max: 0.0, ..config(3) };
    let diverged = try_run(&table(), &wild, None).unwrap_err();
    assert!(matches!(diverged, TrainError::Diverged { .. }), "{diverged}");
}

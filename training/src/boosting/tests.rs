#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::cell::RefCell;

use cupola_datasets::FeatureBatch;
use cupola_datasets::features::LabelledBatch;
use cupola_models::trees::learner::Gradients;
use cupola_models::trees::{Forest, GbdtConfig, Objective};
use cupola_models::{Device, Task, device};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::losses::{Judged, mean_loss};
use super::objective::{Loss, LossOfRows};
use super::*;
use crate::metrics::{EvaluateConfig, Predictions, evaluate_at};
use crate::split::Part;
use crate::tracker::NoTracker;
use crate::trainer::{ClassWeights, MemoryRows, Progress, RowBatches, TrainError, TrainingRows};

const NUMERIC: [&str; 3] = ["a", "b", "offset"];
const CODES: [usize; 1] = [6];

/// Rows whose signal, between -2 and 2, depends on two numbers and a code; the third number is small.
fn rows(n_rows: usize, seed: u64, label: impl Fn(f32, &mut StdRng) -> f32) -> LabelledBatch {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut batch = LabelledBatch {
        features: FeatureBatch { n_rows, n_numeric: 3, n_categorical: 1, ..FeatureBatch::default() },
        ..LabelledBatch::default()
    };
    for _ in 0..n_rows {
        let (a, b) = (rng.random_range(-1.0_f32..1.0), rng.random_range(-1.0_f32..1.0));
        let (code, offset) = (rng.random_range(0..6_u32), rng.random_range(-0.1_f32..0.1));
        let missing = rng.random_range(0..20) == 0;
        let signal = if missing { 1.0 } else { (3.0 * a).sin() } + if code % 2 == 0 { b } else { -b };
        batch.features.numeric.extend([if missing { f32::NAN } else { a }, b, offset]);
        batch.features.categorical.push(code);
        batch.labels.push(label(signal, &mut rng));
    }
    batch
}

fn table(n_rows: usize, label: impl Fn(f32, &mut StdRng) -> f32 + Copy) -> MemoryRows {
    MemoryRows {
        train: rows(n_rows, 1, label),
        validation: rows(n_rows / 4, 2, label),
        test: LabelledBatch::default(),
    }
}

fn coin(signal: f32, rng: &mut StdRng) -> f32 {
    f32::from(u8::from(rng.random::<f32>() < 1.0 / (1.0 + (-2.0 * signal).exp())))
}

fn binary() -> Task {
    Task::Binary { classes: ["0".into(), "1".into()] }
}

struct Case<'a> {
    config: GbdtConfig,
    task: Task,
    table: &'a MemoryRows,
    dir: Option<&'a std::path::Path>,
    continued: Option<&'a Forest>,
    device: Device,
    cardinalities: &'a [usize],
}

impl<'a> Case<'a> {
    fn new(config: GbdtConfig, task: Task, table: &'a MemoryRows) -> Self {
        Self { config, task, table, dir: None, continued: None, device: Device::Cpu, cardinalities: &CODES }
    }

    fn with(self, cardinalities: &'a [usize]) -> Self {
        Self { cardinalities, ..self }
    }

    fn run(&self) -> Result<Boosted, TrainError> {
        self.watched(&|_| {})
    }

    fn watched(&self, progress: &dyn Fn(Progress)) -> Result<Boosted, TrainError> {
        self.of(self.table, progress)
    }

    fn of(&self, table: &dyn TrainingRows, progress: &dyn Fn(Progress)) -> Result<Boosted, TrainError> {
        boost(&BoostInput {
            config: &self.config,
            task: &self.task,
            features: Features { numeric: &NUMERIC, categorical: &["c"], cardinalities: self.cardinalities },
            table,
            device: self.device,
            class_weights: ClassWeights::None,
            seed: 3,
            evaluate: &EvaluateConfig::default(),
            continued: self.continued,
            checkpoint_dir: self.dir,
            tracker: &NoTracker,
            progress,
        })
    }
}

fn config(n_estimators: usize) -> GbdtConfig {
    GbdtConfig { n_estimators, max_depth: 4, learning_rate: 0.2, ..GbdtConfig::default() }
}

#[test]
fn gradients_and_hessians_are_the_derivatives_of_the_loss() {
    let (power, alpha) = (GbdtConfig::default().tweedie_variance_power, 0.3);
    assert_eq!(power, 1.5);
    let settings = GbdtConfig { quantile_alpha: alpha, huber_slope: 0.7, ..GbdtConfig::default() };
    for objective in [
        Objective::Logistic,
        Objective::SquaredError,
        Objective::AbsoluteError,
        Objective::Huber,
        Objective::Quantile,
        Objective::Poisson,
        Objective::Gamma,
        Objective::Tweedie,
    ] {
        let loss = Loss::new(objective, &settings);
        for (raw, label) in [(0.3_f32, 1.0_f32), (-1.2, 1.0), (1.7, 1.0), (-0.4, 1.0)] {
            let at = |raw: f64| {
                let raw = [vec![raw as f32]];
                mean_loss(loss, Judged { raw: &raw, labels: &[label], weights: None, lists: None }, 1)
            };
            let step = 1e-2;
            let x = f64::from(raw);
            let slope = (at(x + step) - at(x - step)) / (2.0 * step);
            let curve = (at(x + step) - 2.0 * at(x) + at(x - step)) / (step * step);
            let (mut g, mut h) = ([0.0], [0.0]);
            let rows = LossOfRows { loss, class: 0.0, raw: &[raw], labels: &[label], weights: Some(&[2.0]) };
            rows.block(0, &mut g, &mut h);
            // Half of squared error has the gradient raw - label; XGBoost's convention.
            let factor = if objective == Objective::SquaredError { 1.0 } else { 2.0 };
            assert!(
                (f64::from(g[0]) - factor * slope).abs() < 2e-3,
                "{objective:?} at {raw}: {} {slope}",
                g[0]
            );
            let is_flat = matches!(objective, Objective::AbsoluteError | Objective::Quantile);
            let expected = if is_flat { 2.0 } else { factor * curve };
            assert!((f64::from(h[0]) - expected).abs() < 5e-2, "{objective:?} at {raw}: {} {curve}", h[0]);
        }
    }
}

#[test]
fn every_objective_learns() {
    type Label = fn(f32, &mut StdRng) -> f32;
    let noisy: Label = |signal, rng| signal + rng.random_range(-0.3..0.3);
    let count: Label = |signal, rng| {
        let limit = (-signal.exp()).exp();
        let (mut n, mut product) = (0.0, rng.random::<f32>());
        while product > limit {
            product *= rng.random::<f32>();
            n += 1.0;
        }
        n
    };
    let positive: Label = |signal, rng| signal.exp() * rng.random_range(0.5..1.5);
    let classes: Label = |signal, _| {
        if signal < -0.5 {
            0.0
        } else if signal < 0.5 {
            1.0
        } else {
            2.0
        }
    };
    let three = Task::Multiclass { classes: ["x", "y", "z"].map(String::from).into() };
    let cases: [(Objective, Task, Label, f64); 9] = [
        (Objective::Logistic, binary(), coin, 0.8),
        (Objective::Softmax, three, classes, 0.2),
        (Objective::SquaredError, Task::Regression, noisy, 0.15),
        (Objective::AbsoluteError, Task::Regression, noisy, 0.35),
        (Objective::Huber, Task::Regression, noisy, 0.25),
        (Objective::Quantile, Task::Regression, noisy, 0.35),
        (Objective::Poisson, Task::Poisson, count, 0.75),
        (Objective::Gamma, Task::Regression, positive, 0.8),
        (Objective::Tweedie, Task::Poisson, count, 0.97),
    ];
    for (objective, task, label, share) in cases {
        let table = table(4_000, label);
        let settings = GbdtConfig { objective: Some(objective), ..config(60) };
        let boosted = Case::new(settings.clone(), task, &table).run().unwrap();
        // The loss that is left, of what the best constant leaves.
        let loss = Loss::new(objective, &settings);
        let raw_of = |forest: &Forest| -> Vec<Vec<f32>> {
            let rows = &table.validation.features;
            let by_row = (0..rows.n_rows)
                .map(|i| forest.raw(&rows.numeric[3 * i..3 * i + 3], &rows.categorical[i..=i]));
            let by_row: Vec<Vec<f32>> = by_row.collect();
            (0..forest.shape.n_outputs).map(|k| by_row.iter().map(|row| row[k]).collect()).collect()
        };
        let left = |forest: &Forest| {
            mean_loss(
                loss,
                Judged { raw: &raw_of(forest), labels: &table.validation.labels, weights: None, lists: None },
                1,
            )
        };
        let mut constant = boosted.forest.clone();
        constant.truncate(0);
        let (before, after) = (left(&constant), left(&boosted.forest));
        assert!(after < before * share, "{objective:?}: {after} of {before}");
        let best = boosted.history.iter().map(|epoch| epoch.validation_loss).fold(f64::INFINITY, f64::min);
        assert!(
            (after - best).abs() < 1e-9 * before.abs().max(1.0),
            "the best round is kept: {after} {best}"
        );
    }
}

/// Lists of 20 rows, mixed, each with relevances of 0 to 3 by rank of a noisy signal.
fn ranked(n_lists: usize) -> MemoryRows {
    let mut table = table(20 * n_lists, |signal, rng| signal + rng.random_range(-0.5..0.5));
    for part in [&mut table.train, &mut table.validation] {
        let n_lists = part.labels.len() / 20;
        part.groups = Some((0..part.labels.len()).map(|row| (row % n_lists) as u64).collect());
        let signal = part.labels.clone();
        for row in 0..signal.len() {
            let list = (row % n_lists..signal.len()).step_by(n_lists);
            let better = list.filter(|other| signal[*other] > signal[row]).count();
            part.labels[row] = [3.0, 2.0, 2.0, 1.0, 1.0, 1.0].get(better).copied().unwrap_or(0.0);
        }
    }
    table
}

#[test]
fn a_ranking_puts_relevant_rows_first() {
    let table = ranked(200);
    let boosted = Case::new(config(60), Task::Ranking, &table).run().unwrap();
    let ndcg = |forest: &Forest| {
        let rows = &table.validation.features;
        let values = (0..rows.n_rows)
            .map(|i| forest.raw(&rows.numeric[3 * i..3 * i + 3], &rows.categorical[i..=i])[0])
            .collect();
        let scores = cupola_models::Scores { n_outputs: 1, values };
        let (labels, groups) = (&table.validation.labels, table.validation.groups.as_deref());
        let predictions = Predictions { scores: &scores, labels, weights: None, groups };
        evaluate_at(&Task::Ranking, predictions, &EvaluateConfig::default(), None).unwrap().values["ndcg_at_10"]
    };
    let mut constant = boosted.forest.clone();
    constant.truncate(0);
    let (before, after) = (ndcg(&constant), ndcg(&boosted.forest));
    assert!(before < 0.45 && after > 0.85, "{before} {after}");
    assert!(boosted.history.last().unwrap().validation_loss < boosted.history[0].validation_loss);
}

#[test]
fn rankings_without_lists_or_without_differences_are_refused() {
    let run = |change: &dyn Fn(&mut MemoryRows)| {
        let mut table = ranked(20);
        change(&mut table);
        Case::new(config(3), Task::Ranking, &table).run()
    };
    let error = run(&|table| table.train.groups = None).unwrap_err();
    assert!(matches!(error, TrainError::NoGroups), "{error}");
    let error = run(&|table| table.train.groups = Some((0..400).collect())).unwrap_err();
    assert!(matches!(error, TrainError::NothingToRank), "{error}");
    let error = run(&|table| table.train.labels[5] = 1.5).unwrap_err();
    assert!(matches!(error, TrainError::Label { row: 5, .. }), "{error}");
    let table = ranked(20);
    let settings = GbdtConfig { objective: Some(Objective::LambdaRank), ..config(3) };
    let error = Case::new(settings, Task::Regression, &table).run().unwrap_err();
    assert!(matches!(error, TrainError::Objective { objective: "rank:ndcg", .. }), "{error}");
    // Validation rows that tell nothing do not stop the training.
    let boosted = run(&|table| table.validation.labels.fill(0.0)).unwrap();
    assert_eq!(boosted.forest.n_trees(), 3);
}

#[test]
fn one_row_and_the_most_categories_make_a_model_and_more_are_refused() {
    let one = Case::new(config(3), Task::Regression, &table(1, |signal, _| signal)).run();
    assert_eq!(one.unwrap().forest.n_trees(), 3);
    let mut many = table(70_000, |signal, _| signal);
    for (i, code) in many.train.features.categorical.iter_mut().enumerate() {
        *code = i as u32 % 65_536;
    }
    let of = |cardinality: usize, table: &MemoryRows| {
        let case = Case::new(config(2), Task::Regression, table);
        case.with(&[cardinality]).run()
    };
    let forest = of(65_536, &many).unwrap().forest;
    assert_eq!(forest.raw(&[f32::NAN; 3], &[65_535]).len(), 1);
    let error = of(65_537, &many).unwrap_err();
    assert!(matches!(error, TrainError::TooManyCategories { cardinality: 65_537, .. }), "{error}");
}

/// Says that it has more rows than can be numbered.
struct Endless;

impl TrainingRows for Endless {
    fn n_rows(&self, _: Part) -> Result<usize, TrainError> {
        Ok(1 << 32)
    }

    fn batches(&self, _: Part) -> Result<RowBatches<'_>, TrainError> {
        Ok(Box::new(std::iter::empty()))
    }
}

#[test]
fn more_rows_than_can_be_numbered_are_refused() {
    let table = MemoryRows::default();
    let (config, task) = (config(1), binary());
    let case = Case::new(config, task, &table);
    let error = case.of(&Endless, &|_| {}).unwrap_err();
    assert!(matches!(error, TrainError::TooManyRows { n_rows: 4_294_967_296 }), "{error}");
}

#[test]
fn a_quantile_has_its_share_of_rows_below() {
    let table = table(8_000, |signal, rng| signal + rng.random_range(-1.0..1.0));
    let settings = GbdtConfig { objective: Some(Objective::Quantile), quantile_alpha: 0.8, ..config(80) };
    let forest = Case::new(settings, Task::Regression, &table).run().unwrap().forest;
    let rows = &table.validation.features;
    let below = (0..rows.n_rows).filter(|i| {
        table.validation.labels[*i]
            < forest.raw(&rows.numeric[3 * i..3 * i + 3], &rows.categorical[*i..=*i])[0]
    });
    let share = below.count() as f64 / rows.n_rows as f64;
    assert!((0.75..0.85).contains(&share), "{share}");
}

#[test]
fn training_stops_when_validation_gets_no_better() {
    let table = table(600, coin);
    let settings = GbdtConfig { early_stopping_rounds: 5, ..config(500) };
    let boosted = Case::new(settings, binary(), &table).run().unwrap();
    let losses: Vec<f64> = boosted.history.iter().map(|epoch| epoch.validation_loss).collect();
    let best = (0..losses.len()).min_by(|a, b| losses[*a].total_cmp(&losses[*b])).unwrap();
    assert_eq!(losses.len(), best + 6);
    assert_eq!(boosted.forest.n_trees(), best + 1);

    let settings =
        GbdtConfig { eval_metric: Some("roc_auc".into()), early_stopping_rounds: 5, ..config(500) };
    let by_auc = Case::new(settings, binary(), &table).run().unwrap();
    assert!(by_auc.history.len() < 500 && by_auc.forest.n_trees() > 0);

    let without = GbdtConfig { early_stopping_rounds: 0, ..config(best + 20) };
    let all = Case::new(without, binary(), &table).run().unwrap();
    assert_eq!(all.forest.n_trees(), best + 20);
}

#[test]
fn a_training_that_was_killed_ends_in_the_same_trees() {
    let table = table(2_000, coin);
    let settings =
        GbdtConfig { subsample: 0.7, colsample_bynode: 0.7, early_stopping_rounds: 0, ..config(30) };
    let whole = Case::new(settings.clone(), binary(), &table).run().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let killed = Case { dir: Some(dir.path()), ..Case::new(settings, binary(), &table) };
    // Stands for the checkpoint of a run that was killed after its twelfth round.
    let twelve =
        Case::new(GbdtConfig { n_estimators: 12, ..killed.config.clone() }, binary(), &table).run().unwrap();
    let losses =
        |history: &[crate::trainer::Epoch]| history.iter().map(|e| e.validation_loss).collect::<Vec<_>>();
    let best = twelve.history.iter().min_by(|a, b| a.validation_loss.total_cmp(&b.validation_loss)).unwrap();
    let course = super::checkpoint::Course {
        best: Some((best.validation_loss, best.epoch)),
        history: twelve.history.clone(),
    };
    let mut forest = whole.forest.clone();
    forest.truncate(12);
    super::checkpoint::save(dir.path(), &course, &forest).unwrap();
    let first = RefCell::new(None);
    let resumed = killed.watched(&|at| _ = first.borrow_mut().get_or_insert(at.epoch)).unwrap();
    assert_eq!(first.into_inner(), Some(13), "it goes on after the twelfth round");
    assert_eq!(losses(&resumed.history), losses(&whole.history));
    assert_eq!(resumed.forest.to_safetensors().unwrap(), whole.forest.to_safetensors().unwrap());
}

#[test]
fn a_continued_training_adds_trees_to_those_it_got() {
    let table = table(2_000, coin);
    let first = Case::new(config(10), binary(), &table).run().unwrap();
    let more =
        Case { continued: Some(&first.forest), ..Case::new(config(10), binary(), &table) }.run().unwrap();
    assert!(more.forest.n_trees() > first.forest.n_trees());
    for tree in 0..first.forest.n_trees() {
        assert_eq!(more.forest.tree(tree), first.forest.tree(tree));
    }
    assert!(more.history[0].validation_loss < first.history.last().unwrap().validation_loss);
}

#[test]
fn a_base_margin_is_added_and_not_learned_from() {
    let table = table(4_000, |signal, rng| signal + rng.random_range(-0.3..0.3));
    let settings = GbdtConfig { base_margin: Some("offset".into()), ..config(20) };
    let forest = Case::new(settings, Task::Regression, &table).run().unwrap().forest;
    assert_eq!(forest.importance()[2].n_splits, 0);
    let score = |offset: f32| forest.raw(&[0.2, 0.3, offset], &[1])[0];
    assert!((score(5.0) - score(0.0) - 5.0).abs() < 1e-5);
    assert_eq!(score(f32::NAN), score(0.0));
}

#[test]
fn rows_that_cannot_be_learned_from_are_refused() {
    let case = |change: &dyn Fn(&mut MemoryRows), objective: Objective, task: Task| {
        let mut table = table(200, coin);
        change(&mut table);
        Case::new(GbdtConfig { objective: Some(objective), ..config(3) }, task, &table).run().unwrap_err()
    };
    let error = case(&|table| table.train.labels.fill(1.0), Objective::Logistic, binary());
    assert!(matches!(error, TrainError::OneClass { n_rows: 200, .. }), "{error}");
    let error = case(&|table| table.train.labels[7] = -1.0, Objective::Poisson, Task::Poisson);
    assert!(matches!(error, TrainError::Label { row: 7, .. }), "{error}");
    let error = case(&|table| table.train.labels[7] = 0.0, Objective::Gamma, Task::Regression);
    assert!(matches!(error, TrainError::Label { .. }), "{error}");
    let error = case(&|table| table.train.weights = Some(vec![0.0; 200]), Objective::Logistic, binary());
    assert!(matches!(error, TrainError::Weight { .. }), "{error}");
    let error = case(&|table| table.train.weights = Some(vec![-1.0; 200]), Objective::Logistic, binary());
    assert!(matches!(error, TrainError::Weight { row: 0, .. }), "{error}");
    let error = case(&|table| table.train.features.numeric[4] = f32::INFINITY, Objective::Logistic, binary());
    assert!(matches!(error, TrainError::NotFinite { row: 1, feature: 1, .. }), "{error}");
    let error = case(&|table| table.train.features.categorical[3] = 6, Objective::Logistic, binary());
    assert!(matches!(error, TrainError::Code { row: 3, code: 6, .. }), "{error}");
    let error = case(&|table| *table = MemoryRows::default(), Objective::Logistic, binary());
    assert!(matches!(error, TrainError::NoRows { .. }), "{error}");
}

/// A Vulkan device, be it a driver that computes on the CPU; a line that says why not otherwise.
fn vulkan_or_skip(test: &str) -> Option<Device> {
    let found = device::choose(cupola_models::DeviceChoice::Fixed(Device::Vulkan(0)));
    if let Err(error) = &found {
        println!("SKIPPED {test}: {error}");
    }
    found.ok()
}

#[test]
fn trees_are_the_same_bytes_on_the_cpu_and_on_vulkan() {
    let Some(device) = vulkan_or_skip("trees_are_the_same_bytes_on_the_cpu_and_on_vulkan") else { return };
    let regression = table(6_000, |signal, rng| signal + rng.random_range(-0.3..0.3));
    // More rows than the training loss is taken over.
    let many = table(40_000, coin);
    let classes = table(6_000, coin);
    // Wide bins, categories, missing numbers, subsamples, leaf-wise growth, leaves that are medians.
    let lossguide = cupola_models::trees::GrowPolicy::Lossguide;
    let cases = [
        (config(6), binary(), &classes),
        (config(2), binary(), &many),
        (GbdtConfig { max_bin: 1_024, subsample: 0.6, ..config(5) }, binary(), &classes),
        (
            GbdtConfig { grow_policy: lossguide, max_leaves: 20, max_depth: 0, ..config(4) },
            Task::Regression,
            &regression,
        ),
        (
            GbdtConfig { objective: Some(Objective::AbsoluteError), ..config(4) },
            Task::Regression,
            &regression,
        ),
    ];
    for (settings, task, table) in cases {
        let cpu = Case::new(settings.clone(), task.clone(), table).run().unwrap();
        let gpu = Case { device, ..Case::new(settings, task, table) }.run().unwrap();
        assert_eq!(gpu.forest.to_safetensors().unwrap(), cpu.forest.to_safetensors().unwrap());
        let losses = |of: &Boosted| of.history.iter().map(|round| round.train_loss).collect::<Vec<_>>();
        assert_eq!(losses(&gpu), losses(&cpu));
        assert!(cpu.forest.nodes.len() > 20, "there is something to compare");
    }
}

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::super::CostConfig;
use super::*;

fn binary() -> Task {
    Task::Binary { classes: ["no".into(), "yes".into()] }
}

fn one(values: &[f32]) -> Scores {
    Scores { n_outputs: 1, values: values.to_vec() }
}

fn eval(task: &Task, scores: &Scores, labels: &[f32], weights: Option<&[f32]>) -> Evaluation {
    evaluate(task, scores, labels, weights, &EvaluateConfig::default()).unwrap()
}

#[track_caller]
fn close(evaluation: &Evaluation, name: &str, expected: f64) {
    let value = evaluation.values[name];
    assert!(
        (value - expected).abs() <= 1e-9 * expected.abs().max(1.0),
        "{name}: {value}, expected {expected}"
    );
}

const SCORES: [f32; 10] = [0.125, 0.375, 0.375, 0.375, 0.5, 0.5, 0.625, 0.75, 0.75, 0.875];
const LABELS: [f32; 10] = [0., 0., 1., 0., 0., 1., 1., 0., 1., 1.];
const WEIGHTS: [f32; 10] = [1., 2., 0.5, 1., 3., 1., 1., 0.25, 2., 1.];

#[test]
fn binary_metrics_equal_scikit_learn_with_ties_and_weights() {
    let plain = eval(&binary(), &one(&SCORES), &LABELS, None);
    REFERENCE_PLAIN.iter().for_each(|(name, value)| close(&plain, name, *value));
    let weighted = eval(&binary(), &one(&SCORES), &LABELS, Some(&WEIGHTS));
    REFERENCE_WEIGHTED.iter().for_each(|(name, value)| close(&weighted, name, *value));
}

#[test]
fn the_confusion_matrix_counts_rows_by_weight_at_the_threshold() {
    let config = EvaluateConfig::default();
    let scores = one(&SCORES);
    let at = |weights| {
        let predictions = Predictions { scores: &scores, labels: &LABELS, weights, groups: None };
        let found = evaluate_at(&binary(), predictions, &config, Some(0.5)).unwrap().confusion.unwrap();
        [found.true_negative, found.false_positive, found.false_negative, found.true_positive]
    };
    // sklearn.metrics.confusion_matrix(LABELS, SCORES >= 0.5, sample_weight=...).ravel()
    assert_eq!(at(None), [3.0, 2.0, 1.0, 4.0]);
    assert_eq!(at(Some(&WEIGHTS)), [4.0, 3.25, 0.5, 5.0]);
    assert_eq!(eval(&Task::Regression, &scores, &LABELS, None).confusion, None);
}

#[test]
fn multiclass_metrics_equal_scikit_learn() {
    let task = Task::Multiclass { classes: vec!["a".into(), "b".into(), "c".into()] };
    let scores = Scores { n_outputs: 3, values: MULTICLASS_SCORES.to_vec() };
    let labels = [0., 0., 2., 1., 1., 2., 0., 1.];
    let plain = eval(&task, &scores, &labels, None);
    REFERENCE_MULTICLASS.iter().for_each(|(name, value)| close(&plain, name, *value));
}

#[test]
fn number_metrics_equal_scikit_learn() {
    let (labels, scores) = ([3.0, -0.5, 2.0, 7.0], one(&[2.5, 0.0, 2.0, 8.0]));
    let weights = [1.0, 2.0, 0.5, 1.0];
    let plain = eval(&Task::Regression, &scores, &labels, None);
    // The example of scikit-learn's documentation of r2_score.
    close(&plain, "r2", 0.9486081370449679);
    close(&plain, "rmse", 0.375_f64.sqrt());
    close(&plain, "mae", 0.5);
    let weighted = eval(&Task::Regression, &scores, &labels, Some(&weights));
    REFERENCE_REGRESSION_WEIGHTED.iter().for_each(|(name, value)| close(&weighted, name, *value));
    // The example of scikit-learn's documentation of mean_poisson_deviance.
    let poisson = eval(&Task::Poisson, &one(&[0.5, 0.5, 2., 2.]), &[2., 0., 1., 4.], None);
    close(&poisson, "mean_poisson_deviance", 1.4260151319598084);
    close(&poisson, "sum_ratio", 5.0 / 7.0);
}

#[test]
fn constant_numbers_have_no_undefined_r2() {
    let exact = eval(&Task::Regression, &one(&[2.0, 2.0]), &[2.0, 2.0], None);
    close(&exact, "r2", 1.0);
    close(&eval(&Task::Regression, &one(&[2.0, 3.0]), &[2.0, 2.0], None), "r2", 0.0);
}

#[test]
fn cost_moves_the_threshold_to_where_mistakes_cost_least() {
    let scores = one(&[0.1, 0.2, 0.3, 0.4, 0.9]);
    let labels = [0., 1., 0., 0., 1.];
    let at = |false_positive, false_negative| {
        let config = EvaluateConfig {
            cost: Some(CostConfig { false_positive, false_negative }),
            ..Default::default()
        };
        evaluate(&binary(), &scores, &labels, None, &config).unwrap()
    };
    let dear_misses = at(1.0, 10.0);
    assert_eq!(dear_misses.threshold, Some(f64::from(0.2_f32)));
    close(&dear_misses, "expected_cost", 2.0 / 5.0);
    close(&dear_misses, "recall", 1.0);
    let dear_alarms = at(10.0, 1.0);
    assert_eq!(dear_alarms.threshold, Some(f64::from(0.9_f32)));
    close(&dear_alarms, "expected_cost", 1.0 / 5.0);
}

#[test]
fn taking_nothing_for_positive_is_a_choice() {
    let config = EvaluateConfig {
        cost: Some(CostConfig { false_positive: 100.0, false_negative: 1.0 }),
        ..Default::default()
    };
    let evaluation = evaluate(&binary(), &one(&[0.2, 1.0]), &[1., 0.], None, &config).unwrap();
    assert!(evaluation.threshold.unwrap() > 1.0);
    close(&evaluation, "expected_cost", 0.5);
    close(&evaluation, "precision", 0.0);
}

#[test]
fn a_threshold_from_the_validation_part_is_applied_to_other_rows() {
    let scores = one(&SCORES);
    let predictions = Predictions { scores: &scores, labels: &LABELS, weights: None, groups: None };
    let evaluation = evaluate_at(&binary(), predictions, &EvaluateConfig::default(), Some(0.7)).unwrap();
    assert_eq!(evaluation.threshold, Some(0.7));
    close(&evaluation, "precision", 2.0 / 3.0);
    close(&evaluation, "recall", 2.0 / 5.0);
}

#[test]
fn labels_of_one_class_leave_out_what_cannot_be_said_and_nothing_is_nan() {
    for label in [0.0, 1.0] {
        let evaluation = eval(&binary(), &one(&[0.2, 0.4, 1.0]), &[label; 3], None);
        assert!(!evaluation.values.contains_key("roc_auc"));
        assert_eq!(evaluation.primary_value(), None);
        assert!(evaluation.values["log_loss"] > 0.0);
        assert!(evaluation.values.values().all(|value| value.is_finite()));
        assert!(evaluation.threshold.unwrap().is_finite());
    }
}

#[test]
fn curves_are_thinned_and_keep_their_ends() {
    let n = 50_000;
    let values: Vec<f32> = (0..n).map(|row| ((row * 7_919) % n) as f32 / n as f32).collect();
    let labels: Vec<f32> = (0..n).map(|row| f32::from(u8::from((row * 31) % 97 < 30))).collect();
    let curves = eval(&binary(), &one(&values), &labels, None).curves;
    assert!((100..=200).contains(&curves.roc.len()) && (100..=200).contains(&curves.pr.len()));
    assert_eq!((curves.roc[0].x, curves.roc[0].y), (0.0, 0.0));
    let last = curves.roc.last().unwrap();
    assert_eq!((last.x, last.y), (1.0, 1.0));
    assert_eq!(curves.pr.last().unwrap().x, 1.0);
    assert!((curves.calibration.iter().map(|bin| bin.share).sum::<f64>() - 1.0).abs() < 1e-12);
}

#[test]
fn bad_arguments_are_errors() {
    let error = |task: &Task, scores: &Scores, labels: &[f32], weights: Option<&[f32]>| {
        evaluate(task, scores, labels, weights, &EvaluateConfig::default()).unwrap_err()
    };
    assert_eq!(error(&binary(), &one(&[]), &[], None), MetricsError::NoRows);
    assert!(matches!(error(&binary(), &one(&[0.5]), &[0., 1.], None), MetricsError::Length { .. }));
    assert!(matches!(error(&binary(), &one(&[0.5]), &[2.], None), MetricsError::Label { row: 0, .. }));
    assert!(matches!(
        error(&binary(), &one(&[0.5, f32::NAN]), &[0., 1.], None),
        MetricsError::Score { row: 1, .. }
    ));
    assert!(matches!(
        error(&binary(), &one(&[0.5]), &[1.], Some(&[-1.])),
        MetricsError::Weight { row: 0, .. }
    ));
    assert!(matches!(error(&binary(), &one(&[0.5]), &[1.], Some(&[0.])), MetricsError::Weight { .. }));
    assert!(matches!(error(&Task::Poisson, &one(&[0.5]), &[-1.], None), MetricsError::Label { .. }));
    let primary = |name: &str| EvaluateConfig { primary: Some(name.into()), cost: None };
    for name in ["rmse", "expected_cost"] {
        let error = evaluate(&binary(), &one(&[0.5]), &[1.], None, &primary(name)).unwrap_err();
        assert!(matches!(error, MetricsError::UnknownPrimary { .. }), "{name}");
    }
    let cost = Some(CostConfig { false_positive: -1.0, false_negative: 1.0 });
    let error =
        evaluate(&binary(), &one(&[0.5]), &[1.], None, &EvaluateConfig { primary: None, cost }).unwrap_err();
    assert!(matches!(error, MetricsError::Cost { .. }));
}

#[test]
fn a_million_rows_take_about_a_second() {
    let n = 1_750_000_usize;
    let values: Vec<f32> = (0..n)
        .map(|row| ((row as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) as f32 / 16_777_216.0)
        .collect();
    let labels: Vec<f32> = values
        .iter()
        .enumerate()
        .map(|(row, v)| f32::from(u8::from(row % 100 < (v * 10.0) as usize)))
        .collect();
    let start = std::time::Instant::now();
    eval(&binary(), &one(&values), &labels, None);
    // A loaded machine gets several times the second it takes on an idle one.
    assert!(start.elapsed().as_secs_f64() < 5.0, "{:?}", start.elapsed());
}

/// Made by scikit-learn.
const REFERENCE_PLAIN: [(&str, f64); 9] = [
    ("roc_auc", 0.76),
    ("pr_auc", 0.7277777777777779),
    ("log_loss", 0.571817372068954),
    ("brier", 0.196875),
    ("ece", 0.12500000000000003),
    ("f1", 0.7272727272727273),
    ("precision", 0.6666666666666666),
    ("recall", 0.8),
    ("accuracy", 0.7),
];

/// Made by scikit-learn.
const REFERENCE_WEIGHTED: [(&str, f64); 9] = [
    ("roc_auc", 0.8840125391849529),
    ("pr_auc", 0.8413515410898504),
    ("log_loss", 0.4966288930322483),
    ("brier", 0.16115196078431374),
    ("ece", 0.21568627450980393),
    ("f1", 0.8205128205128205),
    ("precision", 0.9411764705882353),
    ("recall", 0.7272727272727273),
    ("accuracy", 0.8627450980392157),
];

const MULTICLASS_SCORES: [f32; 24] = [
    0.5, 0.25, 0.25, 0.25, 0.5, 0.25, 0.125, 0.25, 0.625, 0.25, 0.5, 0.25, 0.375, 0.375, 0.25, 0.5, 0.25,
    0.25, 0.75, 0.125, 0.125, 0.125, 0.75, 0.125,
];

/// Made by scikit-learn.
const REFERENCE_MULTICLASS: [(&str, f64); 4] = [
    ("log_loss", 0.7731350138150869),
    ("accuracy", 0.625),
    ("macro_f1", 0.6349206349206349),
    ("roc_auc_ovr", 0.8444444444444444),
];

/// Made by scikit-learn.
const REFERENCE_REGRESSION_WEIGHTED: [(&str, f64); 3] =
    [("rmse", 0.6236095644623235), ("mae", 0.5555555555555556), ("r2", 0.9542815674891146)];

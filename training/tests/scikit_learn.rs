//! Our metrics against scikit-learn's, on the same random predictions with ties and weights.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use cupola_models::{Scores, Task};
use cupola_training::metrics::{EvaluateConfig, Predictions, evaluate_at};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::json;

struct Case {
    task: Task,
    scores: Scores,
    labels: Vec<f32>,
    weights: Option<Vec<f32>>,
    groups: Option<Vec<u64>>,
}

#[test]
fn metrics_equal_scikit_learn_on_random_predictions() {
    let Some(python) = python_with_scikit_learn() else {
        println!(
            "SKIPPED metrics_equal_scikit_learn_on_random_predictions: no Python with scikit-learn; set CUPOLA_PYTHON or make .venv"
        );
        return;
    };
    let cases: Vec<Case> = (0..40).map(case).collect();
    let expected = scikit_learn(&python, &cases);
    assert_eq!(expected.len(), cases.len());
    for (number, (case, expected)) in cases.iter().zip(expected).enumerate() {
        let predictions = Predictions {
            scores: &case.scores,
            labels: &case.labels,
            weights: case.weights.as_deref(),
            groups: case.groups.as_deref(),
        };
        let ours = evaluate_at(&case.task, predictions, &EvaluateConfig::default(), None);
        let ours = ours.unwrap().values;
        for (name, expected) in expected {
            let value = ours[&name];
            // Probabilities of several classes are rounded to f32 here and sum to 1 there.
            let tolerance = if case.scores.n_outputs > 1 { 1e-6 } else { 1e-9 };
            assert!(
                (value - expected).abs() <= tolerance * expected.abs().max(1.0),
                "case {number} {:?} {name}: {value}, scikit-learn {expected}",
                case.task.kind()
            );
        }
    }
}

fn case(number: u64) -> Case {
    let mut rng = StdRng::seed_from_u64(number);
    let n = rng.random_range(50..600);
    let classes: Vec<String> = ["a", "b", "c", "d"].map(String::from).to_vec();
    let (task, n_outputs) = match number % 5 {
        0 => (Task::Binary { classes: ["no".into(), "yes".into()] }, 1),
        1 => (Task::Multiclass { classes }, 4),
        2 => (Task::Regression, 1),
        3 => (Task::Poisson, 1),
        _ => (Task::Ranking, 1),
    };
    // Few distinct scores make ties; every second kind of case has them.
    let levels = if number % 10 < 5 { 20.0 } else { 1e6 };
    let mut score = || ((rng.random::<f32>() * levels).floor() + 0.5) / levels;
    let mut values: Vec<f32> = (0..n * n_outputs).map(|_| score()).collect();
    if n_outputs > 1 {
        for row in values.chunks_mut(n_outputs) {
            let sum: f32 = row.iter().sum();
            row.iter_mut().for_each(|value| *value /= sum);
        }
    }
    let labels = (0..n)
        .map(|row| match &task {
            Task::Binary { .. } => f32::from(u8::from(rng.random::<f32>() < values[row])),
            Task::Multiclass { .. } => {
                if row < 4 {
                    row as f32
                } else {
                    rng.random_range(0..4) as f32
                }
            }
            Task::Regression => values[row] + rng.random::<f32>(),
            Task::Ranking => (values[row] * rng.random::<f32>() * 6.0).floor(),
            Task::Poisson => (rng.random::<f32>() * 3.0).floor(),
        })
        .collect();
    let weights =
        (number % 20 >= 10).then(|| (0..n).map(|_| rng.random_range(0..4) as f32 / 2.0 + 0.25).collect());
    // Lists of one to fifty rows, mixed.
    let groups =
        (task == Task::Ranking).then(|| (0..n).map(|_| rng.random_range(0..n as u64 / 15)).collect());
    Case { task, scores: Scores { n_outputs, values }, labels, weights, groups }
}

fn scikit_learn(python: &Path, cases: &[Case]) -> Vec<HashMap<String, f64>> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cases.json");
    let cases: Vec<_> = cases
        .iter()
        .map(|case| json!({"kind": case.task.kind(), "scores": case.scores.values, "labels": case.labels, "weights": case.weights, "groups": case.groups}))
        .collect();
    std::fs::write(&file, serde_json::to_vec(&cases).unwrap()).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scikit_learn.py");
    let output = Command::new(python).arg(script).arg(file).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn python_with_scikit_learn() -> Option<PathBuf> {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../.venv/bin/python");
    let python = std::env::var_os("CUPOLA_PYTHON").map_or_else(default, PathBuf::from);
    let imports = Command::new(&python).args(["-c", "import sklearn"]).output();
    imports.is_ok_and(|output| output.status.success()).then_some(python)
}

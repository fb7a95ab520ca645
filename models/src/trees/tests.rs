#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use cupola_datasets::FeatureBatch;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::*;
use crate::predict::{PredictError, Predictor};

/// A forest of random trees over two numbers and one category of 70 codes.
fn random_forest(n_outputs: usize, n_trees: usize, seed: u64) -> Forest {
    let mut rng = StdRng::seed_from_u64(seed);
    let objective = if n_outputs > 1 { Objective::Softmax } else { Objective::Logistic };
    let shape =
        ForestShape { n_numeric: 2, cardinalities: vec![70], n_outputs, objective, base_margin: None };
    let mut forest = Forest::new(shape, (0..n_outputs).map(|i| i as f32 - 0.5).collect());
    for _ in 0..n_trees {
        let root = forest.nodes.len() as u32;
        forest.roots.push(root);
        let mut open = vec![(root, 0)];
        forest.nodes.push(leaf(&mut rng));
        while let Some((at, depth)) = open.pop() {
            if depth == 5 || rng.random_range(0..4) == 0 {
                continue;
            }
            let left = forest.nodes.len() as u32;
            let rule = if rng.random_range(0..3) == 0 {
                let words = forest.words.len() as u32;
                forest.words.extend((0..3).map(|_| rng.random::<u32>()));
                NodeRule::In { feature: 2, words, left }
            } else {
                let (feature, threshold) = (rng.random_range(0..2), rng.random_range(-2.0..2.0));
                NodeRule::Below { feature, threshold, missing_left: rng.random(), left }
            };
            forest.nodes[at as usize] = Node { rule: Some(rule), value: 0.0, gain: 1.5, cover: 8.0 };
            let children = [leaf(&mut rng), leaf(&mut rng)];
            forest.nodes.extend(children);
            open.extend([(left, depth + 1), (left + 1, depth + 1)]);
        }
    }
    forest.check().unwrap();
    forest
}

fn leaf(rng: &mut StdRng) -> Node {
    Node { rule: None, value: rng.random_range(-1.0..1.0), gain: 0.0, cover: 1.0 }
}

fn random_rows(n_rows: usize, seed: u64) -> FeatureBatch {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut number = || if rng.random_range(0..5) == 0 { f32::NAN } else { rng.random_range(-3.0..3.0) };
    let numeric = (0..2 * n_rows).map(|_| number()).collect();
    let categorical = (0..n_rows).map(|_| rng.random_range(0..70)).collect();
    FeatureBatch { n_rows, n_numeric: 2, n_categorical: 1, numeric, categorical }
}

#[test]
fn the_fast_forms_give_the_bits_of_the_plain_one_in_any_batch() {
    for (n_outputs, n_trees) in [(1, 1), (1, 20), (3, 21)] {
        let forest = random_forest(n_outputs, n_trees, 7);
        let fast = CpuForest::new(&forest).unwrap();
        for n_rows in [1, 7, 8, 9, 64, 200] {
            let rows = random_rows(n_rows, n_rows as u64);
            let raw = fast.raw(&rows).unwrap();
            let scores = fast.predict(&rows).unwrap();
            for row in 0..n_rows {
                let (numbers, code) = (&rows.numeric[2 * row..2 * row + 2], rows.categorical[row]);
                let plain = forest.raw(numbers, &[code]);
                assert_eq!(raw[row * n_outputs..(row + 1) * n_outputs], plain, "row {row} of {n_rows}");
                let mut out = vec![0.0; n_outputs];
                fast.score_row(&[numbers[0], numbers[1], code as f32], &mut out);
                assert_eq!(out, scores.row(row), "row {row} of {n_rows}, alone");
            }
        }
    }
}

#[test]
fn a_hand_made_tree_scores_as_by_hand() {
    let shape = ForestShape {
        n_numeric: 1,
        cardinalities: vec![],
        n_outputs: 1,
        objective: Objective::SquaredError,
        base_margin: None,
    };
    let mut forest = Forest::new(shape, vec![10.0]);
    let rule = NodeRule::Below { feature: 0, threshold: 3.0, missing_left: false, left: 1 };
    let node = |rule, value| Node { rule, value, gain: 0.0, cover: 0.0 };
    forest.roots.push(0);
    forest.nodes = vec![node(Some(rule), 0.0), node(None, -1.0), node(None, 2.5)];
    let numeric = vec![2.9, 3.0, f32::NAN, f32::INFINITY, f32::NEG_INFINITY];
    let rows = FeatureBatch { n_rows: 5, n_numeric: 1, n_categorical: 0, numeric, categorical: vec![] };
    let scores = CpuForest::new(&forest).unwrap().predict(&rows).unwrap();
    assert_eq!(scores.values, [9.0, 12.5, 12.5, 12.5, 9.0]);
}

#[test]
fn a_forest_survives_its_file_and_a_damaged_one_is_refused() {
    let forest = random_forest(3, 6, 1);
    let file = forest.to_safetensors().unwrap();
    assert_eq!(Forest::from_safetensors(forest.shape.clone(), &file).unwrap(), forest);
    assert_eq!(forest.to_safetensors().unwrap(), file, "the same trees give the same bytes");

    let damaged = |change: &dyn Fn(&mut Forest)| {
        let mut forest = forest.clone();
        change(&mut forest);
        let file = forest.to_safetensors().unwrap();
        assert!(Forest::from_safetensors(forest.shape.clone(), &file).is_err());
        assert!(CpuForest::new(&forest).is_err());
    };
    let inner =
        forest.nodes.iter().position(|node| matches!(node.rule, Some(NodeRule::Below { .. }))).unwrap();
    let set = forest.nodes.iter().position(|node| matches!(node.rule, Some(NodeRule::In { .. }))).unwrap();
    let below = |feature, left| Some(NodeRule::Below { feature, threshold: 0.0, missing_left: true, left });
    damaged(&|forest| forest.nodes[inner].rule = below(0, inner as u32));
    damaged(&|forest| forest.nodes[inner].rule = below(0, 1_000_000));
    damaged(&|forest| forest.nodes[inner].rule = below(2, inner as u32 + 1));
    damaged(&|forest| {
        forest.nodes[set].rule = Some(NodeRule::In { feature: 2, words: 1 << 20, left: set as u32 + 1 })
    });
    damaged(&|forest| forest.nodes[0].value = f32::NAN);
    damaged(&|forest| forest.base.truncate(1));
    damaged(&|forest| forest.roots[1] = 0);
}

#[test]
fn the_first_trees_of_a_forest_are_a_forest() {
    let whole = random_forest(1, 9, 3);
    let mut first = whole.clone();
    first.truncate(4);
    first.check().unwrap();
    assert_eq!(first.n_trees(), 4);
    for tree in 0..4 {
        assert_eq!(first.tree(tree), whole.tree(tree));
    }
    let more = {
        let mut same = whole.clone();
        same.truncate(20);
        same
    };
    assert_eq!(more, whole);
}

#[test]
fn importance_sums_gains_and_covers_by_feature() {
    let forest = random_forest(1, 30, 5);
    let importance = forest.importance();
    let n_inner = forest.nodes.iter().filter(|node| node.rule.is_some()).count();
    assert_eq!(importance.iter().map(|of| of.n_splits).sum::<usize>(), n_inner);
    for of in importance {
        assert_eq!((of.gain, of.cover), (1.5 * of.n_splits as f64, 8.0 * of.n_splits as f64));
    }
}

#[test]
fn a_batch_of_other_features_is_refused() {
    let fast = CpuForest::new(&random_forest(1, 2, 1)).unwrap();
    let mut rows = random_rows(3, 1);
    rows.categorical[1] = 70;
    assert!(matches!(fast.predict(&rows), Err(PredictError::Code { feature: 0, code: 70, cardinality: 70 })));
    (rows.n_categorical, rows.categorical) = (0, vec![]);
    assert!(matches!(fast.predict(&rows), Err(PredictError::Shape { expected: 3, found: 2 })));
}

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use cupola_datasets::FeatureBatch;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::gradient::{Draw, Record, quantise};
use super::histogram::{Collector, Histogram, Sums};
use super::*;
use crate::device::Device;
use crate::trees::{CpuForest, Forest, ForestShape, GbdtConfig, GrowPolicy, NodeRule, Objective};

/// Defaults, on all rows.
fn whole() -> GbdtConfig {
    GbdtConfig { subsample: 1.0, ..GbdtConfig::default() }
}

/// Squared error towards labels, from 0.
struct Towards(Vec<f32>);

impl Gradients for Towards {
    fn block(&self, first: usize, gradients: &mut [f32], hessians: &mut [f32]) {
        gradients.iter_mut().zip(&self.0[first..]).for_each(|(g, label)| *g = -label);
        hessians.fill(1.0);
    }
}

/// A loss of each row by itself.
struct OfRows<'a>(RowScores<'a>);

impl Gradients for OfRows<'_> {
    fn block(&self, first: usize, gradients: &mut [f32], hessians: &mut [f32]) {
        let RowScores { loss, raw, labels, .. } = self.0;
        for (i, (g, h)) in gradients.iter_mut().zip(hessians).enumerate() {
            (*g, *h) = loss.gradient(sigmoid_table(), raw[first + i], labels[first + i]);
        }
    }

    fn rows(&self) -> Option<RowScores<'_>> {
        let RowScores { loss, raw, labels, weights } = self.0;
        Some(RowScores { loss, raw, labels, weights })
    }
}

/// Two numbers (one with missing values, one with a thousand bins) and a category of five codes.
fn rows(n_rows: usize, seed: u64) -> FeatureBatch {
    let mut rng = StdRng::seed_from_u64(seed);
    let numeric = (0..n_rows)
        .flat_map(|_| {
            let a = if rng.random_range(0..10) == 0 { f32::NAN } else { rng.random_range(0.0..1.0) };
            [a, rng.random_range(0.0..1.0)]
        })
        .collect();
    let categorical = (0..n_rows).map(|_| rng.random_range(0..5)).collect();
    FeatureBatch { n_rows, n_numeric: 2, n_categorical: 1, numeric, categorical }
}

fn bins() -> Vec<FeatureBins> {
    let even = |n: usize| FeatureBins::Numeric { cuts: (1..n).map(|i| i as f32 / n as f32).collect() };
    vec![even(20), even(1_000), FeatureBins::Categorical { cardinality: 5 }]
}

fn matrix(batch: &FeatureBatch) -> BinnedMatrix {
    matrix_within(batch, usize::MAX)
}

fn matrix_within(batch: &FeatureBatch, columns_bytes_max: usize) -> BinnedMatrix {
    let mut matrix = BinnedMatrix::new(bins(), batch.n_rows, columns_bytes_max);
    matrix.push(batch);
    matrix
}

fn labels(batch: &FeatureBatch) -> Vec<f32> {
    let label = |i: usize| {
        let a = batch.numeric[2 * i];
        let step = if a.is_nan() {
            2.0
        } else if a > 0.3 {
            1.0
        } else {
            -1.0
        };
        step + 3.0 * batch.numeric[2 * i + 1] * f32::from(u8::from(batch.categorical[i] % 2 == 1))
    };
    (0..batch.n_rows).map(label).collect()
}

fn grow(matrix: &BinnedMatrix, labels: &[f32], config: &GbdtConfig) -> (Forest, Vec<f32>) {
    let growth = growth(matrix, config);
    let learner = TreeLearner::new(matrix, &growth, Device::Cpu).unwrap();
    grow_with(learner, matrix, labels)
}

fn growth(matrix: &BinnedMatrix, config: &GbdtConfig) -> Growth {
    Growth::new(config, matrix, &|name| ["a", "b", "c"].iter().position(|known| *known == name))
}

fn grow_with(mut learner: TreeLearner<'_>, matrix: &BinnedMatrix, labels: &[f32]) -> (Forest, Vec<f32>) {
    let grown = learner.grow(&Towards(labels.to_vec()), 9).unwrap();
    let values: Vec<f32> = grown.values().iter().map(|value| *value as f32).collect();
    let mut raw = vec![0.0; matrix.n_rows()];
    learner.add_values(&grown, &values, &mut raw, 1).unwrap();
    let mut by_bins = vec![0.0; matrix.n_rows()];
    grown.add_values(matrix, &values, &mut by_bins);
    assert_eq!(raw, by_bins, "rows end where their bins lead");
    let shape = ForestShape {
        n_numeric: 2,
        cardinalities: vec![5],
        n_outputs: 1,
        objective: Objective::SquaredError,
        base_margin: None,
    };
    let mut forest = Forest::new(shape, vec![0.0]);
    grown.append_to(&mut forest, matrix, &values);
    forest.check().unwrap();
    (forest, raw)
}

#[test]
fn numbers_fall_into_the_bins_their_cuts_say() {
    let values = [f32::NEG_INFINITY, -1.0, 0.0, 0.05, 0.051, 0.95, 2.0, f32::INFINITY, f32::NAN];
    let numeric = values.iter().flat_map(|value| [*value, *value]).collect();
    let batch = FeatureBatch { n_rows: 9, n_numeric: 2, n_categorical: 1, numeric, categorical: vec![4; 9] };
    let matrix = matrix(&batch);
    let plain =
        |cuts: &[f32], x: f32| if x.is_nan() { 0 } else { 1 + cuts.iter().filter(|c| **c <= x).count() };
    for (feature, column) in [(0, 0), (1, 2)] {
        let FeatureBins::Numeric { cuts } = &bins()[feature] else { panic!("a number") };
        for (row, value) in values.iter().enumerate() {
            assert_eq!(
                usize::from(matrix.bin(row, column)),
                plain(cuts, *value),
                "feature {feature}, {value}"
            );
        }
    }
    assert_eq!(matrix.n_wide(), 1);
}

#[test]
fn a_rule_about_a_rare_range_has_its_own_bins() {
    // One row in 500 is above 220, and all of them are positive; 255 quantiles would put them into one bin
    // with as many others.
    let mut rng = StdRng::seed_from_u64(4);
    let mut sample: Vec<Sampled> = (0..50_000)
        .map(|i| {
            let value =
                if i % 500 == 0 { rng.random_range(220.0..400.0) } else { rng.random_range(0.0..220.0) };
            let positive = value > 220.0 || rng.random_range(0..200) == 0;
            Sampled { value, target: if positive { 12.0 } else { -0.08 } }
        })
        .collect();
    let budget = CutBudget { bins_max: 256, wide_bins_max: 4_096, side_rows_min: 80 };
    let FeatureBins::Numeric { cuts } = FeatureBins::numeric(&mut sample, budget) else { panic!("a number") };
    let above = sample.iter().map(|row| row.value).find(|value| *value > 220.0).unwrap();
    let below = sample.iter().map(|row| row.value).rfind(|value| *value <= 220.0).unwrap();
    assert!(cuts.iter().any(|cut| below < *cut && *cut <= above), "no cut between {below} and {above}");
    assert!(cuts.len() <= 254 && cuts.is_sorted());
}

#[test]
fn few_values_get_a_bin_each_and_many_at_most_the_budget() {
    let sample = |values: &[f32]| {
        values.iter().map(|value| Sampled { value: *value, target: 0.0 }).collect::<Vec<_>>()
    };
    let budget = CutBudget { bins_max: 64, wide_bins_max: 64, side_rows_min: 8 };
    let cuts = |values: &[f32]| match FeatureBins::numeric(&mut sample(values), budget) {
        FeatureBins::Numeric { cuts } => cuts,
        other => panic!("{other:?}"),
    };
    assert!(cuts(&[]).is_empty());
    assert!(cuts(&[3.0; 10]).is_empty());
    assert_eq!(cuts(&[1.0, 3.0, 1.0, 2.0]), [1.5, 2.5]);
    // Nine of ten rows are 0: the others share the bins.
    let heavy: Vec<f32> = (0..10_000).map(|i| if i % 10 == 0 { i as f32 } else { 0.0 }).collect();
    let found = cuts(&heavy);
    assert!((50..=62).contains(&found.len()), "{} cuts", found.len());
}

#[test]
fn quantised_sums_are_within_their_bound_and_do_not_depend_on_threads() {
    let labels: Vec<f32> = (0..100_000).map(|i| ((i * 7_919) % 1_000) as f32 / 1_000.0 - 0.3).collect();
    let run = |n_threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
        let mut records = vec![Record::default(); labels.len()];
        let units = pool.install(|| quantise(&mut records, 5, &Towards(labels.clone()))).unwrap();
        (records, units)
    };
    let (records, units) = run(1);
    assert_eq!(run(3), (records.clone(), units));
    let sum: i64 = records.iter().map(|record| i64::from((record.pair as i32) >> 16)).sum();
    let exact: f64 = labels.iter().map(|label| -f64::from(*label)).sum();
    let bound = 5.0 * 0.3 * (labels.len() as f64).sqrt() * units.gradient;
    assert!((sum as f64 * units.gradient - exact).abs() < bound);
    assert!(records.iter().all(|record| record.pair & 0xFFFF == 32_767));
    assert!(quantise(&mut [Record::default()], 5, &Towards(vec![f32::NAN])).is_none());
}

#[test]
fn a_subsample_has_its_share_of_rows() {
    let draw = Draw { seed: 5, subsample: 0.3 };
    let taken = (0..100_000).filter(|row| draw.takes(*row)).count();
    assert!((29_000..31_000).contains(&taken), "{taken}");
}

#[test]
fn a_tree_is_made_of_the_rows_that_take_part_and_adds_to_all() {
    let batch = rows(20_000, 3);
    let (matrix, labels) = (matrix(&batch), labels(&batch));
    let config = GbdtConfig { subsample: 0.3, max_depth: 5, cat_l2: 0.0, ..whole() };
    let growth = growth(&matrix, &config);
    let mut learner = TreeLearner::new(&matrix, &growth, Device::Cpu).unwrap();
    let grown = learner.grow(&Towards(labels.clone()), 9).unwrap();
    let draw = Draw { seed: 9, subsample: 0.3 };
    let mut seen = Vec::new();
    for leaf in &grown.leaves {
        let rows = learner.rows_of(leaf).unwrap();
        // Squared error: a leaf's value is its labels' sum over its rows and the penalty.
        let sum: f64 = rows.iter().map(|row| f64::from(labels[*row as usize])).sum();
        let value = grown.values()[leaf.node];
        assert!((value - sum / (rows.len() as f64 + 1.0)).abs() < 1e-3, "{value} of {} rows", rows.len());
        seen.extend(rows);
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..20_000).filter(|row| draw.takes(*row)).collect::<Vec<_>>());
    // `grow` compares what every row gets with where its bins lead.
    grow(&matrix, &labels, &config);
    // None of three rows takes part: a single leaf.
    let few = rows(3, 3);
    let (forest, _) = grow(&matrix_within(&few, 0), &[1.0; 3], &GbdtConfig { subsample: 1e-9, ..whole() });
    assert_eq!(forest.nodes.len(), 1);
}

#[test]
fn quantised_trees_are_those_of_exact_sums_where_gains_differ() {
    let batch = rows(20_000, 13);
    let (matrix, labels) = (matrix(&batch), labels(&batch));
    for subsample in [1.0, 0.5] {
        let quantised = GbdtConfig { max_depth: 3, subsample, ..whole() };
        let exact = GbdtConfig { use_quantized_grad: false, ..quantised.clone() };
        let (a, raw_a) = grow(&matrix, &labels, &quantised);
        let (b, raw_b) = grow(&matrix, &labels, &exact);
        let rules = |forest: &Forest| forest.nodes.iter().map(|node| node.rule).collect::<Vec<_>>();
        assert_eq!(rules(&a), rules(&b));
        assert!(raw_a.iter().zip(&raw_b).all(|(a, b)| (a - b).abs() < 1e-3));
    }
}

#[test]
fn a_histogram_is_the_sum_of_its_rows() {
    let batch = rows(70_000, 1);
    let matrix = matrix(&batch);
    let mut rng = StdRng::seed_from_u64(2);
    // Largest values throughout, so that sums of 32 bits would overflow.
    let pair = |rng: &mut StdRng| {
        if rng.random_range(0..10) == 0 { rng.random::<u32>() & 0xFFFF_7FFF } else { 0x7FFF_7FFF }
    };
    let records: Vec<Record> =
        (0..70_000).chain(0..70_000).map(|row| Record { row, pair: pair(&mut rng) }).collect();
    let mut collector = Collector::default();
    collector.start(matrix.layout.n_bins, Histogram::default());
    collector.add(&matrix, &records);
    let found = collector.finish();
    let mut expected = Histogram { bins: vec![Sums::default(); matrix.layout.n_bins] };
    for record in &records {
        for (place, slot) in matrix.layout.slots.iter().enumerate() {
            let bin = usize::from(matrix.bin(record.row as usize, place));
            let sums = &mut expected.bins[slot.first_bin + bin];
            sums.gradient += i64::from((record.pair as i32) >> 16);
            sums.hessian += i64::from(record.pair & 0xFFFF);
        }
    }
    assert!(found == expected);
}

#[test]
fn the_first_split_is_the_best_by_hand() {
    // Gain of a cut: GL^2/(HL+1) + GR^2/(HR+1) - G^2/(H+1), with labels 4, 4, -2, -2, -2, -2 and no cut but
    // between the second and third row: 64/3 + 64/5 - 0 = 34.1333; leaf values 8/3 and -8/5.
    let numeric = vec![0.1, 0.0, 0.2, 0.0, 0.4, 0.0, 0.5, 0.0, 0.6, 0.0, 0.7, 0.0];
    let batch = FeatureBatch { n_rows: 6, n_numeric: 2, n_categorical: 1, numeric, categorical: vec![0; 6] };
    let config = GbdtConfig { max_depth: 1, ..whole() };
    let (forest, raw) = grow(&matrix(&batch), &[4.0, 4.0, -2.0, -2.0, -2.0, -2.0], &config);
    let root = &forest.nodes[0];
    let Some(NodeRule::Below { feature: 0, threshold, .. }) = root.rule else { panic!("{root:?}") };
    assert!(threshold > 0.2 && threshold <= 0.4, "{threshold}");
    // Gradients are multiples of 4/32,767, of which 2 is half a unit off.
    assert!((root.gain - 34.1333).abs() < 5e-3, "{}", root.gain);
    assert!((root.cover - 6.0).abs() < 1e-6);
    for (found, expected) in raw.iter().zip([8.0 / 3.0, 8.0 / 3.0, -1.6, -1.6, -1.6, -1.6]) {
        assert!((found - expected).abs() < 1e-3, "{raw:?}");
    }
}

#[test]
fn trees_are_the_same_bytes_for_any_number_of_threads_and_score_as_they_were_trained() {
    let batch = rows(60_000, 3);
    let (matrix, labels) = (matrix(&batch), labels(&batch));
    for (policy, max_leaves, subsample) in [(GrowPolicy::Depthwise, 0, 1.0), (GrowPolicy::Lossguide, 40, 0.5)]
    {
        let config = GbdtConfig { max_depth: 8, max_leaves, grow_policy: policy, subsample, ..whole() };
        let run = |n_threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
            pool.install(|| grow(&matrix, &labels, &config))
        };
        let (forest, raw) = run(1);
        for n_threads in [2, 3, 7] {
            let (other, other_raw) = run(n_threads);
            assert_eq!(
                other.to_safetensors().unwrap(),
                forest.to_safetensors().unwrap(),
                "{n_threads} threads"
            );
            assert_eq!(other_raw, raw);
        }
        assert_eq!(CpuForest::new(&forest).unwrap().raw(&batch).unwrap(), raw);
        let n_leaves = forest.nodes.iter().filter(|node| node.rule.is_none()).count();
        assert!(max_leaves == 0 || n_leaves == max_leaves, "{n_leaves} leaves");
        let error: f32 = raw.iter().zip(&labels).map(|(a, b)| (a - b) * (a - b)).sum::<f32>() / 60_000.0;
        assert!(error < 0.1, "mean squared error {error}");
    }
}

#[test]
fn categories_of_few_rows_are_not_told_apart() {
    // Names: 1,000 of two rows each, with labels by chance.
    let mut rng = StdRng::seed_from_u64(15);
    let categorical = (0..2_000).map(|row| row / 2).collect();
    let names =
        FeatureBatch { n_rows: 2_000, n_numeric: 0, n_categorical: 1, numeric: Vec::new(), categorical };
    let mut matrix =
        BinnedMatrix::new(vec![FeatureBins::Categorical { cardinality: 1_000 }], 2_000, usize::MAX);
    matrix.push(&names);
    let labels: Vec<f32> = (0..2_000).map(|_| rng.random_range(-1.0..1.0)).collect();
    let n_leaves = |cat_smooth: f64| {
        let growth = growth(&matrix, &GbdtConfig { cat_smooth, ..whole() });
        let mut learner = TreeLearner::new(&matrix, &growth, Device::Cpu).unwrap();
        learner.grow(&Towards(labels.clone()), 1).unwrap().leaves.len()
    };
    assert_eq!(n_leaves(10.0), 1);
    assert!(n_leaves(0.0) > 4, "without smoothing their labels are learned by heart");
}

#[test]
fn trees_are_the_same_without_the_columns() {
    let batch = rows(30_000, 12);
    let labels = labels(&batch);
    let config = GbdtConfig { max_depth: 8, ..whole() };
    // Four bytes a row: one of a, two of b, one of c.
    let [with, without] = [4 * 30_000, 4 * 30_000 - 1].map(|limit| matrix_within(&batch, limit));
    assert!(matches!(with.bins_of(0), matrix::BinsOf::Narrow(_)));
    assert!(matches!(with.bins_of(2), matrix::BinsOf::Wide(_)));
    assert!((0..3).all(|place| matches!(without.bins_of(place), matrix::BinsOf::InRows { .. })));
    assert_eq!(grow(&with, &labels, &config), grow(&without, &labels, &config));
}

#[test]
fn gradients_too_small_for_a_scale_are_nothing() {
    let mut records = vec![Record::default(); 10];
    let units = quantise(&mut records, 1, &Towards(vec![1e-31; 10])).unwrap();
    assert!(records.iter().all(|record| record.pair >> 16 == 0) && units.gradient > 0.0);
}

#[test]
fn gpus_that_share_the_rows_grow_the_same_trees() {
    let Some(client) = gpu::testing::client_or_skip("gpus_that_share_the_rows_grow_the_same_trees") else {
        return;
    };
    let batch = rows(5_000, 14);
    let (matrix, labels) = (matrix(&batch), labels(&batch));
    let monotone = [("b".to_owned(), 1)].into_iter().collect();
    let configs = [
        GbdtConfig { max_depth: 7, ..whole() },
        GbdtConfig { subsample: 0.4, ..whole() },
        GbdtConfig { grow_policy: GrowPolicy::Lossguide, max_depth: 0, max_leaves: 40, ..whole() },
        GbdtConfig { reg_lambda: 0.0, min_child_weight: 30.0, gamma: 0.5, ..whole() },
        GbdtConfig { reg_alpha: 0.3, ..whole() },
        GbdtConfig { max_delta_step: 0.4, ..whole() },
        GbdtConfig { monotone_constraints: monotone, ..whole() },
        GbdtConfig { colsample_bynode: 0.5, max_cat_to_onehot: 2, ..whole() },
    ];
    for config in configs {
        let one = grow(&matrix, &labels, &config);
        let growth = growth(&matrix, &config);
        for n_shares in [1, 2, 3] {
            let rows = gpu::shared(&matrix, &growth, vec![client.clone(); n_shares]).unwrap();
            let found = grow_with(TreeLearner::with(&matrix, &growth, rows), &matrix, &labels);
            assert_eq!(found, one, "{n_shares} shares");
        }
    }
    // Scores that stay on the devices: each share has its own rows, lots and largest gradient.
    let config = GbdtConfig { subsample: 0.4, ..whole() };
    let grow_two = |rows: Option<Box<dyn store::RowStore>>| {
        let growth = growth(&matrix, &config);
        let mut learner = match rows {
            Some(rows) => TreeLearner::with(&matrix, &growth, rows),
            None => TreeLearner::new(&matrix, &growth, Device::Cpu).unwrap(),
        };
        let mut raw = vec![0.0; 5_000];
        for seed in [3, 4] {
            let loss = RowScores { loss: RowLoss::SquaredError, raw: &raw, labels: &labels, weights: None };
            let grown = learner.grow(&OfRows(loss), seed).unwrap();
            let values: Vec<f32> = grown.values().iter().map(|value| 0.5 * *value as f32).collect();
            learner.add_values(&grown, &values, &mut raw, 1).unwrap();
        }
        raw
    };
    let one = grow_two(None);
    for n_shares in [1, 2, 3] {
        let growth = growth(&matrix, &config);
        let rows = gpu::shared(&matrix, &growth, vec![client.clone(); n_shares]).unwrap();
        assert_eq!(grow_two(Some(rows)), one, "{n_shares} shares");
    }
    // More devices than rows.
    let few = rows(2, 14);
    let matrix = matrix_within(&few, 0);
    let growth = growth(&matrix, &whole());
    let rows = gpu::shared(&matrix, &growth, vec![client; 3]).unwrap();
    let found = grow_with(TreeLearner::with(&matrix, &growth, rows), &matrix, &[1.0, 2.0]);
    assert_eq!(found, grow(&matrix, &[1.0, 2.0], &whole()));
}

#[test]
fn a_monotone_constraint_holds_everywhere() {
    let batch = rows(20_000, 6);
    let matrix = matrix(&batch);
    // Falls in b for most rows, so that the constraint binds.
    let labels: Vec<f32> =
        (0..20_000).map(|i| (9.0 * batch.numeric[2 * i + 1]).sin() + labels(&batch)[i] * 0.1).collect();
    let mut config = GbdtConfig { max_depth: 6, ..whole() };
    let rises = |config: &GbdtConfig| {
        let (forest, _) = grow(&matrix, &labels, config);
        let score = |a: f32, b: f32, code: u32| forest.raw(&[a, b], &[code])[0];
        let places = |f: &dyn Fn(f32, f32, u32) -> bool| {
            [0.1, 0.5, 0.9, f32::NAN]
                .into_iter()
                .all(|a| (0..5).all(|code| (0..200).all(|i| f(a, i as f32 / 200.0, code))))
        };
        places(&|a, b, code| score(a, b + 0.005, code) >= score(a, b, code))
    };
    assert!(!rises(&config), "without a constraint it does not only rise");
    config.monotone_constraints.insert("b".into(), 1);
    assert!(rises(&config));
}

#[test]
fn features_that_may_not_interact_do_not_share_a_path() {
    let batch = rows(20_000, 8);
    let config = GbdtConfig {
        interaction_constraints: vec![vec!["a".into(), "c".into()], vec!["b".into()]],
        ..whole()
    };
    let (forest, _) = grow(&matrix(&batch), &labels(&batch), &config);
    let mut paths = vec![(0_usize, Vec::new())];
    let mut seen = 0;
    while let Some((at, path)) = paths.pop() {
        let Some(NodeRule::Below { feature, left, .. } | NodeRule::In { feature, left, .. }) =
            forest.nodes[at].rule
        else {
            seen += 1;
            continue;
        };
        assert!(path.iter().all(|other: &u32| (*other == 1) == (feature == 1)), "{path:?} then {feature}");
        let path: Vec<u32> = path.into_iter().chain([feature]).collect();
        paths.extend([(left as usize, path.clone()), (left as usize + 1, path)]);
    }
    assert!(seen > 4);
}

#[test]
fn constant_and_missing_columns_and_single_rows_make_a_tree() {
    let config = whole();
    for (n_rows, number) in [(1, 0.5), (40, 0.5), (40, f32::NAN)] {
        let batch = FeatureBatch {
            n_rows,
            n_numeric: 2,
            n_categorical: 1,
            numeric: vec![number; 2 * n_rows],
            categorical: vec![3; n_rows],
        };
        let labels: Vec<f32> = (0..n_rows).map(|i| i as f32).collect();
        let (forest, _) = grow(&matrix(&batch), &labels, &config);
        assert_eq!(forest.nodes.len(), 1, "there is nothing to split by");
    }
}

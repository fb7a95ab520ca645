use std::sync::Arc;

use arrow::array::{Array, AsArray, Float64Array, StringArray};
use arrow::datatypes::Float64Type;
use arrow::record_batch::RecordBatch;

use super::super::{FeaturesConfig, NumericStep, PlanError, Scale, fit};
use super::rows::{batch, column, config, fitted, fitted_with, schema};
use crate::prepare::PrepareConfig;
use crate::schema::{ColumnType, Schema};

fn one_column(values: &[f64]) -> (Schema, RecordBatch) {
    let columns = [("x".to_owned(), column(ColumnType::Float64, true))].into_iter().collect();
    let schema = Schema { columns, ..Schema::default() };
    let batch =
        RecordBatch::try_new(schema.arrow(), vec![Arc::new(Float64Array::from(values.to_vec()))]).unwrap();
    (schema, batch)
}

/// Fits on `train` and maps `values`.
fn quantile_normalised(train: &[f64], values: &[f64]) -> Vec<f32> {
    let (schema, rows) = one_column(train);
    let plan = fit(
        &mut std::iter::once(Ok(rows)),
        &schema,
        &FeaturesConfig::default(),
        &PrepareConfig::default(),
        0,
    )
    .unwrap();
    plan.compile().unwrap().apply(&one_column(values).1).unwrap().numeric
}

#[test]
fn quantile_normalisation_is_that_of_scikit_learn() {
    // QuantileTransformer(output_distribution="normal", n_quantiles=1000, subsample=None) of
    // scikit-learn 1.9.1 on these 5,000 values: 30 % zeros, 20 % sevens, two heavy tails.
    let train: Vec<f64> = (0..5000)
        .map(|i| (f64::from(i) * 0.618_033_988_749_894_9) % 1.0)
        .map(|u| match u {
            u if u > 0.95 => -(20.0 * (u - 0.95)).exp(),
            u if u < 0.3 => 0.0,
            u if u < 0.5 => 7.0,
            u => (12.0 * u - 6.0).exp(),
        })
        .collect();
    let expected = [
        (-10.0, -5.199_337_582_605_575),
        (-2.5, -2.651_820_692_452_353),
        (-2.0, -2.167_217_177_349_574_5),
        (-1.5, -1.885_941_309_849_661_6),
        (-1.0001, -1.654_003_069_282_545),
        (-0.5, -1.649_166_186_121_646),
        (0.0, -0.842_694_365_194_144),
        (0.5, -0.385_734_650_373_376_1),
        (1.5, -0.296_334_654_975_724_8),
        (6.9, 0.027_005_360_298_366_823),
        (7.0, 0.284_828_187_531_132_8),
        (7.1, 0.563_698_071_221_668_7),
        (20.0, 0.841_017_676_671_836_7),
        (100.0, 1.504_158_953_733_517),
        (180.0, 2.113_556_097_616_092_5),
        (300.0, 5.199_337_582_703_42),
        (500.0, 5.199_337_582_703_42),
    ];
    let values: Vec<f64> = expected.iter().map(|e| e.0).collect();
    for ((x, z), got) in expected.iter().zip(quantile_normalised(&train, &values)) {
        assert!((f64::from(got) - z).abs() < 2e-3, "{x}: {got}, scikit-learn has {z}");
    }
}

#[test]
fn quantile_normalisation_of_few_rows_is_that_of_scikit_learn() {
    // The same transformer on 15 values.
    let train = [3., 1., 4., 1., 5., 9., 2., 6., 5., 3., 5., 8., 9., 7., 9.];
    let expected = [
        (0.0, -5.199_337_582_605_575),
        (1.0, -5.199_337_582_605_575),
        (1.5, -1.241_866_791_843_320_2),
        (2.0, -1.067_570_523_878_141_4),
        (3.0, -0.674_489_750_196_081_7),
        (4.2, -0.328_072_107_531_651_1),
        (5.0, 0.0),
        (5.5, 0.271_880_005_399_260_77),
        (7.0, 0.565_948_821_932_863_1),
        (8.9, 1.036_433_389_493_789_8),
        (9.0, 5.199_337_582_703_42),
        (10.0, 5.199_337_582_703_42),
    ];
    let values: Vec<f64> = expected.iter().map(|e| e.0).collect();
    for ((x, z), got) in expected.iter().zip(quantile_normalised(&train, &values)) {
        assert!((f64::from(got) - z).abs() < 1e-3, "{x}: {got}, scikit-learn has {z}");
    }
}

#[test]
fn what_is_learned_of_numbers_is_right() {
    let plan = fitted(&config(r#"{"normalise": "standard"}"#));
    let step = |name: &str| plan.numeric.iter().find(|f| f.name == name).map(|f| f.step.clone());
    let Some(NumericStep::Value { impute, scale: Scale::Standard { mean, sd }, .. }) = step("count") else {
        panic!()
    };
    // 0..5, 200 times each.
    assert_eq!((impute, mean), (2.0, 2.0));
    assert!((sd - 2.0_f64.sqrt()).abs() < 1e-12);
    let amounts = batch(0, 1000).column_by_name("amount").unwrap().as_primitive::<Float64Type>().clone();
    let mut sorted: Vec<f64> = amounts.iter().flatten().collect();
    sorted.sort_by(f64::total_cmp);
    let Some(NumericStep::Value { impute, .. }) = step("amount") else { panic!() };
    assert_eq!(impute, (sorted[449] + sorted[450]) / 2.0);
}

#[test]
fn missing_flags_are_made_where_some_rows_have_no_value() {
    let plan = fitted(&config("{}"));
    let names: Vec<_> = plan.numeric.iter().map(|f| f.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "ts.hour",
            "ts.weekday",
            "amount",
            "amount.missing",
            "count",
            "flag",
            "flag.missing",
            "constant",
            "empty"
        ]
    );
}

#[test]
fn constant_and_empty_columns_are_zero() {
    let plan = fitted(&config("{}"));
    for name in ["constant", "empty"] {
        let feature = plan.numeric.iter().find(|f| f.name == name).unwrap();
        assert!(matches!(feature.step, NumericStep::Value { scale: Scale::Constant, .. }), "{name}");
        let out = plan.clone().compile().unwrap().apply(&batch(0, 50)).unwrap();
        assert!(super::rows::numeric(&plan, &out, name).iter().all(|v| *v == 0.0));
    }
}

#[test]
fn impute_and_clip_are_as_configured() {
    let prepare: PrepareConfig = serde_json::from_str(
        r#"{"impute": {"amount": 1.5, "flag": "mean"}, "clip": {"amount": {"value": [2.0, 50.0]}, "count": {"quantile": [0.1, 0.9]}}}"#,
    )
    .unwrap();
    let plan = fitted_with(&config(r#"{"normalise": "none"}"#), &prepare).unwrap();
    let out = plan.clone().compile().unwrap().apply(&batch(0, 20)).unwrap();
    let amount = super::rows::numeric(&plan, &out, "amount");
    assert_eq!(amount[3], 2.0); // missing: 1.5, then pulled up
    assert!(amount.iter().all(|v| (2.0..=50.0).contains(v)));
    let NumericStep::Value { impute, .. } = plan.numeric.iter().find(|f| f.name == "flag").unwrap().step
    else {
        panic!()
    };
    let flags: Vec<bool> =
        batch(0, 1000).column_by_name("flag").unwrap().as_boolean().iter().flatten().collect();
    let share = flags.iter().filter(|f| **f).count() as f64 / flags.len() as f64;
    assert!((impute - share).abs() < 1e-12);
}

#[test]
fn the_vocabulary_is_by_count_then_by_name_without_the_rare() {
    let plan = fitted(&config("{}"));
    // 390, 260, 130 and 129 rows.
    assert_eq!(plan.categorical[0].categories, ["Oslo", "Bern", "Rome", "Lima"]);
    let plan = fitted(&config(r#"{"categories": {"categories_max": 2}}"#));
    assert_eq!(plan.categorical[0].categories, ["Oslo", "Bern"]);
    let plan = fitted(&config(r#"{"categories": {"count_min": 200}}"#));
    assert_eq!(plan.categorical[0].categories, ["Oslo", "Bern"]);
    assert_eq!(plan.cardinalities(), [4]);
}

#[test]
fn ten_thousand_categories_are_fine() {
    let columns = [("c".to_owned(), column(ColumnType::String, true))].into_iter().collect();
    let schema = Schema { columns, ..Schema::default() };
    let values: StringArray = (0..50_000).map(|i| Some(format!("c{}", i % 10_000))).collect();
    let rows = RecordBatch::try_new(schema.arrow(), vec![Arc::new(values)]).unwrap();
    let features = config(r#"{"categories": {"categories_max": 20000}}"#);
    let plan = fit(&mut std::iter::once(Ok(rows.clone())), &schema, &features, &PrepareConfig::default(), 0)
        .unwrap();
    assert_eq!(plan.cardinalities(), [10_002]);
    let out = plan.compile().unwrap().apply(&rows).unwrap();
    let mut seen: Vec<u32> = out.categorical[..10_000].to_vec();
    seen.sort_unstable();
    assert_eq!(seen, (2..10_002).collect::<Vec<_>>());
}

#[test]
fn a_sample_of_the_rows_depends_on_the_seed_alone_and_is_close() {
    let features = config(r#"{"fit_rows_max": 300}"#);
    let learn = |seed, step: i64| {
        let mut rows = (0..20_000).step_by(step as usize).map(|from| Ok(batch(from, from + step)));
        fit(&mut rows, &schema(), &features, &PrepareConfig::default(), seed).unwrap()
    };
    let plan = learn(1, 5_000);
    assert_ne!(plan, learn(2, 5_000));
    let of = |plan: &super::super::FittedPlan| match &plan.numeric[2].step {
        NumericStep::Value { impute, scale: Scale::Quantile { quantiles }, .. } => {
            (*impute, quantiles.clone())
        }
        _ => panic!(),
    };
    // How the rows are cut into batches does not matter to the sample.
    assert_eq!(of(&plan), of(&learn(1, 250)));
    // exp(8 u) with u uniform: the median is e^4, and 300 rows put u within 0.1 of it.
    assert!((of(&plan).0.ln() / 8.0 - 0.5).abs() < 0.1);
}

#[test]
fn no_training_rows_is_an_error() {
    let features = FeaturesConfig::default();
    let error = fit(&mut std::iter::empty(), &schema(), &features, &PrepareConfig::default(), 0).unwrap_err();
    assert!(matches!(error, PlanError::NoRows));
}

#[test]
fn the_default_configuration_samples_200_000_rows() {
    assert_eq!(FeaturesConfig::default().fit_rows_max, 200_000);
    assert_eq!(config("{}"), FeaturesConfig::default());
}

#[test]
fn a_plan_survives_json_exactly() {
    let plan = fitted(&config(r#"{"sql": {"ratio": "amount / (count + 1)"}}"#));
    let json = serde_json::to_string(&plan).unwrap();
    let read: super::super::FittedPlan = serde_json::from_str(&json).unwrap();
    assert_eq!(read, plan);
    let rows = batch(1000, 1500);
    let before = plan.compile().unwrap().apply(&rows).unwrap();
    let after = read.compile().unwrap().apply(&rows).unwrap();
    assert!(before.numeric.iter().zip(&after.numeric).all(|(a, b)| a.to_bits() == b.to_bits()));
    assert!(!rows.column(2).is_empty());
}

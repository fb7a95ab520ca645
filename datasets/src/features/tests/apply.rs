use std::sync::Arc;

use arrow::array::{Float64Array, Int64Array, StringArray};
use arrow::datatypes::Schema as ArrowSchema;
use arrow::record_batch::RecordBatch;

use super::super::{FeatureBatch, FeaturesConfig, PlanError, fit};
use super::rows::{batch, codes, column, config, fitted, numeric};
use crate::prepare::PrepareConfig;
use crate::schema::{ColumnType, Schema};

const EVERYTHING: &str = r#"{
    "numeric": ["amount", "count", "flag", "ts", "ts.hour", "ts.weekday", "ts.month", "constant", "empty"],
    "categorical": ["city", "id"],
    "sql": {
        "ratio": "amount / count",
        "whole": "10 / count",
        "night": "date_part('hour', ts) < 6",
        "shout": "upper(city) || '!'",
        "log": "ln(amount - 1.5)",
        "bucket": "case when amount > 100 then 'big' when amount is null then null else 'small' end"
    }
}"#;

fn same_bits(a: &FeatureBatch, b: &FeatureBatch) -> bool {
    a.categorical == b.categorical
        && a.numeric.len() == b.numeric.len()
        && a.numeric.iter().zip(&b.numeric).all(|(a, b)| a.to_bits() == b.to_bits())
}

#[test]
fn a_batch_is_its_rows_one_by_one_bit_for_bit() {
    for normalise in ["quantile", "standard", "none"] {
        let mut features = config(EVERYTHING);
        features.normalise = Some(serde_json::from_value(normalise.into()).unwrap());
        let plan = fitted(&features).compile().unwrap();
        let rows = batch(300, 3000);
        let together = plan.apply(&rows).unwrap();
        assert!(together.numeric.iter().all(|v| v.is_finite()));
        for i in 0..rows.num_rows() {
            let one = plan.apply(&rows.slice(i, 1)).unwrap();
            let n = together.n_numeric;
            let c = together.n_categorical;
            let expected = FeatureBatch {
                n_rows: 1,
                n_numeric: n,
                n_categorical: c,
                numeric: together.numeric[i * n..(i + 1) * n].to_vec(),
                categorical: together.categorical[i * c..(i + 1) * c].to_vec(),
            };
            assert!(same_bits(&one, &expected), "row {i}: {one:?} {expected:?}");
        }
    }
}

#[test]
fn extra_columns_and_their_order_do_not_matter_and_missing_ones_are_named() {
    let plan = fitted(&config(EVERYTHING)).compile().unwrap();
    let rows = batch(0, 100);
    let order: Vec<usize> = (0..rows.num_columns()).rev().collect();
    assert!(same_bits(&plan.apply(&rows).unwrap(), &plan.apply(&rows.project(&order).unwrap()).unwrap()));
    let error = plan.apply(&rows.project(&[0, 1, 3]).unwrap()).unwrap_err();
    assert!(matches!(&error, PlanError::Input { column, .. } if column == "amount"), "{error}");
    let retyped =
        RecordBatch::try_from_iter(rows.schema().fields().iter().zip(rows.columns()).map(|(f, c)| {
            let text = arrow::compute::cast(c, &arrow::datatypes::DataType::Utf8).unwrap();
            (f.name().clone(), text)
        }));
    assert!(matches!(plan.apply(&retyped.unwrap()).unwrap_err(), PlanError::Input { .. }));
}

#[test]
fn categories_have_their_codes() {
    let columns = ["c", "n"].into_iter().zip([ColumnType::String, ColumnType::Int64]);
    let schema = Schema {
        columns: columns.map(|(name, kind)| (name.to_owned(), column(kind, false))).collect(),
        ..Schema::default()
    };
    let rows = |c: Vec<Option<&str>>, n: Vec<Option<i64>>| {
        RecordBatch::try_new(
            schema.arrow(),
            vec![Arc::new(StringArray::from(c)), Arc::new(Int64Array::from(n))],
        )
        .unwrap()
    };
    let features = config(r#"{"categorical": ["c", "n"], "categories": {"count_min": 2}}"#);
    let train = rows(
        vec![Some("b"), Some("a"), Some("b"), Some("a"), Some("b"), Some("rare")],
        vec![Some(5), Some(-3), Some(5), Some(-3), None, Some(7)],
    );
    let plan =
        fit(&mut std::iter::once(Ok(train)), &schema, &features, &PrepareConfig::default(), 0).unwrap();
    assert_eq!(plan.categorical[0].categories, ["b", "a"]);
    assert_eq!(plan.categorical[1].categories, ["-3", "5"]);
    let test = rows(
        vec![None, Some("rare"), Some("new"), Some("b"), Some("a")],
        vec![None, Some(7), Some(8), Some(-3), Some(5)],
    );
    let out = plan.clone().compile().unwrap().apply(&test).unwrap();
    assert_eq!(codes(&plan, &out, "c"), [0, 1, 1, 2, 3]);
    assert_eq!(codes(&plan, &out, "n"), [0, 1, 1, 2, 3]);
}

#[test]
fn sql_features_have_their_values_and_a_row_on_which_one_fails_has_none() {
    let features = config(
        r#"{"numeric": ["ts.hour", "ts.weekday", "ts.month"], "categorical": [], "normalise": "none",
            "sql": {"whole": "10 / count", "night": "date_part('hour', ts) < 6"}}"#,
    );
    let plan = fitted(&features);
    let out = plan.clone().compile().unwrap().apply(&batch(0, 30)).unwrap();
    // 10 / 0 fails in rows 0, 5, 10, ...: those get the median of 10, 5, 3 and 2, and are flagged.
    assert_eq!(numeric(&plan, &out, "whole")[..6], [4.0, 10.0, 5.0, 3.0, 2.0, 4.0]);
    assert_eq!(numeric(&plan, &out, "whole.missing")[..6], [1.0, 0.0, 0.0, 0.0, 0.0, 1.0]);
    assert_eq!(numeric(&plan, &out, "night")[..8], [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0]);
    assert_eq!(numeric(&plan, &out, "ts.hour")[22..26], [22.0, 23.0, 0.0, 1.0]);
    assert_eq!(numeric(&plan, &out, "ts.weekday")[23..25], [5.0, 6.0]); // Friday, Saturday
    assert_eq!(numeric(&plan, &out, "ts.month")[0], 3.0);
}

#[test]
fn column_names_of_any_kind_work() {
    let columns = [
        ("hours per week".to_owned(), column(ColumnType::Float64, true)),
        ("UPPER".to_owned(), column(ColumnType::Float64, true)),
    ];
    let schema = Schema { columns: columns.into_iter().collect(), ..Schema::default() };
    let values = || Arc::new(Float64Array::from(vec![1.0, 2.0, 4.0]));
    let rows = RecordBatch::try_new(schema.arrow(), vec![values(), values()]).unwrap();
    let features = config(r#"{"normalise": "none", "sql": {"Sum of both": "\"hours per week\" + UPPER"}}"#);
    let plan = fit(&mut std::iter::once(Ok(rows.clone())), &schema, &features, &PrepareConfig::default(), 0)
        .unwrap();
    let out = plan.clone().compile().unwrap().apply(&rows).unwrap();
    assert_eq!(numeric(&plan, &out, "Sum of both"), [2.0, 4.0, 8.0]);
}

#[test]
fn numbers_that_are_none_count_as_missing() {
    let columns = [("x".to_owned(), column(ColumnType::Float64, true))].into_iter().collect();
    let schema = Schema { columns, ..Schema::default() };
    let rows =
        |v: Vec<f64>| RecordBatch::try_new(schema.arrow(), vec![Arc::new(Float64Array::from(v))]).unwrap();
    let train = rows(vec![1.0, 2.0, 3.0, f64::NAN, f64::INFINITY]);
    let plan = fit(
        &mut std::iter::once(Ok(train)),
        &schema,
        &FeaturesConfig::default(),
        &PrepareConfig::default(),
        0,
    )
    .unwrap();
    let out = plan.clone().compile().unwrap().apply(&rows(vec![f64::NEG_INFINITY, 2.0, 1e300])).unwrap();
    assert_eq!(numeric(&plan, &out, "x.missing"), [1.0, 0.0, 0.0]);
    let x = numeric(&plan, &out, "x");
    assert_eq!((x[0], x[1]), (0.0, 0.0));
    assert!(x[2] > 5.19 && x[2] < 5.2);
}

#[test]
fn an_empty_batch_gives_an_empty_batch() {
    let plan = fitted(&config(EVERYTHING)).compile().unwrap();
    let empty = RecordBatch::new_empty(Arc::new(ArrowSchema::clone(&batch(0, 1).schema())));
    assert_eq!(plan.apply(&empty).unwrap().numeric, Vec::<f32>::new());
}

#[test]
fn a_damaged_plan_is_refused() {
    let plan = fitted(&config("{}"));
    let json = serde_json::to_string(&plan).unwrap();
    for (from, to) in
        [("\"source\":\"amount\"", "\"source\":\"gone\""), ("date_part('hour'", "date_part('hour',")]
    {
        assert!(json.contains(from));
        let broken: super::super::FittedPlan = serde_json::from_str(&json.replace(from, to)).unwrap();
        assert!(matches!(broken.compile().unwrap_err(), PlanError::Feature { .. }));
    }
}

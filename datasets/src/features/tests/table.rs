use super::super::{FeatureTable, LabelledBatch};
use super::rows::{batch, config, fitted};
use crate::schema::Schema;

#[test]
fn the_feature_table_gives_back_what_went_in() {
    let plan = fitted(&config("{}"));
    let features = plan.clone().compile().unwrap().apply(&batch(0, 64)).unwrap();
    let labels: Vec<f32> = (0..64).map(|i| i as f32 / 3.0).collect();
    let weights: Vec<f32> = (0..64).map(|i| 1.0 + i as f32).collect();
    let groups: Vec<u64> = (0..64).map(|i| u64::MAX - i / 8).collect();
    for (weights, groups) in [(None, None), (Some(weights), None), (None, Some(groups))] {
        let name = |present: bool| present.then(|| "column".to_owned());
        let roles =
            Schema { weight: name(weights.is_some()), group: name(groups.is_some()), ..Schema::default() };
        let table = FeatureTable::new(&plan, &roles);
        let expected = LabelledBatch { features: features.clone(), labels: labels.clone(), weights, groups };
        let rows = table.encode(&expected, &["train"; 64]).unwrap();
        assert_eq!(rows.schema(), table.schema());
        assert_eq!(FeatureTable::decode(&plan, &rows).unwrap(), expected);
    }
}

#[test]
fn a_table_of_another_plan_is_refused() {
    let plan = fitted(&config(r#"{"numeric": ["amount"]}"#));
    let features = plan.clone().compile().unwrap().apply(&batch(0, 3)).unwrap();
    let table = FeatureTable::new(&plan, &Schema::default());
    let whole = LabelledBatch { features, labels: vec![0.0; 3], ..LabelledBatch::default() };
    let short = LabelledBatch { labels: vec![0.0; 2], ..whole.clone() };
    let weighted = LabelledBatch { weights: Some(vec![1.0; 3]), ..whole.clone() };
    assert!(table.encode(&short, &["train"; 3]).is_err());
    assert!(table.encode(&weighted, &["train"; 3]).is_err(), "the table has no weights");
    let rows = table.encode(&whole, &["train"; 3]).unwrap();
    let other = fitted(&config(r#"{"numeric": ["count"]}"#));
    let error = FeatureTable::decode(&other, &rows).unwrap_err().to_string();
    assert!(error.contains("no column count") && error.contains("run the features stage again"), "{error}");
    let few = fitted(&config(r#"{"numeric": ["amount"], "categories": {"categories_max": 1}}"#));
    let error = FeatureTable::decode(&few, &rows).unwrap_err().to_string();
    assert!(error.contains("a code that the plan has not"), "{error}");
}

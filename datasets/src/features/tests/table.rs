use super::super::{FeatureTable, LabelledBatch};
use super::rows::{batch, config, fitted};

#[test]
fn the_feature_table_gives_back_what_went_in() {
    let plan = fitted(&config("{}"));
    let features = plan.clone().compile().unwrap().apply(&batch(0, 64)).unwrap();
    let labels: Vec<f32> = (0..64).map(|i| i as f32 / 3.0).collect();
    let weights: Vec<f32> = (0..64).map(|i| 1.0 + i as f32).collect();
    for weights in [None, Some(weights.as_slice())] {
        let table = FeatureTable::new(&plan, weights.is_some());
        let rows = table.encode(&features, &labels, weights, &["train"; 64]).unwrap();
        assert_eq!(rows.schema(), FeatureTable::schema(&plan, weights.is_some()));
        let expected = LabelledBatch {
            features: features.clone(),
            labels: labels.clone(),
            weights: weights.map(<[f32]>::to_vec),
        };
        assert_eq!(FeatureTable::decode(&plan, &rows).unwrap(), expected);
    }
}

#[test]
fn a_table_of_another_plan_is_refused() {
    let plan = fitted(&config(r#"{"numeric": ["amount"]}"#));
    let features = plan.clone().compile().unwrap().apply(&batch(0, 3)).unwrap();
    let table = FeatureTable::new(&plan, false);
    assert!(table.encode(&features, &[0.0; 2], None, &["train"; 3]).is_err());
    let rows = table.encode(&features, &[0.0; 3], None, &["train"; 3]).unwrap();
    let other = fitted(&config(r#"{"numeric": ["count"]}"#));
    let error = FeatureTable::decode(&other, &rows).unwrap_err().to_string();
    assert!(error.contains("no column count") && error.contains("run the features stage again"), "{error}");
    let few = fitted(&config(r#"{"numeric": ["amount"], "categories": {"categories_max": 1}}"#));
    let error = FeatureTable::decode(&few, &rows).unwrap_err().to_string();
    assert!(error.contains("a code that the plan has not"), "{error}");
}

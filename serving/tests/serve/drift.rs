use cupola_datasets::profile::DataProfile;
use cupola_monitoring::drift::{DriftConfig, ReferenceProfile};
use cupola_serving::ServeConfig;
use serde_json::{Value, json};

use crate::support::{Models, Network, Running, config, plan, record, rows};

/// `fraud` with the profile of `records` and of what the model scores for them.
fn profiled(records: &[Value]) -> Models {
    let models = Models::empty();
    models.add("fraud", 1);
    let scores = models.score("fraud", 1, records);
    let mut batches = [Ok(rows(records))].into_iter();
    let data = DataProfile::compute(&mut batches, &plan().input, None).unwrap();
    let profile = serde_json::to_value(ReferenceProfile::new(data, &scores, 1)).unwrap();
    let version = models.register("fraud", &Network { profile, ..Network::default() });
    models.alias("fraud", "champion", version);
    models
}

fn watching() -> ServeConfig {
    let drift = DriftConfig { rows_per_second: 1_000_000, rows_min: 1_000, ..DriftConfig::default() };
    ServeConfig { drift, ..config() }
}

fn column(server: &Running, column: &str) -> Option<f64> {
    server.metric("cupola_feature_psi", &["version=\"2\"", &format!("column=\"{column}\"")])
}

fn score(server: &Running) -> Option<f64> {
    server.metric("cupola_score_psi", &["version=\"2\"", "output=\"score\""])
}

#[test]
fn columns_and_scores_that_moved_are_told_from_those_that_did_not() {
    let records: Vec<_> = (0..1_000).map(record).collect();
    let models = profiled(&records);
    let same = models.serve(watching());
    assert_eq!(same.predict(json!({ "records": records[..900] })).status, 200);
    assert_eq!((column(&same, "amount"), score(&same)), (None, None), "too few rows yet");
    assert_eq!(same.predict(json!({ "records": records[900..] })).status, 200);
    for name in ["amount", "age", "country"] {
        assert!(column(&same, name).unwrap() < 0.01, "{name}: {:?}", column(&same, name));
    }
    assert!(score(&same).unwrap() < 0.01, "{:?}", score(&same));
    assert_eq!(column(&same, "card_id"), None, "no input of the model");

    let moved = models.serve(watching());
    let shifted: Vec<_> = (0..1_000)
        .map(|i| {
            let mut record = record(i);
            record["amount"] = json!(5_000 + i);
            record
        })
        .collect();
    assert_eq!(moved.predict(json!({ "records": shifted })).status, 200);
    assert!(column(&moved, "amount").unwrap() > 1.0);
    assert!(column(&moved, "age").unwrap() < 0.01 && column(&moved, "country").unwrap() < 0.01);
    assert!(score(&moved).unwrap() > 0.25, "{:?}", score(&moved));
}

#[test]
fn drift_of_a_version_that_is_no_longer_served_is_forgotten() {
    let records: Vec<_> = (0..1_000).map(record).collect();
    let models = profiled(&records);
    let server = models.serve(watching());
    assert_eq!(server.predict(json!({ "records": records })).status, 200);
    assert!(column(&server, "amount").is_some());
    models.alias("fraud", "champion", 1);
    server.until("the gauges are gone", |s| column(s, "amount").is_none() && score(s).is_none());
}

#[test]
fn the_rows_looked_at_are_limited_and_may_be_none() {
    let records: Vec<_> = (0..1_000).map(record).collect();
    let models = profiled(&records);
    let drift = |rows_per_second| DriftConfig { rows_per_second, ..watching().drift };
    let none = models.serve(ServeConfig { drift: drift(0), ..config() });
    // A thousand rows at five per second would take far longer than this test.
    let few = models.serve(ServeConfig { drift: drift(5), ..config() });
    for server in [none, few] {
        assert_eq!(server.predict(json!({ "records": records })).status, 200);
        assert_eq!(server.predict(json!({ "records": records })).status, 200);
        assert_eq!((column(&server, "amount"), score(&server)), (None, None));
    }
}

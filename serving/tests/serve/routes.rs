use cupola_serving::ServeConfig;
use serde_json::{Value, json};

use crate::support::{Models, Network, Running, record, route};

fn versions(reply: &Value) -> Vec<u64> {
    let predictions = reply["predictions"].as_array().unwrap();
    match &reply["version"] {
        Value::Null => predictions.iter().map(|p| p["version"].as_u64().unwrap()).collect(),
        version => vec![version.as_u64().unwrap(); predictions.len()],
    }
}

#[test]
fn records_are_shared_out_by_their_field_and_each_says_its_version() {
    let models = Models::two_versions();
    let weights = json!({ "champion": 80, "challenger": 20 });
    let server = models.serve(route(json!({ "kind": "ab", "by": "card_id", "weights": weights })));
    let records: Vec<_> = (0..4_000).map(record).collect();
    let reply = server.predict(json!({ "records": records })).body;
    let versions = versions(&reply);
    let challenged = versions.iter().filter(|v| **v == 2).count();
    // Four standard deviations of 4,000 draws at 0.2 are 101.
    assert!(challenged.abs_diff(800) < 101, "{challenged}");
    let scores = [models.score("fraud", 1, &records), models.score("fraud", 2, &records)];
    for (i, version) in versions.iter().enumerate() {
        let score = reply["predictions"][i]["score"].as_f64().unwrap() as f32;
        assert_eq!(score, scores[*version as usize - 1][i], "record {i}");
    }
    for i in [0, 1, 2, 3, 17, 3_999] {
        let alone = server.predict(&records[i]).body;
        assert_eq!(alone["version"].as_u64(), Some(versions[i]), "record {i} is sticky");
        assert!(alone["predictions"][0].get("version").is_none());
    }
    assert_eq!(server.metric("cupola_route_decisions_total", &["version=\"2\"", "route=\"ab\""]), {
        let again = [0, 1, 2, 3, 17, 3_999].iter().filter(|i| versions[**i] == 2).count();
        Some((challenged + again) as f64)
    });
}

#[test]
fn a_broken_record_is_counted_by_its_place_in_the_request() {
    let weights = json!({ "1": 1, "2": 1 });
    let server =
        Models::two_versions().serve(route(json!({ "kind": "ab", "by": "card_id", "weights": weights })));
    let mut records: Vec<_> = (0..50).map(record).collect();
    records[31]["amount"] = json!("many");
    let reply = server.predict(json!({ "records": records }));
    assert_eq!(reply.error(), (422, "invalid_record"));
    assert_eq!(reply.body["error"]["fields"][0]["record"], 31);
}

#[test]
fn a_header_keeps_its_version() {
    let weights = json!({ "champion": 50, "challenger": 50 });
    let config = route(json!({ "kind": "ab", "by_header": "X-Customer", "weights": weights }));
    let server = Models::two_versions().serve(config);
    let ask = |server: &Running, customer: usize| {
        let headers = [("x-customer", &*customer.to_string())];
        server.post_with("/v1/models/fraud/predict", record(0), &headers).body["version"].as_u64().unwrap()
    };
    let first: Vec<_> = (0..200).map(|customer| ask(&server, customer)).collect();
    let second: Vec<_> = (0..200).map(|customer| ask(&server, customer)).collect();
    assert_eq!(first, second);
    let ones = first.iter().filter(|version| **version == 1).count();
    assert!(ones.abs_diff(100) < 29, "{ones}");
}

#[test]
fn without_a_key_requests_are_drawn_by_weight() {
    let weights = json!({ "champion": 50, "challenger": 50 });
    let server = Models::two_versions().serve(route(json!({ "kind": "ab", "weights": weights })));
    let ones = (0..200).filter(|_| server.predict(record(0)).body["version"] == 1).count();
    assert!(ones.abs_diff(100) < 29, "{ones}");
}

#[test]
fn a_shadow_scores_beside_the_answer_and_is_only_counted() {
    let models = Models::two_versions();
    let config = route(json!({ "kind": "shadow", "answer": "champion", "shadow": "challenger" }));
    let server = models.serve(config);
    let records: Vec<_> = (0..100).map(record).collect();
    let reply = server.predict(json!({ "records": records }));
    let (answer, shadow) = (models.score("fraud", 1, &records), models.score("fraud", 2, &records));
    assert_eq!((reply.body["version"].as_u64(), reply.scores()), (Some(1), answer.clone()));
    let equal = answer.iter().zip(&shadow).filter(|(a, s)| (**a >= 0.5) == (**s >= 0.5)).count();
    let compared = |server: &Running, outcome: &str| {
        server
            .metric("cupola_shadow_results_total", &["version=\"2\"", &format!("outcome=\"{outcome}\"")])
            .unwrap()
    };
    server.until("100 compared", |s| compared(s, "equal") + compared(s, "different") == 100.0);
    assert_eq!(compared(&server, "equal"), equal as f64);
    assert_eq!(server.metric("cupola_shadow_difference_count", &["version=\"2\""]), Some(100.0));
    assert_eq!(
        server.metric("cupola_requests_total", &["version=\"2\""]),
        Some(0.0),
        "nobody was answered by it"
    );
}

#[test]
fn a_shadow_that_cannot_keep_up_is_left_out_and_never_delays_the_answer() {
    let models = Models::fraud();
    let slow = Network { hidden: vec![2_048, 2_048, 2_048], ..Network::default() };
    models.alias("fraud", "challenger", models.register("fraud", &slow));
    let config = route(json!({ "kind": "shadow", "answer": "champion", "shadow": "challenger" }));
    let server = models.serve(ServeConfig { queue_rows_max: 256, records_max: 256, ..config });
    let records: Vec<_> = (0..256).map(record).collect();
    let expected = models.score("fraud", 1, &records);
    for _ in 0..20 {
        assert_eq!(server.predict(json!({ "records": records })).scores(), expected);
    }
    let compared = |outcome: &str| {
        let labels = ["version=\"2\"", &format!("outcome=\"{outcome}\"")];
        server.metric("cupola_shadow_results_total", &labels).unwrap()
    };
    assert!(compared("dropped") >= 256.0, "the shadow kept up: make it slower");
    server.until("all are accounted for", |_| {
        compared("dropped") + compared("equal") + compared("different") == 20.0 * 256.0
    });
}

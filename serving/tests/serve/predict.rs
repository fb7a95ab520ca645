use cupola_models::Task;
use serde_json::json;

use crate::support::{Models, Network, config, record};

#[test]
fn one_record_is_scored_as_offline() {
    let models = Models::fraud();
    let server = models.serve(config());
    let reply = server.predict(record(3));
    let score = models.score("fraud", 1, &[record(3)])[0];
    let label = if score >= 0.5 { "fraud" } else { "genuine" };
    assert_eq!(reply.status, 200);
    assert_eq!(reply.scores(), [score], "bit for bit");
    let id = reply.header("x-request-id").to_string();
    assert_eq!(id.len(), 36);
    assert_eq!(
        reply.body,
        json!({ "request_id": id, "model": "fraud", "version": 1,
                "predictions": [{ "score": reply.body["predictions"][0]["score"], "label": label }] })
    );
}

#[test]
fn many_records_keep_their_order_whatever_the_batches() {
    let models = Models::fraud();
    let server = models.serve(config());
    let records: Vec<_> = (0..1_000).map(record).collect();
    let expected = models.score("fraud", 1, &records);
    assert_eq!(server.predict(json!({ "records": records })).scores(), expected);
    for i in [0, 1, 999] {
        assert_eq!(
            server.predict(record(i)).scores(),
            [expected[i]],
            "a row's score depends on the row alone"
        );
    }
}

#[test]
fn both_labels_are_said_by_the_threshold() {
    let models = Models::fraud();
    let server = models.serve(config());
    let records: Vec<_> = (0..500).map(|i| json!({ "amount": i * 10, "country": "FR" })).collect();
    let reply = server.predict(json!({ "records": records }));
    for prediction in reply.body["predictions"].as_array().unwrap() {
        let expected = if prediction["score"].as_f64().unwrap() >= 0.5 { "fraud" } else { "genuine" };
        assert_eq!(prediction["label"], expected);
    }
}

#[test]
fn a_version_can_be_named_by_number_or_alias() {
    let models = Models::two_versions();
    let server = models.serve(config());
    let second = models.score("fraud", 2, &[record(1)]);
    assert_ne!(second, models.score("fraud", 1, &[record(1)]));
    for version in ["2", "challenger"] {
        let reply = server.post(&format!("/v1/models/fraud/versions/{version}/predict"), record(1));
        assert_eq!((reply.body["version"].as_u64(), reply.scores()), (Some(2), second.clone()));
    }
}

#[test]
fn a_request_id_is_kept_when_it_is_one() {
    let server = Models::fraud().serve(config());
    let path = "/v1/models/fraud/predict";
    let reply = server.post_with(path, record(0), &[("x-request-id", "order-4711")]);
    assert_eq!(
        (&reply.body["request_id"], reply.header("x-request-id")),
        (&json!("order-4711"), "order-4711")
    );
    let reply = server.post_with(path, record(0), &[("x-request-id", "a\"b")]);
    assert_eq!(reply.header("x-request-id").len(), 36);
}

#[test]
fn every_task_has_its_form_of_answer() {
    let models = Models::empty();
    let classes = ["low", "mid \"2\"", "high"].map(String::from).to_vec();
    let tasks = [
        ("grade", Task::Multiclass { classes: classes.clone() }),
        ("price", Task::Regression),
        ("claims", Task::Poisson),
    ];
    for (name, task) in tasks {
        let version = models.register(name, &Network { task, ..Network::default() });
        models.alias(name, "champion", version);
    }
    let server = models.serve(config());
    let expected = models.score("grade", 1, &[record(5)]);
    let best = (0..3).max_by(|a, b| expected[*a].total_cmp(&expected[*b])).unwrap();
    let grade = &server.post("/v1/models/grade/predict", record(5)).body["predictions"][0];
    assert_eq!(grade["label"], classes[best]);
    for (class, score) in classes.iter().zip(&expected) {
        assert_eq!(grade["scores"][class].as_f64().unwrap() as f32, *score);
    }
    for name in ["price", "claims"] {
        let reply = server.post(&format!("/v1/models/{name}/predict"), record(5));
        assert_eq!(reply.scores(), models.score(name, 1, &[record(5)]));
        assert_eq!(reply.body["predictions"][0].as_object().unwrap().len(), 1, "a number has no label");
    }
}

#[test]
fn order_of_fields_extra_fields_and_missing_optional_ones_do_not_matter() {
    let models = Models::fraud();
    let server = models.serve(config());
    let plain = server.predict(r#"{"amount": 7, "age": 30, "country": "DE"}"#).scores();
    assert_eq!(
        server.predict(r#" {"note": {"a": [1]}, "country":"DE","age":30,"amount":7.0} "#).scores(),
        plain
    );
    let imputed = server.predict(r#"{"amount": 7, "age": 40, "country": "DE"}"#).scores();
    assert_eq!(
        server.predict(r#"{"amount": 7, "country": "DE"}"#).scores(),
        imputed,
        "40 is what the plan fills in"
    );
    assert_eq!(server.predict(r#"{"amount": 7, "age": null, "country": "DE"}"#).scores(), imputed);
}

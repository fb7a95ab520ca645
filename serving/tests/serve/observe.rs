use serde_json::json;

use crate::support::{Models, config, record};

#[test]
fn models_are_listed_with_versions_aliases_and_signature() {
    let server = Models::two_versions().serve(config());
    let aliases = json!({ "champion": 1, "challenger": 2 });
    let listed = json!({ "name": "fraud", "versions": [1, 2], "aliases": aliases, "route": "pinned" });
    assert_eq!(server.get("/v1/models").body, json!({ "models": [listed] }));
    let shown = server.get("/v1/models/fraud").body;
    assert_eq!(shown["model"], listed);
    let first = &shown["versions"][0];
    assert_eq!(
        (&first["version"], &first["aliases"], &first["run_id"]),
        (&json!(1), &json!(["champion"]), &json!("run-1"))
    );
    assert_eq!(
        first["input"]["columns"]["amount"],
        json!({ "type": "float64", "required": true, "min": 0.0 })
    );
    assert_eq!((&first["task"]["kind"], &first["metrics"]["roc_auc"]), (&json!("binary"), &json!(0.75)));
}

#[test]
fn the_openapi_document_describes_the_records_of_each_model() {
    let server = Models::fraud().serve(config());
    let document = server.get("/openapi.json").body;
    assert_eq!(document["openapi"], "3.1.0");
    let record = &document["components"]["schemas"]["fraud.Record"];
    assert_eq!(record["required"], json!(["amount"]));
    assert_eq!(
        record["properties"]["amount"],
        json!({ "type": "number", "format": "double", "minimum": 0.0 })
    );
    assert_eq!(record["properties"]["age"], json!({ "type": ["integer", "null"], "format": "int64" }));
    let operation = &document["paths"]["/v1/models/fraud/predict"]["post"];
    for status in ["200", "400", "401", "404", "408", "413", "415", "422", "429", "500", "503"] {
        assert!(operation["responses"][status].is_object(), "{status}");
    }
    let text = document.to_string();
    for reference in text.split("#/components/schemas/").skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(document["components"]["schemas"][name].is_object(), "{name} is not defined");
    }
}

#[test]
fn metrics_count_what_happened() {
    let server = Models::fraud().serve(config());
    (0..3).for_each(|i| assert_eq!(server.predict(record(i)).status, 200));
    assert_eq!(server.predict(json!({ "records": [record(0), record(1)] })).status, 200);
    assert_eq!(server.predict("{}").status, 422);
    let series = [
        ("cupola_requests_total", 4.0),
        ("cupola_records_total", 5.0),
        ("cupola_request_seconds_count", 4.0),
        ("cupola_queue_seconds_count", 5.0),
        ("cupola_batch_rows_sum", 6.0),
        ("cupola_model_info", 1.0),
    ];
    for (name, value) in series {
        assert_eq!(server.metric(name, &["model=\"fraud\"", "version=\"1\""]), Some(value), "{name}");
    }
    assert_eq!(
        server.metric("cupola_errors_total", &["code=\"invalid_record\"", "status=\"422\""]),
        Some(1.0)
    );
    assert_eq!(server.metric("cupola_route_decisions_total", &["route=\"pinned\""]), Some(6.0));
    assert_eq!(server.metric("cupola_build_info", &["version=\""]), Some(1.0));
    assert_eq!(server.metric("cupola_ready", &[]), Some(1.0));
    assert_eq!(server.metric("cupola_in_flight_requests", &[]), Some(0.0));
}

#[test]
fn the_example_on_the_index_page_works() {
    let server = Models::fraud().serve(config());
    let page = server.get("/").body.as_str().unwrap().to_string();
    let command = page.split("<pre>").nth(1).unwrap().split("</pre>").next().unwrap();
    let command =
        command.replace("&quot;", "\"").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
    assert!(command.starts_with(&format!("curl {}/v1/models/fraud/predict", server.base)), "{command}");
    let body = command.split("-d '").nth(1).unwrap().trim_end_matches('\'');
    assert_eq!(server.predict(body).status, 200, "{body}");
}

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use cupola_serving::{ServeConfig, ServeError, Token};
use serde_json::json;

use crate::support::{Models, config, record, route};

#[test]
fn each_broken_field_is_named() {
    let server = Models::fraud().serve(config());
    let reply = server
        .predict(r#"{"records": [{"amount": 1}, {"amount": "12", "age": 1.5}, {"age": 3}, {"amount": -1}]}"#);
    assert_eq!(reply.error(), (422, "invalid_record"));
    let fields = reply.body["error"]["fields"].as_array().unwrap();
    let told: Vec<_> = fields
        .iter()
        .map(|f| (f["record"].as_u64().unwrap(), f["column"].as_str().unwrap(), f["code"].as_str().unwrap()))
        .collect();
    assert_eq!(
        told,
        [(1, "amount", "type"), (1, "age", "type"), (2, "amount", "missing"), (3, "amount", "range")]
    );
    assert!(fields.iter().all(|f| !f["message"].as_str().unwrap().is_empty()));
    assert_eq!(reply.body["error"]["request_id"].as_str().unwrap(), reply.header("x-request-id"));
}

#[test]
fn a_missing_field_and_a_string_for_a_number_are_refused() {
    let server = Models::fraud().serve(config());
    let reply = server.predict(r#"{"age": 3}"#);
    assert_eq!(
        (reply.error(), &reply.body["error"]["fields"][0]["code"]),
        ((422, "invalid_record"), &json!("missing"))
    );
    let reply = server.predict(r#"{"amount": "3"}"#);
    assert_eq!(
        (reply.error(), &reply.body["error"]["fields"][0]["code"]),
        ((422, "invalid_record"), &json!("type"))
    );
}

#[test]
fn a_broken_request_does_not_touch_those_it_is_batched_with() {
    let models = Models::fraud();
    let server = models.serve(config());
    let expected = models.score("fraud", 1, &[record(7)]);
    std::thread::scope(|scope| {
        for i in 0..8 {
            let (server, expected) = (&server, &expected);
            scope.spawn(move || {
                for _ in 0..100 {
                    if i % 2 == 0 {
                        assert_eq!(
                            server.predict(r#"{"records":[{"amount":1},{"amount":"x"}]}"#).status,
                            422
                        );
                    } else {
                        assert_eq!(&server.predict(record(7)).scores(), expected);
                    }
                }
            });
        }
    });
}

#[test]
fn what_is_not_json_or_not_a_record_is_told_apart() {
    let server = Models::fraud().serve(config());
    for (body, code) in [
        ("", "malformed_json"),
        ("{\"amount\": 1", "malformed_json"),
        ("{\"amount\": 1}}", "malformed_json"),
        ("{\"amount\": NaN}", "malformed_json"),
        ("{\"records\": [{\"amount\": 1}", "malformed_json"),
        ("[{\"amount\": 1}]", "not_an_object"),
        ("3", "not_an_object"),
        ("{\"records\": []}", "no_records"),
    ] {
        assert_eq!(server.predict(body).error(), (400, code), "{body:?}");
    }
    let not_objects = server.predict(r#"{"records": [1, null]}"#);
    assert_eq!(not_objects.error(), (422, "invalid_record"));
    let latin1 = server.client.post(format!("{}/v1/models/fraud/predict", server.base));
    let reply = latin1.header("content-type", "application/json").body(b"{\"country\": \"\xe9\"}".to_vec());
    assert_eq!(reply.send().unwrap().status(), 400);
}

#[test]
fn unknown_models_versions_and_paths_are_404_and_say_what_there_is() {
    let server = Models::two_versions().serve(config());
    let reply = server.post("/v1/models/froud/predict", record(0));
    assert_eq!(reply.error(), (404, "unknown_model"));
    assert!(reply.body["error"]["message"].as_str().unwrap().contains("served models: fraud"));
    let reply = server.post("/v1/models/fraud/versions/9/predict", record(0));
    assert_eq!(reply.error(), (404, "unknown_version"));
    let message = reply.body["error"]["message"].as_str().unwrap();
    assert!(message.contains("served versions: 1 (champion), 2 (challenger)"), "{message}");
    assert_eq!(server.get("/v1/models/froud").error(), (404, "unknown_model"));
    assert_eq!(server.get("/v2/nothing").error(), (404, "not_found"));
}

#[test]
fn method_and_media_type_are_checked() {
    let server = Models::fraud().serve(config());
    let reply = server.get("/v1/models/fraud/predict");
    assert_eq!((reply.error(), reply.header("allow")), ((405, "method_not_allowed"), "POST"));
    let reply = server.post("/health/ready", "");
    assert_eq!((reply.error(), reply.header("allow")), ((405, "method_not_allowed"), "GET"));
    let path = "/v1/models/fraud/predict";
    let form = server.post_with(path, record(0), &[("content-type", "application/x-www-form-urlencoded")]);
    assert_eq!(form.error(), (415, "unsupported_media_type"));
    let charset = server.post_with(path, record(0), &[("content-type", "Application/JSON; charset=utf-8")]);
    assert_eq!(charset.status, 200);
}

#[test]
fn too_many_records_are_refused() {
    let server = Models::fraud().serve(ServeConfig { records_max: 10, ..config() });
    let records: Vec<_> = (0..11).map(record).collect();
    assert_eq!(server.predict(json!({ "records": records })).error(), (413, "too_many_records"));
    assert_eq!(server.predict(json!({ "records": records[..10] })).status, 200);
}

/// Sends a request's head and a first piece of its body; returns what comes back.
fn early_answer(base: &str, head: &str) -> String {
    let mut stream = TcpStream::connect(base.trim_start_matches("http://")).unwrap();
    let head = format!(
        "POST /v1/models/fraud/predict HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n{head}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut text = [0; 4096];
    let n = stream.read(&mut text).unwrap();
    String::from_utf8_lossy(&text[..n]).into_owned()
}

#[test]
fn a_body_of_100_mb_is_refused_before_it_is_sent() {
    let server = Models::fraud().serve(config());
    let answer = early_answer(&server.base, "content-length: 104857600");
    assert!(answer.starts_with("HTTP/1.1 413") && answer.contains("body_too_large"), "{answer}");
}

#[test]
fn a_body_of_unknown_length_is_refused_when_it_gets_too_long() {
    let server = Models::fraud().serve(ServeConfig { body_mib_max: 1, ..config() });
    let mut stream = TcpStream::connect(server.base.trim_start_matches("http://")).unwrap();
    stream
        .write_all(b"POST /v1/models/fraud/predict HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
        .unwrap();
    let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
    for _ in 0..32 {
        // The server may have closed the connection after its answer.
        if stream.write_all(chunk.as_bytes()).is_err() {
            break;
        }
    }
    let mut text = [0; 4096];
    let n = stream.read(&mut text).unwrap();
    assert!(text[..n].starts_with(b"HTTP/1.1 413"), "{}", String::from_utf8_lossy(&text[..n]));
}

#[test]
fn bodies_that_no_longer_fit_together_are_refused_until_there_is_room() {
    let server = Models::fraud().serve(ServeConfig { body_mib_max: 1, bodies_mib_max: 1, ..config() });
    let mut slow = TcpStream::connect(server.base.trim_start_matches("http://")).unwrap();
    let body = record(2).to_string();
    let body = body.clone() + &" ".repeat((1 << 20) - 20 - body.len());
    let head = format!(
        "POST /v1/models/fraud/predict HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{{",
        body.len()
    );
    slow.write_all(head.as_bytes()).unwrap();
    server.until("there is no room left", |s| s.predict(record(0)).status == 503);
    let refused = server.predict(record(0));
    assert_eq!((refused.error(), refused.header("retry-after")), ((503, "bodies_full"), "1"));
    slow.write_all(&body.as_bytes()[1..]).unwrap();
    let mut text = [0; 4096];
    let n = slow.read(&mut text).unwrap();
    assert!(text[..n].starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&text[..n]));
    server.until("there is room again", |s| s.predict(record(0)).status == 200);
}

#[test]
fn a_body_that_does_not_come_is_not_waited_for() {
    let server = Models::fraud().serve(ServeConfig { body_seconds_max: 1, ..config() });
    let answer = early_answer(&server.base, "content-length: 30");
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("body_timeout"), "{answer}");
}

#[test]
fn inference_asks_for_the_token_and_health_does_not() {
    let config = ServeConfig { token: Some(Token::new("s3cret")), ..config() };
    let server = Models::fraud().serve(config);
    let path = "/v1/models/fraud/predict";
    let refused = server.post(path, record(0));
    assert_eq!((refused.error(), refused.header("www-authenticate")), ((401, "unauthorized"), "Bearer"));
    for wrong in ["Bearer s3cre", "Bearer s3crets", "Basic s3cret", "s3cret"] {
        assert_eq!(server.post_with(path, record(0), &[("authorization", wrong)]).status, 401, "{wrong}");
    }
    assert_eq!(server.post_with(path, record(0), &[("authorization", "Bearer s3cret")]).status, 200);
    assert_eq!(server.get("/v1/models").status, 401);
    assert_eq!(server.get("/health/ready").status, 200);
}

#[test]
fn what_keeps_a_server_from_starting_says_what_to_do() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let bind = taken.local_addr().unwrap().to_string();
    let models = Models::fraud();
    let error =
        |config, names: &[&str]| models.try_serve(config, names).err().expect("it started").to_string();
    let message = error(ServeConfig { bind: bind.clone(), ..config() }, &[]);
    assert_eq!(
        message,
        format!("{bind} is taken by another process; stop it or choose another port with --bind")
    );
    assert!(error(ServeConfig { bind: "8080".into(), ..config() }, &[]).contains("127.0.0.1:8080"));
    assert!(error(config(), &["other"]).contains("known models: fraud"));
    let message = error(route(json!({ "kind": "pinned", "version": "golden" })), &["fraud"]);
    assert!(message.contains("golden") && message.contains("known: 1, champion"), "{message}");
    assert!(matches!(Models::empty().try_serve(config(), &[]), Err(ServeError::NoModel)));
    let weights = models.dir("fraud", 1).join("weights.safetensors");
    let mut bytes = std::fs::read(&weights).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&weights, bytes).unwrap();
    let message = error(config(), &["fraud"]);
    assert!(message.contains("weights.safetensors") && message.contains("version 1 of fraud"), "{message}");
}

use std::sync::Arc;
use std::time::Duration;

use cupola_experiments::journal::{Journal, RunEnd};
use cupola_experiments::mlflow::{Client, MlflowError, Secret, Shipper, shipped};
use cupola_training::tracker::Tracker;
use serde_json::{Value, json};

use super::fixtures::{START_MS, arrived, finish, options, read_run, read_runs, recorded, spec, whole_run};
use super::proxy::Proxy;
use super::server::{ask, config, shared};

const WAIT: Duration = Duration::from_secs(120);

#[test]
fn a_whole_run_arrives() {
    let Some(server) = shared("a_whole_run_arrives") else { return };
    let home = tempfile::tempdir().unwrap();
    let journal = whole_run(home.path(), "whole", "whole-1", 1500);
    let shipper = Shipper::start(server.config(), &journal).unwrap();
    finish(&journal);
    let done = shipper.finish(WAIT);
    assert!(done.is_complete, "{:?}", done.error);
    assert!(done.state.refused.is_empty(), "{:?}", done.state.refused);

    let run = read_run(&server.address, "whole-1");
    assert_eq!(run["status"], "FINISHED");
    assert_eq!(run["name"], "name-of-whole-1");
    assert_eq!(run["start"], START_MS);
    assert!(run["end"].as_u64().unwrap() > START_MS + 1_500_000);
    assert_eq!(run["experiment"], "whole");
    assert_eq!(run["experiment_tags"]["mlflow.experiment.primaryMetric.name"], "test/pr_auc");
    assert_eq!(run["experiment_tags"]["mlflow.experiment.primaryMetric.greaterIsBetter"], "True");
    assert_eq!(run["params"]["train.lr"], "0.01");
    assert_eq!(run["params"]["train.epochs"], "3");
    assert_eq!(run["params"]["notes"].as_str().unwrap().len(), 6000);
    assert_eq!(run["tags"]["team"], "fraud");
    assert_eq!(run["tags"]["cupola.device"], "cpu");
    assert_eq!(run["tags"]["mlflow.source.name"], "examples/card-fraud/pipeline.toml");
    assert_eq!(run["tags"]["mlflow.source.type"], "LOCAL");

    let sent = arrived(&run);
    assert_eq!(sent.len(), 3002);
    assert_eq!(sent, recorded(home.path(), "whole-1"));

    let dataset = &run["datasets"][0];
    assert_eq!(run["datasets"].as_array().unwrap().len(), 1);
    assert_eq!(dataset["name"], "card-fraud/features");
    assert_eq!(dataset["digest"], "0123456789abcdef0123456789abcdef0123");
    assert_eq!(dataset["type"], "delta_table");
    assert_eq!(dataset["source"]["delta_table_version"], 7);
    assert_eq!(dataset["tags"]["mlflow.data.context"], "training");
    assert_eq!(dataset["profile"], json!({ "num_rows": 1234, "num_elements": 3702 }));
    assert_eq!(
        dataset["schema"]["mlflow_colspec"][1],
        json!({ "type": "string", "name": "country", "required": false })
    );

    assert_eq!(run["artifacts"], json!(["report/plots/a b+1.svg", "report/report.html"]));
    model_arrived(&run);
}

fn model_arrived(run: &Value) {
    assert_eq!(run["models"].as_array().unwrap().len(), 1);
    let model = &run["models"][0];
    assert_eq!(model["status"], "READY");
    assert_eq!(model["params"]["seed"], "7");
    assert_eq!(model["artifacts"], json!(["MLmodel", "bundle.json", "model.safetensors", "plan"]));
    assert_eq!(run["outputs"], json!([[model["id"], 1500]]));
    let metrics = model["metrics"].as_array().unwrap();
    assert!(
        metrics.contains(&json!([
            "test/pr_auc",
            1500,
            "0.75",
            "card-fraud/features",
            "0123456789abcdef0123456789abcdef0123"
        ])),
        "{metrics:?}"
    );
    let version = &run["versions"][0];
    assert_eq!(run["versions"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&version["name"], &version["version"], &version["status"]),
        (&json!("whole-model"), &json!(1), &json!("READY"))
    );
    assert_eq!(version["source"], format!("models:/{}", model["id"].as_str().unwrap()));
    assert_eq!(version["aliases"], json!(["champion"]));
}

#[test]
fn a_failed_run_says_why() {
    let Some(server) = shared("a_failed_run_says_why") else { return };
    let home = tempfile::tempdir().unwrap();
    let journal = Journal::create(home.path(), spec("failing", "failing-1"), &options()).unwrap();
    let shipper = Shipper::start(server.config(), &journal).unwrap();
    journal.finish(RunEnd::Failed, Some("no space left on the disk")).unwrap();
    assert!(shipper.finish(WAIT).is_complete);
    let run = read_run(&server.address, "failing-1");
    assert_eq!(run["status"], "FAILED");
    assert_eq!(run["tags"]["cupola.error"], "no space left on the disk");
}

#[test]
fn an_event_that_is_refused_does_not_hold_up_the_others() {
    let Some(server) = shared("an_event_that_is_refused_does_not_hold_up_the_others") else { return };
    let home = tempfile::tempdir().unwrap();
    let journal = Journal::create(home.path(), spec("refused", "refused-1"), &options()).unwrap();
    let shipper = Shipper::start(server.config(), &journal).unwrap();
    while shipper.status().state.run_id.is_none() {
        std::thread::sleep(Duration::from_millis(50));
    }
    // Somebody sets a parameter on the server before we do: parameters are write-once.
    let run_id = shipper.status().state.run_id.unwrap();
    let script = "import sys; from mlflow import MlflowClient; MlflowClient().log_param(sys.argv[1], 'p3', 'theirs'); print('null')";
    ask(&server.address, script, &[&run_id]);
    let params: Vec<_> = (0..8).map(|i| (format!("p{i}"), "ours".to_string())).collect();
    journal.params(&params);
    journal.artifact(&home.path().join("missing.html"), "");
    journal.metrics(1, &[("train/loss", 0.5)]);
    finish(&journal);
    let done = shipper.finish(WAIT);
    assert!(done.is_complete, "{:?}", done.error);
    let reasons: Vec<_> = done.state.refused.iter().map(|refusal| refusal.reason.as_str()).collect();
    assert_eq!(reasons.len(), 2, "{reasons:?}");
    assert!(reasons[0].contains("p3") && reasons[1].contains("missing.html"), "{reasons:?}");

    let run = read_run(&server.address, "refused-1");
    assert_eq!(run["params"]["p3"], "theirs");
    assert!(
        (0..8).filter(|&i| i != 3).all(|i| run["params"][format!("p{i}")] == "ours"),
        "{}",
        run["params"]
    );
    assert_eq!(arrived(&run), recorded(home.path(), "refused-1"));
    assert_eq!(run["status"], "FINISHED");
}

#[test]
fn the_token_and_the_workspace_are_sent_with_every_request() {
    let Some(server) = shared("the_token_and_the_workspace_are_sent_with_every_request") else { return };
    let proxy = Proxy::start(&server.address, Arc::new(|_, _| false));
    let mut config = config(&proxy.address);
    config.token = Some(Secret("sesame".into()));
    config.workspace = Some("default".into());
    let client = Client::new(config.clone()).unwrap();
    // A server without workspaces says so to whoever names one.
    let refused = client.server_info().unwrap_err().to_string();
    assert!(refused.contains("workspaces are not enabled"), "{refused}");
    config.workspace = None;
    config.login = Some(("ann".into(), Secret("open".into())));
    assert!(Client::new(config).unwrap().server_info().unwrap().version.starts_with('3'));
    let requests = proxy.requests();
    assert!(requests[0].headers.contains(&"authorization: bearer sesame".to_string()), "{requests:?}");
    assert!(requests[0].headers.contains(&"x-mlflow-workspace: default".to_string()), "{requests:?}");
    // printf ann:open | base64
    assert!(requests[1].headers.contains(&"authorization: basic yw5uom9wzw4=".to_string()), "{requests:?}");
}

#[test]
fn an_answer_that_gets_lost_makes_nothing_twice() {
    let Some(server) = shared("an_answer_that_gets_lost_makes_nothing_twice") else { return };
    // The server acts on every first and third request of a kind, but nobody hears of it.
    let proxy = Proxy::start(
        &server.address,
        Arc::new(|path, number| !path.starts_with("GET") && number % 2 == 0 && number < 4),
    );
    let home = tempfile::tempdir().unwrap();
    let journal = whole_run(home.path(), "lossy", "lossy-1", 1200);
    let shipper = Shipper::start(config(&proxy.address), &journal).unwrap();
    while !shipper.status().is_complete {
        std::thread::sleep(Duration::from_millis(50));
    }
    finish(&journal);
    // The end itself gets lost once, and the shipper is told to stop: sync repeats it.
    shipper.finish(WAIT);
    let report =
        cupola_experiments::mlflow::sync(&config(&proxy.address), home.path(), &|_| true, &|_| ()).unwrap();
    assert_eq!(report.runs.len(), 1);

    let creations = proxy.requests().iter().filter(|request| request.line.ends_with("/runs/create")).count();
    assert_eq!(creations, 1, "the run is found again, not made again");
    let run = read_run(&server.address, "lossy-1");
    assert_eq!(arrived(&run), recorded(home.path(), "lossy-1"));
    assert_eq!(run["models"].as_array().unwrap().len(), 1);
    assert_eq!(run["outputs"].as_array().unwrap().len(), 1);
    assert_eq!(run["versions"].as_array().unwrap().len(), 1);
    assert_eq!(run["versions"][0]["version"], 1);
    assert_eq!(run["datasets"].as_array().unwrap().len(), 1);
    assert_eq!(run["status"], "FINISHED");
    let state = shipped(journal.run_dir(), &proxy.address);
    assert!(state.refused.is_empty() && state.is_over, "{state:?}");
}

#[test]
fn a_run_that_was_deleted_on_the_server_is_not_sent_piece_by_piece() {
    let Some(server) = shared("a_run_that_was_deleted_on_the_server_is_not_sent_piece_by_piece") else {
        return;
    };
    let home = tempfile::tempdir().unwrap();
    let journal = Journal::create(home.path(), spec("deleted", "deleted-1"), &options()).unwrap();
    let shipper = Shipper::start(server.config(), &journal).unwrap();
    while !shipper.status().is_complete {
        std::thread::sleep(Duration::from_millis(50));
    }
    let run_id = shipper.status().state.run_id.unwrap();
    ask(
        &server.address,
        "import sys; from mlflow import MlflowClient; MlflowClient().delete_run(sys.argv[1]); print('null')",
        &[&run_id],
    );
    for step in 0..50 {
        journal.metrics(step, &[("train/loss", 0.5)]);
    }
    finish(&journal);
    let done = shipper.finish(WAIT);
    assert!(!done.is_complete);
    assert!(done.error.as_ref().unwrap().contains("was deleted from MLflow"), "{:?}", done.error);
    assert!(done.state.refused.is_empty(), "{:?}", done.state.refused);
    assert!(read_runs(&server.address, "deleted-1").is_empty());
}

#[test]
fn an_address_that_is_not_mlflow_is_named() {
    let Some(server) = shared("an_address_that_is_not_mlflow_is_named") else { return };
    let error =
        Client::new(config(&format!("{}/elsewhere", server.address))).unwrap().server_info().unwrap_err();
    assert!(matches!(error, MlflowError::Refused { status: 404, .. } | MlflowError::Reply { .. }), "{error}");
    assert!(error.to_string().contains("/elsewhere"), "{error}");
}

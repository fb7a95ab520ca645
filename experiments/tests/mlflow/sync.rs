use std::cell::Cell;
use std::time::{Duration, Instant};

use cupola_experiments::journal::Journal;
use cupola_experiments::mlflow::{MlflowError, Shipper, SyncOutcome, sync};

use super::fixtures::{arrived, finish, options, read_run, recorded, spec, whole_run};
use super::server::{Server, config, is_there, shared};

#[test]
fn runs_of_a_dead_server_are_delivered_later() {
    if !is_there("runs_of_a_dead_server_are_delivered_later") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let home = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path());
    server.kill();
    for run_id in ["late-1", "late-2"] {
        let journal = whole_run(home.path(), "late", run_id, 100);
        let shipper = Shipper::start(server.config(), &journal).unwrap();
        finish(&journal);
        let start = Instant::now();
        let done = shipper.finish(Duration::from_secs(60));
        assert!(!done.is_complete && done.error.as_ref().unwrap().contains("cupola runs sync"), "{done:?}");
        assert!(
            start.elapsed() < Duration::from_secs(5),
            "a dead server held up the end of a run for {:?}",
            start.elapsed()
        );
    }
    let error = sync(&server.config(), home.path(), &|_| true, &|_| ()).unwrap_err();
    assert!(matches!(error, MlflowError::NoAnswer { .. }), "{error}");

    server.restart();
    let seen = Cell::new(0);
    let report = sync(&server.config(), home.path(), &|run| run.run_id == "late-2", &|progress| {
        seen.set(progress.seq)
    })
    .unwrap();
    assert_eq!(report.runs.len(), 1);
    assert!(
        matches!(report.runs[0].outcome, SyncOutcome::Delivered { n_events } if n_events > 100),
        "{report:?}"
    );
    assert!(seen.get() > 100);
    // The older run comes after the newer one.
    let report = sync(&server.config(), home.path(), &|_| true, &|_| ()).unwrap();
    assert_eq!(report.runs.len(), 2);
    for run_id in ["late-1", "late-2"] {
        let run = read_run(&server.address, run_id);
        assert_eq!(run["status"], "FINISHED");
        assert_eq!(arrived(&run), recorded(home.path(), run_id));
        assert_eq!(run["models"][0]["status"], "READY");
        assert_eq!(run["versions"].as_array().unwrap().len(), 1);
    }
    let again = sync(&server.config(), home.path(), &|_| true, &|_| ()).unwrap();
    assert!(again.runs.iter().all(|run| run.outcome == SyncOutcome::Delivered { n_events: 0 }), "{again:?}");
}

#[test]
fn a_run_that_is_being_sent_is_left_to_its_sender() {
    let Some(server) = shared("a_run_that_is_being_sent_is_left_to_its_sender") else { return };
    let home = tempfile::tempdir().unwrap();
    let journal = Journal::create(home.path(), spec("busy", "busy-1"), &options()).unwrap();
    let shipper = Shipper::start(server.config(), &journal).unwrap();
    while !shipper.status().is_complete {
        std::thread::sleep(Duration::from_millis(50));
    }
    let report = sync(&config(&server.address), home.path(), &|_| true, &|_| ()).unwrap();
    assert_eq!(report.runs[0].outcome, SyncOutcome::Busy);
    finish(&journal);
    assert!(shipper.finish(Duration::from_secs(60)).is_complete);
}

#[test]
fn a_run_whose_notes_are_lost_is_found_on_the_server() {
    let Some(server) = shared("a_run_whose_notes_are_lost_is_found_on_the_server") else { return };
    let home = tempfile::tempdir().unwrap();
    let journal = whole_run(home.path(), "forgotten", "forgotten-1", 300);
    finish(&journal);
    sync(&server.config(), home.path(), &|_| true, &|_| ()).unwrap();
    let before = read_run(&server.address, "forgotten-1");
    std::fs::write(journal.run_dir().mlflow_state(), "{ torn").unwrap();
    sync(&server.config(), home.path(), &|_| true, &|_| ()).unwrap();
    assert_eq!(read_run(&server.address, "forgotten-1"), before);
}

#[test]
fn a_run_that_comes_late_does_not_take_an_alias_from_a_later_one() {
    let Some(server) = shared("a_run_that_comes_late_does_not_take_an_alias_from_a_later_one") else {
        return;
    };
    let home = tempfile::tempdir().unwrap();
    // The clocks of fixtures start at the same time: more steps are a later registration.
    for (run_id, n_steps) in [("order-1", 10), ("order-2", 50)] {
        finish(&whole_run(home.path(), "order", run_id, n_steps));
    }
    for run_id in ["order-2", "order-1"] {
        sync(&server.config(), home.path(), &|run| run.run_id == run_id, &|_| ()).unwrap();
    }
    assert_eq!(read_run(&server.address, "order-2")["versions"][0]["aliases"][0], "champion");
    assert_eq!(read_run(&server.address, "order-1")["versions"][0]["aliases"].as_array().unwrap().len(), 0);
}

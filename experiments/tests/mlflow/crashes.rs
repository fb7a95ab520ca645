use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use cupola_experiments::journal::{Journal, RunEnd};
use cupola_experiments::mlflow::{Shipper, SyncOutcome, sync};
use cupola_training::tracker::Tracker;

use super::fixtures::{arrived, finish, options, read_run, recorded, spec};
use super::server::{Server, config, is_there, shared};

#[test]
fn a_server_that_is_killed_in_the_middle_of_a_run_loses_and_doubles_nothing() {
    if !is_there("a_server_that_is_killed_in_the_middle_of_a_run_loses_and_doubles_nothing") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let home = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path());
    let journal = Journal::create(home.path(), spec("killed", "killed-1"), &options()).unwrap();
    let mut config = server.config();
    config.poll_interval = Duration::from_millis(1);
    let shipper = Shipper::start(config, &journal).unwrap();
    let mut step = 0;
    let mut slowest = Duration::ZERO;
    let mut train = |n_steps: u64| {
        for _ in 0..n_steps {
            let start = Instant::now();
            journal.metrics(step, &[("train/loss", 1.0 / (step + 1) as f64), ("train/rate", step as f64)]);
            slowest = slowest.max(start.elapsed());
            step += 1;
            std::thread::sleep(Duration::from_micros(500));
        }
    };
    train(1500);
    wait(|| shipper.status().state.seq > 100);
    for _ in 0..2 {
        server.kill();
        train(1500);
        wait(|| shipper.status().error.is_some());
        server.restart();
        train(500);
        wait(|| shipper.status().error.is_none());
    }
    assert!(slowest < Duration::from_secs(1), "a call of the trainer took {slowest:?}");
    finish(&journal);
    let done = shipper.finish(Duration::from_secs(120));
    assert!(done.is_complete, "{:?}", done.error);

    let run = read_run(&server.address, "killed-1");
    let arrived = arrived(&run);
    assert_eq!(arrived.len(), 2 * 5500);
    assert_eq!(arrived, recorded(home.path(), "killed-1"));
    assert_eq!(run["status"], "FINISHED");
}

#[test]
fn a_process_that_is_killed_while_it_sends_loses_and_doubles_nothing() {
    let Some(server) = shared("a_process_that_is_killed_while_it_sends_loses_and_doubles_nothing") else {
        return;
    };
    let home = tempfile::tempdir().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["crashes::child_that_sends", "--exact", "--ignored", "--nocapture"])
        .envs([
            ("CUPOLA_TEST_HOME", home.path().as_os_str()),
            ("CUPOLA_TEST_SERVER", server.address.as_ref()),
        ])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let arrived_there =
        lines.filter_map(|line| line.strip_prefix("arrived ")?.parse::<u64>().ok()).find(|&seq| seq > 300);
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(arrived_there.is_some());

    let report = sync(&config(&server.address), home.path(), &|_| true, &|_| ()).unwrap();
    assert!(matches!(report.runs[0].outcome, SyncOutcome::Delivered { .. }), "{report:?}");
    let run = read_run(&server.address, "sender-1");
    assert_eq!(run["status"], "KILLED", "a run without a process is not shown as running");
    assert_eq!(arrived(&run), recorded(home.path(), "sender-1"));

    let journal = Journal::resume(home.path(), "sender-1", None, &options()).unwrap();
    let shipper = Shipper::start(config(&server.address), &journal).unwrap();
    let next = journal.next_step("train/loss");
    assert!(next > 200);
    // The trainer goes back to a checkpoint and repeats steps.
    for step in next - 10..next + 10 {
        journal.metrics(step, &[("train/loss", step as f64)]);
    }
    wait(|| shipper.status().is_complete);
    assert_eq!(read_run(&server.address, "sender-1")["status"], "RUNNING");
    finish(&journal);
    assert!(shipper.finish(Duration::from_secs(60)).is_complete);
    let run = read_run(&server.address, "sender-1");
    assert_eq!(run["status"], "FINISHED");
    let arrived = arrived(&run);
    assert_eq!(arrived.len() as u64, next + 10, "each step once");
    assert_eq!(arrived, recorded(home.path(), "sender-1"));
}

#[test]
#[ignore = "the process that a_process_that_is_killed_while_it_sends_loses_and_doubles_nothing kills"]
fn child_that_sends() {
    let (Ok(home), Ok(server)) = (std::env::var("CUPOLA_TEST_HOME"), std::env::var("CUPOLA_TEST_SERVER"))
    else {
        return;
    };
    let journal = Journal::create(home.as_ref(), spec("sender", "sender-1"), &options()).unwrap();
    let mut config = config(&server);
    config.poll_interval = Duration::from_millis(1);
    let shipper = Shipper::start(config, &journal).unwrap();
    for step in 0.. {
        journal.metrics(step, &[("train/loss", step as f64)]);
        std::thread::sleep(Duration::from_millis(2));
        println!("arrived {}", shipper.status().state.seq);
    }
    journal.finish(RunEnd::Finished, None).unwrap();
}

fn wait(until: impl Fn() -> bool) {
    let start = Instant::now();
    while !until() {
        assert!(start.elapsed() < Duration::from_secs(120), "waited for two minutes");
        std::thread::sleep(Duration::from_millis(20));
    }
}

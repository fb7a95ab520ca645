//! A run that is killed at any moment, and a second one started beside it.

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::support::{self, Desk, Done};

const RUN: [&str; 4] = ["run", "PIPELINE", "--device", "cpu"];

fn start(desk: &Desk) -> Child {
    let pipeline = desk.text("pipeline.toml");
    let arguments = RUN.map(|argument| if argument == "PIPELINE" { pipeline.as_str() } else { argument });
    desk.command(&arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn weights(desk: &Desk) -> Vec<u8> {
    let file = support::find(&desk.path("home/models"), &|name| name.ends_with(".safetensors")).unwrap();
    std::fs::read(file).unwrap()
}

#[test]
fn a_run_killed_again_and_again_ends_as_one_that_was_left_alone() {
    let alone = Desk::with_card_fraud(20_000, 4);
    let begun = Instant::now();
    assert!(Done::of(start(&alone).wait_with_output().unwrap()).code == Some(0));
    let whole = begun.elapsed();

    let killed = Desk::with_card_fraud(20_000, 4);
    // Each kill comes a little later into the run, so that every stage is met.
    let n_kills = 12;
    let mut n_cut = 0;
    for kill in 1..=n_kills {
        let mut child = start(&killed);
        std::thread::sleep(whole * kill / n_kills);
        n_cut += u32::from(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert!(n_cut >= 3, "the kills came too late to cut a run");
    let last = Done::of(start(&killed).wait_with_output().unwrap());
    assert_eq!(last.code, Some(0), "{}", last.err);
    assert_eq!(weights(&killed), weights(&alone), "the weights differ");
    let models = killed.ok(&["models", "list"]).out;
    assert!(models.contains("champion"), "{models}");
    let runs = killed.ok(&["runs", "list"]).out;
    assert!(runs.lines().count() > n_cut as usize, "the killed runs are recorded too: {runs}");
}

#[test]
fn a_second_process_on_the_same_pipeline_is_told_so() {
    let desk = Desk::with_card_fraud(200_000, 50);
    let mut first = start(&desk);
    let locked = (0..600).any(|_| {
        std::thread::sleep(Duration::from_millis(50));
        support::find(&desk.path("home/stages"), &|name| name == "lock").is_some()
    });
    assert!(locked, "the first run did not start");
    let second = Done::of(start(&desk).wait_with_output().unwrap());
    first.kill().unwrap();
    first.wait().unwrap();
    second.refused(9, &["card-fraud"]);
    // The lock died with its process.
    let pipeline = desk.text("pipeline.toml");
    desk.ok(&["run", &pipeline, "--device", "cpu", "--to", "ingest"]);
}

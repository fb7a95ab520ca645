#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cupola_training::tracker::Tracker;
use proptest::prelude::*;

use super::*;

/// A clock that goes on by 10 ms at each look, from 1,000.
fn options() -> JournalOptions {
    let now = AtomicU64::new(1_000);
    JournalOptions {
        clock: Arc::new(move || now.fetch_add(10, Ordering::Relaxed)),
        ..JournalOptions::default()
    }
}

fn spec(run_id: &str) -> RunSpec {
    RunSpec {
        run_id: Some(run_id.into()),
        experiment: "card-fraud".into(),
        name: Some(format!("name of {run_id}")),
        params: [("lr".to_string(), "0.01".to_string())].into(),
        ..RunSpec::default()
    }
}

fn entries(home: &std::path::Path, run_id: &str) -> Vec<Entry> {
    let mut reader = Reader::open(&RunDir::new(home, run_id).unwrap().journal(), 0).unwrap();
    std::iter::from_fn(|| reader.next(u64::MAX).unwrap()).collect()
}

#[test]
fn a_run_is_read_back_as_it_was_recorded() {
    let home = tempfile::tempdir().unwrap();
    let journal = Journal::create(home.path(), spec("a"), &options()).unwrap();
    journal.params(&[("epochs".into(), "3".into()), ("lr".into(), "0.01".into())]);
    journal.metrics(0, &[("train/loss", 0.7), ("train/bad", f64::NAN)]);
    journal.metrics(1, &[("train/loss", 0.5), ("train/bad", f64::NEG_INFINITY)]);
    journal.tags(&[("team", "fraud")]);
    journal.registered(RegisteredVersion {
        name: "card-fraud".into(),
        version: 4,
        alias: Some("champion".into()),
        model: "card-fraud".into(),
        in_mlflow: false,
    });
    assert_eq!(list(home.path()).unwrap()[0].status, RunStatus::Running);
    journal.finish(RunEnd::Failed, Some("no space left")).unwrap();
    drop(journal);

    let runs = list(home.path()).unwrap();
    assert_eq!(runs.len(), 1);
    let run = &runs[0];
    assert_eq!(
        (run.run_id.as_str(), run.name.as_str(), run.experiment.as_str()),
        ("a", "name of a", "card-fraud")
    );
    assert_eq!(run.status, RunStatus::Failed);
    assert_eq!(run.error.as_deref(), Some("no space left"));
    assert_eq!(run.start_ms, 1_000);
    assert_eq!(run.params["epochs"], "3");
    assert_eq!(run.metrics["train/loss"].0, 0.5);
    assert_eq!(run.metrics["train/bad"].0, f64::NEG_INFINITY);
    assert_eq!(run.tags["team"], "fraud");
    assert_eq!(run.model.as_ref().unwrap().version, 4);
    // The known parameter is not written twice.
    let params: Vec<_> = entries(home.path(), "a")
        .into_iter()
        .filter_map(|entry| if let Event::Params { params } = entry.event { Some(params) } else { None })
        .collect();
    assert_eq!(params, vec![[("epochs".to_string(), "3".to_string())].into()]);
}

#[test]
fn a_torn_last_line_is_cut_and_nothing_else_is_lost() {
    let home = tempfile::tempdir().unwrap();
    let journal = Journal::create(home.path(), spec("a"), &options()).unwrap();
    journal.metrics(0, &[("loss", 1.0)]);
    let path = journal.run_dir().journal();
    drop(journal);
    let mut file = OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(br#"{"seq":3,"time_ms":99,"event":"metr"#).unwrap();

    let before = list(home.path()).unwrap();
    assert_eq!(before[0].status, RunStatus::Interrupted);
    assert_eq!(before[0].metrics["loss"].0, 1.0);

    let journal = Journal::resume(home.path(), "a", None, &options()).unwrap();
    assert_eq!(journal.next_step("loss"), 1);
    journal.metrics(0, &[("loss", 1.0)]);
    journal.metrics(1, &[("loss", 0.5)]);
    journal.finish(RunEnd::Finished, None).unwrap();
    drop(journal);
    let entries = entries(home.path(), "a");
    assert_eq!(entries.iter().map(|entry| entry.seq).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    let steps: Vec<u64> = entries
        .iter()
        .filter_map(|entry| if let Event::Metrics(at) = &entry.event { Some(at.step) } else { None })
        .collect();
    assert_eq!(steps, [0, 1], "a step that was recorded before the interruption is recorded once");
    assert_eq!(list(home.path()).unwrap()[0].status, RunStatus::Finished);
}

#[test]
fn damage_before_the_last_line_is_reported_with_its_place() {
    let home = tempfile::tempdir().unwrap();
    let journal = Journal::create(home.path(), spec("a"), &options()).unwrap();
    let path = journal.run_dir().journal();
    drop(journal);
    let first = std::fs::metadata(&path).unwrap().len();
    OpenOptions::new().append(true).open(&path).unwrap().write_all(b"garbage\n").unwrap();
    let error = Journal::resume(home.path(), "a", None, &options()).err().unwrap();
    assert!(error.to_string().contains(&format!("damaged at byte {first}")), "{error}");
    assert_eq!(list(home.path()).unwrap()[0].status, RunStatus::Damaged);
}

#[test]
fn a_run_has_one_writer_at_a_time() {
    let home = tempfile::tempdir().unwrap();
    let journal = Journal::create(home.path(), spec("a"), &options()).unwrap();
    assert!(matches!(Journal::resume(home.path(), "a", None, &options()), Err(JournalError::Busy { .. })));
    drop(journal);
    assert!(matches!(Journal::create(home.path(), spec("a"), &options()), Err(JournalError::Exists { .. })));
    assert!(matches!(Journal::open(home.path(), "b", &options()), Err(JournalError::Unknown { .. })));
    assert!(matches!(Journal::open(home.path(), "../a", &options()), Err(JournalError::RunId { .. })));
}

#[test]
fn runs_are_compared_by_what_differs() {
    let home = tempfile::tempdir().unwrap();
    for (run_id, lr, loss) in [("a", "0.01", 0.5), ("b", "0.1", 0.4)] {
        let mut spec = spec(run_id);
        spec.params = [("lr".to_string(), lr.to_string()), ("seed".to_string(), "7".to_string())].into();
        let journal = Journal::create(home.path(), spec, &options()).unwrap();
        journal.metrics(3, &[("loss", loss), ("rows", 10.0), ("system/cpu", loss)]);
        if run_id == "b" {
            journal.metrics(3, &[("auc", 0.9)]);
        }
        journal.finish(RunEnd::Finished, None).unwrap();
    }
    let mut runs = list(home.path()).unwrap();
    runs.sort_by(|a, b| a.run_id.cmp(&b.run_id));
    let comparison = compare(&runs);
    assert_eq!(comparison.run_ids, ["a", "b"]);
    assert_eq!(comparison.params.len(), 1);
    assert_eq!(comparison.params[0].key, "lr");
    assert_eq!(comparison.params[0].values, [Some("0.01".to_string()), Some("0.1".to_string())]);
    assert_eq!(comparison.metrics.len(), 2);
    assert_eq!(
        (comparison.metrics[0].key.as_str(), &comparison.metrics[0].values),
        ("loss", &vec![Some(0.5), Some(0.4)])
    );
    assert_eq!(
        (comparison.metrics[1].key.as_str(), &comparison.metrics[1].values),
        ("auc", &vec![None, Some(0.9)])
    );
}

#[test]
fn a_run_is_found_by_either_end_of_its_id_and_by_its_name() {
    let home = tempfile::tempdir().unwrap();
    for run_id in ["abc", "abd", "ab"] {
        let named = RunSpec { name: Some(format!("name-of-{run_id}!")), ..spec(run_id) };
        Journal::create(home.path(), named, &options()).unwrap();
    }
    let runs = list(home.path()).unwrap();
    let found = |wanted: &str| find(home.path(), &runs, wanted).map(|run| run.run_id.as_str());
    for (wanted, run_id) in [("abc", "abc"), ("ab", "ab"), ("bd", "abd"), ("name-of-ab!", "ab")] {
        assert_eq!(found(wanted).unwrap(), run_id);
    }
    assert!(matches!(found("a"), Err(JournalError::Ambiguous { .. })));
    for wanted in ["", "x", "name-of-"] {
        assert!(matches!(found(wanted), Err(JournalError::Unknown { .. })), "{wanted:?}");
    }
}

#[test]
fn short_ids_are_the_ends_that_differ() {
    let home = tempfile::tempdir().unwrap();
    let of = |run_ids: &[&str]| {
        let home = home.path().join(run_ids.len().to_string());
        for run_id in run_ids {
            Journal::create(&home, spec(run_id), &options()).unwrap();
        }
        let runs = list(&home).unwrap();
        let mut ids: Vec<String> = short_ids(&runs).into_iter().map(str::to_owned).collect();
        ids.sort();
        assert!(ids.iter().all(|id| find(&home, &runs, id).is_ok()), "{ids:?}");
        ids
    };
    assert_eq!(of(&["0000111122223333", "000011112222aaaa"]), ["22223333", "2222aaaa"]);
    assert_eq!(of(&["a0022223333", "b0022223333", "c"]), ["a0022223333", "b0022223333", "c"]);
}

#[test]
fn a_summary_has_the_stages_and_the_files_of_a_run() {
    let home = tempfile::tempdir().unwrap();
    let stage = StageDone { stage: "ingest".into(), reused: true, seconds: 0.25, text: "7 rows".into() };
    let journal = Journal::create(home.path(), spec("r"), &options()).unwrap();
    journal.stage(stage.clone());
    journal.artifact(&home.path().join("stages/report.html"), "");
    journal.finish(RunEnd::Finished, None).unwrap();
    let runs = list(home.path()).unwrap();
    assert_eq!(runs[0].stages, [stage]);
    assert_eq!(runs[0].artifacts, [home.path().join("stages/report.html")]);
}

#[test]
fn the_state_of_the_repository_is_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let git = |arguments: &[&str]| {
        Command::new("git")
            .arg("-C")
            .arg(folder.path())
            .args(arguments)
            .output()
            .is_ok_and(|output| output.status.success())
    };
    if !git(&["init", "-q", "-b", "trunk"]) {
        println!("SKIPPED the_state_of_the_repository_is_recorded: no git");
        return;
    }
    std::fs::write(folder.path().join("pipeline.toml"), "name = 'x'").unwrap();
    assert!(git(&["add", "."]));
    assert!(git(&["-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "-q", "-m", "first"]));
    let clean = super::git(folder.path()).unwrap();
    assert_eq!((clean.commit.len(), clean.branch.as_deref(), clean.dirty), (40, Some("trunk"), false));
    std::fs::write(folder.path().join("pipeline.toml"), "name = 'y'").unwrap();
    assert!(super::git(folder.path()).unwrap().dirty);

    let home = tempfile::tempdir().unwrap();
    let spec = RunSpec { source: Some(folder.path().join("pipeline.toml")), ..spec("a") };
    drop(Journal::create(home.path(), spec, &options()).unwrap());
    let Event::RunStarted(started) = entries(home.path(), "a").remove(0).event else { panic!("first event") };
    assert_eq!(started.git.unwrap().commit, clean.commit);
    assert!(started.source_name.unwrap().ends_with("pipeline.toml"));
}

#[test]
fn what_was_flushed_survives_kill_9() {
    for round in 0..3 {
        let home = tempfile::tempdir().unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["journal::tests::child_that_is_killed", "--exact", "--ignored", "--nocapture"])
            .env("CUPOLA_TEST_HOME", home.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut flushed = 0;
        for line in lines.map_while(Result::ok) {
            if let Some(step) = line.strip_prefix("flushed ") {
                flushed = step.parse().unwrap();
                if flushed >= 40 + round * 17 {
                    break;
                }
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(flushed >= 40);

        assert_eq!(list(home.path()).unwrap()[0].status, RunStatus::Interrupted);
        let journal = Journal::resume(home.path(), "killed", None, &options()).unwrap();
        assert!(
            journal.next_step("loss") > flushed,
            "{} steps of at least {flushed}",
            journal.next_step("loss")
        );
        journal.finish(RunEnd::Finished, None).unwrap();
        let entries = entries(home.path(), "killed");
        assert!(entries.iter().enumerate().all(|(i, entry)| entry.seq == i as u64 + 1));
    }
}

#[test]
#[ignore = "the process that what_was_flushed_survives_kill_9 kills"]
fn child_that_is_killed() {
    let Ok(home) = std::env::var("CUPOLA_TEST_HOME") else { return };
    let journal = Journal::create(home.as_ref(), spec("killed"), &options()).unwrap();
    for step in 0.. {
        journal.metrics(step, &[("loss", 1.0 / (step + 1) as f64)]);
        if step % 7 == 0 {
            journal.flush().unwrap();
            println!("flushed {step}");
        }
    }
}

#[test]
fn a_metric_costs_the_trainer_microseconds() {
    let home = tempfile::tempdir().unwrap();
    let journal = Journal::create(home.path(), spec("a"), &JournalOptions::default()).unwrap();
    let start = std::time::Instant::now();
    for step in 0..5_000 {
        journal.metrics(step, &[("train/loss", 0.5), ("train/rate", 1e-3)]);
    }
    let each = start.elapsed() / 5_000;
    journal.flush().unwrap();
    // An fsync each would take 100 us on the fastest disks; far above what two busy cores add.
    assert!(each.as_micros() < 100, "{each:?} per call");
    assert_eq!(list(home.path()).unwrap()[0].metrics.len(), 2);
}

proptest! {
    #[test]
    fn any_value_comes_back_bit_for_bit(bits in any::<u64>(), step in any::<u64>(), key in "[a-z/ é\"\\\\]{1,12}") {
        let value = f64::from_bits(bits);
        let entry = Entry {
            seq: 1,
            time_ms: 2,
            event: Event::Metrics(Metrics { step, metrics: [(key, MetricValue(value))].into(), model: None, dataset: None }),
        };
        let back: Entry = serde_json::from_slice(&serde_json::to_vec(&entry).unwrap()).unwrap();
        let Event::Metrics(at) = &back.event else { panic!("another event") };
        prop_assert_eq!(at.step, step);
        let got = at.metrics[0].0;
        prop_assert!(got.to_bits() == bits || (got.is_nan() && value.is_nan()));
    }
}

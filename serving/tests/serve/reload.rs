use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use crate::support::{Models, config, record};

#[test]
fn no_request_is_lost_or_mixed_up_while_the_champion_changes() {
    let models = Models::two_versions();
    let server = models.serve(config());
    let expected = [models.score("fraud", 1, &[record(4)])[0], models.score("fraud", 2, &[record(4)])[0]];
    let (done, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    let seen = Mutex::new(BTreeSet::new());
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    let reply = server.predict(record(4));
                    assert_eq!(reply.status, 200, "{reply:?}");
                    let version = reply.body["version"].as_u64().unwrap();
                    assert_eq!(reply.scores(), [expected[version as usize - 1]]);
                    seen.lock().unwrap().insert(version);
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for round in 0..12 {
            let version = 1 + (round + 1) % 2;
            models.alias("fraud", "champion", version);
            server.until("the new champion answers", |s| s.predict(record(4)).body["version"] == version);
        }
        done.store(true, Ordering::Relaxed);
    });
    assert_eq!(*seen.lock().unwrap(), BTreeSet::from([1, 2]));
    assert!(answered.load(Ordering::Relaxed) > 100);
    assert!(server.metric("cupola_reloads_total", &["applied"]).unwrap() >= 12.0);
    assert_eq!(server.metric("cupola_reloads_total", &["failed"]), Some(0.0));
}

#[test]
fn a_new_version_is_loaded_and_one_that_lost_its_alias_is_dropped() {
    let models = Models::fraud();
    let server = models.serve(config());
    assert_eq!(models.add("fraud", 2), 2);
    models.alias("fraud", "champion", 2);
    server.until("version 2 answers", |s| s.predict(record(0)).body["version"] == 2);
    assert_eq!(
        server.post("/v1/models/fraud/versions/1/predict", record(0)).error(),
        (404, "unknown_version")
    );
    assert_eq!(server.metric("cupola_model_info", &["version=\"2\""]), Some(1.0));
    server.until("version 1 is freed", |s| s.metric("cupola_model_info", &["version=\"1\""]).is_none());
}

#[test]
fn a_registry_that_vanishes_takes_no_model_with_it() {
    let models = Models::fraud();
    let server = models.serve(config());
    let expected = models.score("fraud", 1, &[record(3)]);
    drop(models);
    server.until("the failure is counted", |s| s.metric("cupola_reloads_total", &["failed"]) == Some(1.0));
    assert_eq!(server.predict(record(3)).scores(), expected);
}

#[test]
fn a_version_that_cannot_be_loaded_leaves_the_old_one_in_place() {
    let models = Models::fraud();
    let server = models.serve(config());
    models.add("fraud", 2);
    let weights = models.dir("fraud", 2).join("weights.safetensors");
    let whole = std::fs::read(&weights).unwrap();
    std::fs::write(&weights, &whole[..whole.len() - 1]).unwrap();
    models.alias("fraud", "champion", 2);
    server.until("the failure is counted", |s| s.metric("cupola_reloads_total", &["failed"]) == Some(1.0));
    assert_eq!(server.predict(record(0)).body["version"], 1);
    assert_eq!(server.get("/health/ready").status, 200);
    std::fs::write(&weights, &whole).unwrap();
    server.until("the repaired version answers", |s| s.predict(record(0)).body["version"] == 2);
}

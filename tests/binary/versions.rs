//! Several versions of a model: A/B routing, promotion, rollback, while the server runs.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::{self, Desk, TRANSACTION};

/// A desk with two versions of card-fraud, the second one trained with another seed.
fn two_versions(route: &str) -> (Desk, String) {
    let desk = Desk::with_card_fraud(10_000, 1);
    let file = format!("{}\n{route}\n", desk.read("pipeline.toml"));
    let pipeline = desk.write("pipeline.toml", file);
    desk.ok(&["run", &pipeline, "--device", "cpu"]);
    let second = desk.ok(&["run", &pipeline, "--device", "cpu", "--set", "train.seed=11"]);
    assert!(second.out.contains("version 2"), "{}", second.out);
    (desk, pipeline)
}

fn transaction(customer: usize) -> String {
    TRANSACTION.replace("C00001", &format!("C{customer:05}"))
}

#[test]
fn customers_are_shared_between_two_versions_and_stay_with_theirs() {
    let (desk, pipeline) = two_versions(
        "[serve.route]\nkind = \"ab\"\nby = \"customer_id\"\nweights = { champion = 3, challenger = 1 }",
    );
    desk.ok(&["models", "promote", "card-fraud@2", "--alias", "challenger"]);
    let server = desk.serve(&pipeline);
    let mut versions = BTreeMap::<u64, u32>::new();
    for customer in 0..400 {
        let answer = || server.predict("card-fraud", &transaction(customer)).1["version"].as_u64().unwrap();
        let version = answer();
        assert_eq!(version, answer(), "customer {customer} changed the version");
        *versions.entry(version).or_default() += 1;
    }
    // 400 draws at 3 to 1: 300 expected, standard deviation 8.7, four of them allowed.
    assert!((265..=335).contains(&versions[&1]), "{versions:?}");
    assert_eq!(versions[&1] + versions[&2], 400);
}

#[test]
fn a_promotion_and_a_rollback_reach_the_server_without_a_failed_request() {
    let (desk, pipeline) = two_versions("");
    let server = desk.serve(&pipeline);
    let version = || server.predict("card-fraud", TRANSACTION).1["version"].as_u64().unwrap_or(0);
    assert_eq!(version(), 1);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let client = scope.spawn(|| {
            let mut n_answers = 0;
            while !done.load(Ordering::Relaxed) {
                let (status, reply) = server.predict("card-fraud", TRANSACTION);
                assert_eq!(status, 200, "{reply}");
                n_answers += 1;
            }
            n_answers
        });
        desk.ok(&["models", "promote", "card-fraud@2"]);
        server.wait_until("serving version 2", |_| version() == 2);
        desk.ok(&["models", "rollback", "card-fraud"]);
        server.wait_until("serving version 1 again", |_| version() == 1);
        done.store(true, Ordering::Relaxed);
        assert!(client.join().unwrap() > 0);
    });
}

#[test]
fn a_bundle_with_a_flipped_byte_is_neither_scored_nor_served() {
    let desk = Desk::with_card_fraud(10_000, 1);
    let pipeline = desk.text("pipeline.toml");
    desk.ok(&["run", &pipeline, "--device", "cpu"]);
    let weights = support::find(&desk.path("home/models"), &|name| name.ends_with(".safetensors")).unwrap();
    let mut bytes = std::fs::read(&weights).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&weights, bytes).unwrap();
    let one = desk.write("one.jsonl", TRANSACTION);
    let name = weights.file_name().unwrap().to_str().unwrap();
    desk.cupola(&["predict", "card-fraud", &one, "-o", &desk.text("one.csv")]).refused(8, &[name]);
    assert!(!desk.path("one.csv").exists());
    desk.cupola(&["serve", &pipeline, "--bind", "127.0.0.1:0"]).refused(10, &[name]);
}

//! Boosted trees through the binary: trained, continued, scored, served.

use std::path::Path;

use crate::support::{self, Desk};

/// The card-fraud example with trees instead of a network.
fn desk(rounds: usize) -> (Desk, String) {
    let desk = Desk::with_card_fraud(20_000, 2);
    let file = desk.read("pipeline.toml");
    let (before, after) = file.split_once("[model]").map_or((file.as_str(), ""), |(before, after)| {
        (before, after.split_once("\n[").map_or("", |(_, rest)| rest))
    });
    let after = if after.is_empty() { String::new() } else { format!("[{after}") };
    let trees =
        format!("{before}{after}\n[model]\nkind = \"gbdt\"\nn_estimators = {rounds}\nlearning_rate = 0.1\n");
    let path = desk.write("pipeline.toml", trees);
    (desk, path)
}

fn weights(home: &Path) -> Vec<u8> {
    let path = support::find(&home.join("models"), &|name| name == "weights.safetensors");
    std::fs::read(path.unwrap()).unwrap()
}

#[test]
fn trees_are_trained_scored_and_served_and_a_second_run_continues_them() {
    let (desk, pipeline) = desk(40);
    let first = desk.ok(&["run", &pipeline, "--device", "cpu"]);
    assert!(first.out.contains("version 1 is champion"), "{}", first.out);

    let score = desk.score_of_both_ways(&desk.serve(&pipeline));
    assert!(score > 0.2, "one payment of 250 in two is fraud by the sample's rules, not {score}");

    let report = support::find(&desk.path("home"), &|name| name == "report.html").unwrap();
    let report = std::fs::read_to_string(report).unwrap();
    for part in ["<th>gain</th>", "amount", "<code>gbdt</code>, version 1 (champion)", ">round</text>"] {
        assert!(report.contains(part), "{part} is not in {report}");
    }
    assert!(!report.contains("epoch"), "{report}");

    let more = desk.ok(&["run", &pipeline, "--device", "cpu", "--set", "model.continue_from=\"champion\""]);
    assert!(more.out.contains("version 2"), "{}", more.out);
    // A run that finds everything done says what the aliases are now.
    desk.ok(&["models", "promote", "card-fraud@2"]);
    let again = desk.ok(&["run", &pipeline, "--device", "cpu"]);
    assert!(again.out.contains("promote card-fraud@1"), "{}", again.out);
}

#[test]
fn the_same_seed_gives_the_same_trees_for_any_number_of_threads() {
    let trees = |n_threads: &str| {
        let (desk, pipeline) = desk(15);
        let mut command = desk.command(&["run", &pipeline, "--device", "cpu"]);
        let done = command.env("RAYON_NUM_THREADS", n_threads).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        weights(&desk.path("home"))
    };
    let one = trees("1");
    assert_eq!(trees("2"), one);
    assert_eq!(trees("5"), one);
}

/// Offers of sessions: the cheapest one of the wanted colour is bought.
fn sessions(n_sessions: usize) -> String {
    let mut csv = String::from("session,price,colour,wanted,relevance\n");
    for session in 0..n_sessions {
        let wanted = ["red", "blue", "green"][session % 3];
        let offers: Vec<(usize, &str)> = (0..8)
            .map(|i| (10 + (session * 37 + i * 53) % 90, ["red", "blue", "green"][(session / 3 + i) % 3]))
            .collect();
        let fitting = offers.iter().filter(|(_, colour)| *colour == wanted).map(|(price, _)| *price).min();
        for (price, colour) in offers {
            let relevance = if colour != wanted { 0 } else { 1 + usize::from(Some(price) == fitting) };
            csv += &format!("s{session},{price},{colour},{wanted},{relevance}\n");
        }
    }
    csv
}

#[test]
fn a_ranking_is_trained_on_lists_and_scores_rows() {
    let desk = Desk::new();
    desk.write("offers.csv", sessions(600));
    let pipeline = desk.write(
        "pipeline.toml",
        "name = \"offers\"\ntask = \"ranking\"\n[source]\nkind = \"files\"\npath = \"offers.csv\"\n\
         [schema]\nlabel = \"relevance\"\ngroup = \"session\"\n[model]\nkind = \"gbdt\"\n",
    );
    let run = desk.ok(&["run", &pipeline, "--device", "cpu"]);
    let ndcg = run.out.split_once("ndcg_at_10").unwrap().1;
    let ndcg: f64 = ndcg.split_whitespace().next().unwrap().parse().unwrap();
    assert!(ndcg > 0.95, "{}", run.out);
    let request =
        desk.write("new.csv", "price,session,colour,wanted\n20,a,red,red\n20,a,blue,red\n70,a,red,red\n");
    desk.ok(&["predict", "offers", &request, "-o", &desk.text("scores.csv")]);
    let written = desk.read("scores.csv");
    assert!(written.starts_with("row,session,score\n2,a,"), "{written}");
    let scores: Vec<f64> =
        written.lines().skip(1).map(|line| line.split(',').nth(2).unwrap().parse().unwrap()).collect();
    assert!(scores[0] > scores[2] && scores[2] > scores[1], "{scores:?}");

    desk.cupola(&["run", &pipeline, "--set", "model.kind=\"mlp\""]).refused(3, &["a network does not rank"]);
    desk.cupola(&["run", &pipeline, "--set", "task=\"regression\""])
        .refused(3, &["lists of rows are for rankings only"]);
    desk.cupola(&["run", &pipeline, "--set", "split.kind=\"random\""])
        .refused(3, &["the lists of a ranking stay whole"]);
    desk.cupola(&["run", &pipeline, "--set", "schema.label=\"price\""])
        .refused(4, &["(up to 99)", "a relevance, a whole number from 0 to 31"]);
    let alike: String = (0..600).map(|row| format!("s{},{row},{}\n", row / 6, row / 6 % 2)).collect();
    let alike = format!("session,price,relevance\n{alike}");
    desk.write("offers.csv", alike);
    desk.cupola(&["run", &pipeline])
        .refused(7, &["no list of the training rows has rows of different relevance"]);
    desk.write("offers.csv", sessions(600).replace("s17,", ","));
    desk.cupola(&["run", &pipeline]).refused(4, &["the group `session` has missing values"]);
}

#[test]
fn settings_that_trees_cannot_use_are_named() {
    let (desk, pipeline) = desk(5);
    for (setting, part) in [
        ("model.n_gpus=0", "from 1 to 64"),
        ("features.exclude=[\"nothing\"]", "features.exclude names nothing"),
        ("model.max_leaves=1", "a tree of one leaf learns nothing"),
        ("model.objective=\"reg:gamma\"", "does not fit the task"),
        ("model.learning_rate=0.0", "model.learning_rate"),
        ("train.learning_rate=0.5", "trees have their own learning rate"),
        ("model.eval_metric=\"rmse\"", "there is no metric `rmse` here"),
        ("model.base_margin=\"nothing\"", "`nothing` is not a numeric feature"),
        ("model.max_dept=3", "max_depth"),
    ] {
        let done = desk.cupola(&["run", &pipeline, "--set", "task=\"binary\"", "--set", setting]);
        done.refused(3, &[part]);
    }
}

//! From raw data to a served model, through the binary, as a user does it.

use crate::support::{Desk, find};

#[test]
fn a_pipeline_runs_resumes_scores_files_and_serves_the_same_scores() {
    let desk = Desk::with_card_fraud(20_000, 2);
    let pipeline = desk.text("pipeline.toml");
    let first = desk.ok(&["run", &pipeline, "--device", "cpu"]);
    assert!(first.out.contains("version 1 is champion"), "{}", first.out);

    let second = desk.ok(&["run", &pipeline, "--device", "cpu"]);
    assert_eq!(second.err.matches("unchanged").count(), 6, "nothing changed, so nothing runs again");

    let (scores, data) = (desk.text("scores.csv"), desk.text("data/transactions.parquet"));
    desk.ok(&["predict", "card-fraud", &data, "-o", &scores, "--keep", "amount,channel"]);
    let written = desk.read("scores.csv");
    assert_eq!(written.lines().count(), 20_001, "a line per row and the header");
    assert!(written.starts_with("row,transaction_id,amount,channel,score,label\n"), "the key is kept");
    desk.cupola(&["predict", "card-fraud", &data, "-o", &scores, "--keep", "amuont"])
        .refused(4, &["no column `amuont`", "did you mean `amount`?", "terminal_id"]);

    runs_are_listed_shown_and_compared(&desk);
    let report = desk.read_found("report.html");
    for part in
        ["<code>mlp</code>, version 1 (champion)", "Decision threshold", ">taken for true<", ">epoch</text>"]
    {
        assert!(report.contains(part), "{part} is not in {report}");
    }
    assert_eq!(report.matches("stroke-dasharray").count(), 1, "the calibration has a diagonal");

    let server = desk.serve(&pipeline);
    desk.score_of_both_ways(&server);
    let (status, reply) = server.predict("card-fraud", r#"{"amount":"much"}"#);
    assert_eq!(status, 422, "{reply}");
    assert!(reply.to_string().contains("amount"), "{reply}");
}

/// Two runs of one version, the second of which found everything done.
fn runs_are_listed_shown_and_compared(desk: &Desk) {
    let list = desk.ok(&["runs", "list"]).out;
    let lines: Vec<Vec<&str>> = list.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines.len(), 3, "{list}");
    for line in &lines[1..] {
        assert_eq!(line[3..7], ["card-fraud", "mlp", "1", "champion"], "{list}");
    }
    let [second, first] = [lines[1][0], lines[2][0]];
    let shown = desk.ok(&["runs", "show", second]).out;
    assert_eq!(shown.matches(" s  reused  ").count(), 6, "{shown}");
    for part in ["model: mlp, version 1 champion", "report.html", "profile-"] {
        assert!(shown.contains(part), "{part} is not in {shown}");
    }
    assert_eq!(desk.ok(&["runs", "show", first]).out.matches(" s  done ").count(), 6);
    let compared = desk.ok(&["runs", "compare", first, second]).out;
    let head: Vec<&str> = compared.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(head, ["run", first, second]);
    desk.cupola(&["runs", "show", "zzz"]).refused(2, &["no run zzz"]);
}

#[test]
fn identifiers_among_the_features_are_named_until_they_are_excluded() {
    let desk = Desk::new();
    let rows: String = (0..300).map(|i| format!("c-{i},{},{}\n", i % 7, i % 2)).collect();
    desk.write("x.csv", format!("code,n,y\n{rows}"));
    let file = "name = \"x\"\n[source]\nkind = \"files\"\npath = \"x.csv\"\n[schema]\nlabel = \"y\"\n";
    let path = desk.write("pipeline.toml", file);
    let run = ["run", &path, "--device", "cpu", "--to", "prepare"];
    let first = desk.ok(&run);
    assert_eq!(first.err.matches("exclude = [\"code\"]").count(), 1, "{}", first.err);
    let page = find(&desk.path("home"), &|name| name.starts_with("profile-")).unwrap();
    let of_first = std::fs::read_to_string(&page).unwrap();
    assert!(of_first.contains("string · feature"));

    desk.write("pipeline.toml", format!("{file}[features]\nexclude = [\"code\"]\n"));
    let second = desk.ok(&run);
    assert!(!second.err.contains("exclude"), "{}", second.err);
    assert_eq!(second.err.matches("unchanged").count(), 2, "the clean table is the same: {}", second.err);
    let other = |name: &str| name.starts_with("profile-") && !page.ends_with(name);
    let of_second = std::fs::read_to_string(find(&desk.path("home"), &other).unwrap()).unwrap();
    assert!(of_second.contains("string · not used"));
    assert_eq!(std::fs::read_to_string(&page).unwrap(), of_first, "the first run's page stays");
}

#[test]
fn a_wrong_key_is_shown_in_the_file_with_the_nearest_known_name() {
    let desk = Desk::new();
    let path = desk.write(
        "pipeline.toml",
        "name = \"x\"\n[source]\nkind = \"files\"\npath = \"x.csv\"\n[train]\nlerning_rate = 0.1\n",
    );
    let done = desk.cupola(&["validate", &path]);
    done.refused(3, &["lerning_rate", "learning_rate"]);
    assert!(done.err.contains("pipeline.toml:6"), "{}", done.err);
    assert_eq!(done.err.matches("batch_rows").count(), 1, "known keys are listed once: {}", done.err);
}

#[test]
fn contradictions_are_all_reported_with_their_keys() {
    let desk = Desk::new();
    let file = "name = \"x\"\n[source]\nkind = \"files\"\npath = \"x.csv\"\n[schema]\nlabel = \"y\"\n[schema.columns]\nyy = { type = \"bool\" }\n[split]\nkind = \"time\"\n";
    let path = desk.write("pipeline.toml", file);
    desk.cupola(&["validate", &path]).refused(3, &["did you mean `yy`", "a time split needs"]);
}

#[test]
fn a_missing_source_and_an_unknown_model_have_their_exit_codes() {
    let desk = Desk::new();
    let file = "name = \"x\"\n[source]\nkind = \"files\"\npath = \"x.csv\"\n[schema]\nlabel = \"y\"\n";
    let path = desk.write("pipeline.toml", file);
    desk.cupola(&["run", &path, "--device", "cpu"]).refused(4, &["x.csv"]);
    desk.cupola(&["predict", "nobody", "x.csv", "-o", "y.csv"])
        .refused(8, &["nobody", "home/models", "--home"]);
    desk.cupola(&["serve", &path]).refused(10, &["home/models", "--home"]);
    desk.cupola(&["run", &path, "--device", "tpu"]).refused(3, &["tpu"]);
}

#[test]
fn the_reference_page_is_current() {
    let desk = Desk::new();
    for (command, file) in [("reference", "reference.md"), ("json", "pipeline.schema.json")] {
        let shown = desk.command(&["schema", command]).output().unwrap();
        let shown = String::from_utf8(shown.stdout).unwrap();
        let kept = std::fs::read_to_string(format!("{}/docs/{file}", env!("CARGO_MANIFEST_DIR")));
        let kept = kept.unwrap_or_default();
        assert_eq!(shown.trim(), kept.trim(), "run `cupola schema {command} > docs/{file}`");
    }
}

//! Broken records out of the way, corrected, and back, through the binary, as a user does it.

use std::path::{Path, PathBuf};
use std::process::Command;

use arrow::array::AsArray;
use arrow::datatypes::{Float64Type, Int64Type};
use cupola_datasets::Lake;

struct Shop(tempfile::TempDir);

struct Done {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Shop {
    fn new() -> Self {
        let shop = Self(tempfile::tempdir().unwrap());
        std::fs::write(
            shop.path("pipeline.toml"),
            r#"
            name = "shop"
            max_quarantined = 0.9
            [source]
            kind = "files"
            path = "*.csv"
            [schema]
            key = ["id"]
            label = "bought"
            [schema.columns]
            id = { type = "int64" }
            amount = { type = "float64", min = 0.0 }
            bought = { type = "bool" }
            "#,
        )
        .unwrap();
        shop
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn cupola(&self, arguments: &[&str]) -> Done {
        let output = Command::new(env!("CARGO_BIN_EXE_cupola"))
            .args(arguments)
            .args(["--home", "home"])
            .current_dir(self.0.path())
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        // A long message is wrapped.
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr).replace("\n  │ ", " "));
        println!("cupola {arguments:?}: {}\n{stdout}{stderr}", output.status);
        Done { code: output.status.code().unwrap(), stdout, stderr }
    }

    fn ingest(&self) -> Done {
        self.cupola(&["run", "pipeline.toml", "--to", "ingest", "--device", "cpu"])
    }

    /// Id and amount of each row of the raw table.
    fn raw(&self) -> Vec<(i64, f64)> {
        let lake = Lake::open(&self.path("home/lake")).unwrap();
        let raw = lake.latest("shop/raw").unwrap().unwrap();
        let mut rows = Vec::new();
        for batch in lake.scan(&raw, Default::default()).unwrap() {
            let batch = batch.unwrap();
            let ids = batch.column(0).as_primitive::<Int64Type>().values().to_vec();
            rows.extend(ids.into_iter().zip(batch.column(1).as_primitive::<Float64Type>().values().to_vec()));
        }
        rows
    }

    fn rewrite(&self, file: &str, edit: impl Fn(&str) -> String) {
        let text = std::fs::read_to_string(self.path(file)).unwrap();
        std::fs::write(self.path(file), edit(&text)).unwrap();
    }
}

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
}

#[test]
fn broken_records_are_listed_exported_corrected_and_replayed() {
    let shop = Shop::new();
    write(&shop.path("a.csv"), "id,amount,bought\n1,10.5,yes\n2,ten,no\n3,-4,yes\n4,7\n5,8,maybe\n6,9,no\n");
    let run = shop.ingest();
    assert_eq!(run.code, 0);
    assert!(run.stderr.contains("2 rows from *.csv, 4 records quarantined"));
    assert_eq!(shop.raw(), [(1, 10.5), (6, 9.0)]);

    // Each with its reason, file, line and text.
    let list = shop.cupola(&["quarantine", "list", "shop"]).stdout;
    assert!(list.starts_with("4 records in quarantine"), "{list}");
    for expected in [
        "a.csv:3  amount: not a float64: \"ten\"\n    {\"id\":\"2\",\"amount\":\"ten\",\"bought\":\"no\"}",
        "a.csv:4  amount: below the minimum",
        "a.csv:5  wrong number of fields: 2 instead of 3\n    4,7",
        "a.csv:6  bought: not a bool: \"maybe\"",
    ] {
        assert!(list.contains(expected), "{expected} is not in {list}");
    }

    let exported = shop.cupola(&["quarantine", "export", "shop", "-o", "broken.jsonl"]);
    assert!(exported.stdout.contains("4 records in broken.jsonl"));
    // Two well corrected, one wrongly, and one left as it is.
    shop.rewrite("broken.jsonl", |text| {
        text.replace(r#""amount":"ten""#, r#""amount":10"#)
            .replace(r#""amount":"-4""#, r#""amount":"-3""#)
            .replace(r#""4,7""#, r#"{"id":4,"amount":7,"bought":true}"#)
    });
    let replayed = shop.cupola(&["quarantine", "replay", "shop", "broken.jsonl"]);
    assert_eq!(replayed.code, 0);
    assert!(replayed.stdout.contains("2 records replayed, 2 still broken, 0 replayed before"));
    let list = shop.cupola(&["quarantine", "list", "shop"]).stdout;
    assert!(list.starts_with("2 records in quarantine") && list.contains(": -3"), "{list}");
    assert_eq!(shop.raw().len(), 2, "only a run changes the raw table");

    let run = shop.ingest();
    assert!(run.stderr.contains("4 rows from *.csv, 2 records quarantined"));
    assert_eq!(shop.raw(), [(1, 10.5), (6, 9.0), (2, 10.0), (4, 7.0)]);
    assert!(shop.ingest().stderr.contains("unchanged"));

    // Twice is once.
    let again = shop.cupola(&["quarantine", "replay", "shop", "broken.jsonl"]);
    assert!(again.stdout.contains("0 records replayed, 2 still broken, 2 replayed before"));
    assert!(shop.ingest().stderr.contains("4 rows from *.csv, 2 records quarantined"));
    let exported = shop.cupola(&["quarantine", "export", "shop", "-o", "rest.jsonl"]);
    assert!(exported.stdout.contains("2 records"));
}

#[test]
fn a_replay_counts_once_and_stays_when_the_source_grows() {
    let shop = Shop::new();
    write(&shop.path("a.csv"), "id,amount,bought\n1,10.5,yes\n2,ten,no\n");
    assert_eq!(shop.ingest().code, 0);
    shop.cupola(&["quarantine", "export", "shop", "-o", "broken.jsonl"]);
    shop.rewrite("broken.jsonl", |text| text.replace(r#""ten""#, "10"));
    assert_eq!(shop.cupola(&["quarantine", "replay", "shop", "broken.jsonl"]).code, 0);
    let again = shop.cupola(&["quarantine", "replay", "shop", "broken.jsonl"]);
    assert!(again.stdout.contains("0 records replayed, 0 still broken, 1 replayed before"));
    assert_eq!(shop.ingest().code, 0);
    assert_eq!(shop.raw(), [(1, 10.5), (2, 10.0)]);
    let again = shop.cupola(&["quarantine", "replay", "shop", "broken.jsonl"]);
    assert!(again.stdout.contains("0 records replayed, 0 still broken, 1 replayed before"));

    // Rows before and after it, and another file.
    write(&shop.path("a.csv"), "id,amount,bought\n0,1,no\n1,10.5,yes\n2,ten,no\n3,5,no\n");
    write(&shop.path("b.csv"), "id,amount,bought\n4,6,yes\n");
    assert_eq!(shop.ingest().code, 0);
    assert_eq!(shop.raw(), [(0, 1.0), (1, 10.5), (3, 5.0), (4, 6.0), (2, 10.0)]);
    assert!(shop.cupola(&["quarantine", "list", "shop"]).stdout.starts_with("0 records"));

    // Corrected at its source in the meantime: the correction has nothing to stand for.
    write(&shop.path("a.csv"), "id,amount,bought\n0,1,no\n1,10.5,yes\n2,11,no\n");
    assert_eq!(shop.ingest().code, 0);
    assert_eq!(shop.raw(), [(0, 1.0), (1, 10.5), (2, 11.0), (4, 6.0)]);

    // A schema that the correction breaks sends it back to the quarantine.
    write(&shop.path("a.csv"), "id,amount,bought\n1,10.5,yes\n2,ten,no\n");
    shop.rewrite("pipeline.toml", |text| text.replace("min = 0.0", "min = 10.2"));
    assert_eq!(shop.ingest().code, 0);
    let list = shop.cupola(&["quarantine", "list", "shop"]).stdout;
    assert!(list.contains("a.csv:3  amount: below the minimum"), "{list}");
    assert_eq!(shop.raw(), [(1, 10.5)]);
}

#[test]
fn a_replay_that_cannot_be_is_refused_whole() {
    let shop = Shop::new();
    write(&shop.path("a.csv"), "id,amount,bought\n1,10.5,yes\n2,ten,no\n3,x,no\n");
    let nothing = shop.cupola(&["quarantine", "replay", "shop", "broken.jsonl"]);
    assert_eq!(nothing.code, 3);
    assert!(nothing.stderr.contains("there is no ingest of a pipeline shop"));
    assert_eq!(shop.ingest().code, 0);
    let missing = shop.cupola(&["quarantine", "replay", "shop", "broken.jsonl"]);
    assert_eq!(missing.code, 4);
    assert!(missing.stderr.contains("broken.jsonl"));
    shop.cupola(&["quarantine", "export", "shop", "-o", "broken.jsonl"]);
    shop.rewrite("broken.jsonl", |text| text.replace(r#""ten""#, "10").replace(r#""x""#, "10,"));
    let wrong = shop.cupola(&["quarantine", "replay", "shop", "broken.jsonl"]);
    assert_eq!(wrong.code, 4);
    assert!(wrong.stderr.contains("broken.jsonl line 2") && wrong.stderr.contains("nothing was replayed"));
    assert!(shop.cupola(&["quarantine", "list", "shop"]).stdout.starts_with("2 records"));
}

#[test]
fn too_many_broken_records_stop_the_run_and_can_be_replayed() {
    let shop = Shop::new();
    shop.rewrite("pipeline.toml", |text| text.replace("max_quarantined = 0.9", "max_quarantined = 0.2"));
    write(&shop.path("a.csv"), "id,amount,bought\n1,10.5,yes\n2,ten,no\n3,7,no\n");
    let stopped = shop.ingest();
    assert_eq!(stopped.code, 4);
    assert!(stopped.stderr.contains("1 of 3 records were quarantined"), "{}", stopped.stderr);
    assert!(stopped.stderr.contains("amount: not a float64"), "{}", stopped.stderr);
    assert!(stopped.stderr.contains("cupola quarantine list shop"), "{}", stopped.stderr);
    let lake = Lake::open(&shop.path("home/lake")).unwrap();
    assert_eq!(lake.latest("shop/raw").unwrap(), None, "a run that stops leaves the raw table alone");
    // The same again does not add up.
    assert_eq!(shop.ingest().code, 4);
    assert!(shop.cupola(&["quarantine", "list", "shop"]).stdout.starts_with("1 records"));
    shop.cupola(&["quarantine", "export", "shop", "-o", "broken.jsonl"]);
    shop.rewrite("broken.jsonl", |text| text.replace(r#""ten""#, "10"));
    assert_eq!(shop.cupola(&["quarantine", "replay", "shop", "broken.jsonl"]).code, 0);
    assert_eq!(shop.ingest().code, 0);
    assert_eq!(shop.raw(), [(1, 10.5), (3, 7.0), (2, 10.0)]);
}

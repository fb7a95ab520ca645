//! Bad input through the binary: a clear error with its exit code, or documented behaviour, and
//! nothing is lost.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use arrow::record_batch::RecordBatch;
use cupola_datasets::Lake;

/// A folder with a pipeline `p` on `data.csv` and a home of its own.
struct Place(tempfile::TempDir);

struct Done {
    code: Option<i32>,
    stdout: String,
    /// Standard error; with `--log-format json` a message is on one line.
    stderr: String,
}

impl Done {
    /// Ended with this code, and said all of these.
    #[track_caller]
    fn must(&self, code: i32, texts: &[&str]) {
        assert_eq!(self.code, Some(code), "{}", self.stderr);
        for text in texts {
            assert!(self.stderr.contains(text), "{text:?} is not in {}", self.stderr);
        }
    }
}

/// Columns that most of the tests use.
const SCHEMA: &str = r#"
label = "y"
key = ["id"]
[schema.columns]
id = { type = "int64", required = true }
x = { type = "float64", required = true }
y = { type = "bool", required = true }
"#;

impl Place {
    fn new(schema: &str, data: impl AsRef<[u8]>) -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        place.pipeline("data.csv", schema);
        std::fs::write(place.path("data.csv"), data).unwrap();
        place
    }

    fn pipeline(&self, path: &str, schema: &str) {
        let text = format!(
            "name = \"p\"\nmax_quarantined = 0.8\n[source]\nkind = \"files\"\npath = \"{path}\"\n[schema]\n{schema}\n\
             [split]\nkind = \"random\"\n[train]\nepochs_max = 1\n"
        );
        std::fs::write(self.path("pipeline.toml"), text).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cupola"));
        command.args(arguments).args(["--home", "home", "--log-format", "json"]).current_dir(self.0.path());
        command
    }

    fn cupola(&self, arguments: &[&str]) -> Done {
        done(&mut self.command(arguments))
    }

    fn ingest(&self) -> Done {
        self.cupola(&["run", "pipeline.toml", "--device", "cpu", "--to", "ingest"])
    }

    fn run(&self) -> Done {
        self.cupola(&["run", "pipeline.toml", "--device", "cpu"])
    }

    fn quarantine(&self) -> String {
        self.cupola(&["quarantine", "list", "p"]).stdout
    }

    fn raw(&self) -> RecordBatch {
        let lake = Lake::open(&self.path("home/lake")).unwrap();
        let raw = lake.latest("p/raw").unwrap().unwrap();
        let batches: Vec<_> = lake.scan(&raw, Default::default()).unwrap().map(Result::unwrap).collect();
        arrow::compute::concat_batches(&lake.schema(&raw).unwrap(), &batches).unwrap()
    }

    fn ids(&self) -> Vec<i64> {
        self.raw().column(0).as_primitive::<Int64Type>().values().to_vec()
    }
}

fn done(command: &mut Command) -> Done {
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let done =
        Done { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) };
    println!("{command:?}: {}\n{}{}", output.status, done.stdout, done.stderr);
    done
}

/// Rows with a label that follows from `x`.
fn rows(n: usize) -> String {
    let mut text = "id,x,y\n".to_owned();
    for id in 0..n {
        let x = (id * 37 % 101) as f64 / 10.0;
        writeln!(text, "{id},{x},{}", x > 5.0).unwrap();
    }
    text
}

#[test]
fn an_empty_file() {
    Place::new(SCHEMA, "").run().must(4, &["data.csv", "the file is empty"]);
    let place = Place::new("label = \"y\"", "");
    place.run().must(4, &["data.csv", "the file is empty"]);
    std::fs::write(place.path("data.jsonl"), "").unwrap();
    place.pipeline("data.jsonl", SCHEMA);
    place.run().must(4, &["data.jsonl has no record"]);
    std::fs::write(place.path("data.parquet"), "").unwrap();
    place.pipeline("data.parquet", SCHEMA);
    place.run().must(4, &["data.parquet", "not a readable Parquet file"]);
}

#[test]
fn a_header_and_nothing_else() {
    Place::new(SCHEMA, "id,x,y\n").run().must(4, &["data.csv has no record"]);
    Place::new("label = \"y\"", "id,x,y\n")
        .run()
        .must(4, &["data.csv has no records to infer a schema from"]);
    let place = Place::new(SCHEMA, "id,x,y\n");
    place.cupola(&["schema", "infer", "data.csv"]).must(4, &["has no records"]);
}

#[test]
fn ragged_rows_are_quarantined() {
    let place = Place::new(SCHEMA, "id,x,y\n1,1.5,yes\n2,1.5\n3,1.5,no,more\n\n4,2.5,no\n");
    place.ingest().must(0, &["2 rows from data.csv, 2 records quarantined"]);
    assert_eq!(place.ids(), [1, 4]);
    let list = place.quarantine();
    assert!(list.contains("data.csv:3  wrong number of fields: 2 instead of 3\n    2,1.5"), "{list}");
    assert!(list.contains("data.csv:4  wrong number of fields: 4 instead of 3\n    3,1.5,no,more"), "{list}");
}

#[test]
fn nan_and_infinities_are_quarantined() {
    let values = ["NaN", "inf", "-Infinity", "1e999", "+inf", "nan"];
    let mut text = "id,x,y\n0,1.0,yes\n9,-2.5e-3,no\n".to_owned();
    for (id, value) in values.iter().enumerate() {
        writeln!(text, "{},{value},no", id + 1).unwrap();
    }
    let place = Place::new(SCHEMA, text);
    place.ingest().must(0, &["2 rows from data.csv, 6 records quarantined"]);
    assert_eq!(place.ids(), [0, 9]);
    let list = place.quarantine();
    assert!(list.contains("6  x: not a finite number"), "{list}");

    // `missing` on the column says that a text means "no value".
    let schema = SCHEMA.replace(
        "x = { type = \"float64\", required = true }",
        "x = { type = \"float64\", required = false, missing = [\"NaN\", \"nan\"] }",
    );
    place.pipeline("data.csv", &schema);
    place.ingest().must(0, &["4 rows from data.csv, 4 records quarantined"]);

    // JSON has no such numbers.
    let jsonl = "{\"id\":1,\"x\":1.5,\"y\":true}\n{\"id\":2,\"x\":NaN,\"y\":true}\n{\"id\":3,\"x\":1e999,\"y\":true}\n{\"id\":4,\"x\":\"inf\",\"y\":true}\n";
    std::fs::write(place.path("data.jsonl"), jsonl).unwrap();
    place.pipeline("data.jsonl", SCHEMA);
    place.ingest().must(0, &["1 rows from data.jsonl, 3 records quarantined"]);
    assert_eq!(place.ids(), [1]);
}

#[test]
fn a_missing_column_is_named_with_the_nearest_and_an_extra_one_is_left_out() {
    let place = Place::new(SCHEMA, "id,X1,y\n1,1.5,yes\n");
    place.run().must(4, &["data.csv has no column x", "required = false"]);
    let optional = SCHEMA.replace(
        "x = { type = \"float64\", required = true }",
        "x = { type = \"float64\", required = false }",
    );
    place.pipeline("data.csv", &optional);
    place.ingest().must(0, &["1 rows", "columns that are not in [schema.columns] are ignored", "X1"]);
    assert_eq!(place.raw().column(1).null_count(), 1);
    let renamed = Place::new(SCHEMA, "id,xs,y\n1,1.5,yes\n");
    renamed.run().must(4, &["data.csv has no column x, did you mean xs?"]);
    // A role that no column plays.
    let unnamed = Place::new("label = \"why\"", rows(100));
    unnamed.run().must(3, &["`why`", "id, x, y"]);
}

#[test]
fn a_column_without_values_trains_and_scores() {
    let text = rows(400).lines().map(|line| line.to_owned() + ",\n").collect::<String>();
    let text = text.replacen("y,\n", "y,nothing\n", 1);
    let place = Place::new("label = \"y\"\nkey = [\"id\"]", text);
    place.run().must(0, &[]);
    let scored = place.cupola(&["predict", "p", "data.csv", "-o", "scores.csv"]);
    scored.must(0, &[]);
    assert_eq!(std::fs::read_to_string(place.path("scores.csv")).unwrap().lines().count(), 401);
    // Declared as a number it is as empty.
    let schema = SCHEMA.to_owned() + "nothing = { type = \"float64\", required = false }\n";
    place.pipeline("data.csv", &schema);
    place.run().must(0, &[]);
    // A label without values is no label.
    let schema = schema.replace("label = \"y\"", "label = \"nothing\"");
    place.pipeline("data.csv", &schema);
    place.run().must(4, &["nothing"]);
}

#[test]
fn ten_thousand_categories_train_and_score() {
    let mut text = "id,x,y,who\n".to_owned();
    for id in 0..30_000 {
        let x = (id * 37 % 101) as f64 / 10.0;
        writeln!(text, "{id},{x},{},person-{}", x > 5.0, id % 10_000).unwrap();
    }
    let place = Place::new("label = \"y\"\nkey = [\"id\"]", text);
    place.run().must(0, &[]);
    // One that training has not seen is as good; none is refused, for training always had one.
    std::fs::write(place.path("new.csv"), "id,x,who\n1,2.5,nobody\n2,2.5,\n3,2.5,person-17\n").unwrap();
    place.cupola(&["predict", "p", "new.csv", "-o", "scores.csv"]).must(0, &[]);
    assert_eq!(std::fs::read_to_string(place.path("scores.csv")).unwrap().lines().count(), 3);
    let rejected = std::fs::read_to_string(place.path("scores.csv.rejected.jsonl")).unwrap();
    assert!(rejected.lines().count() == 1 && rejected.contains("who"), "{rejected}");
}

#[test]
fn a_line_of_300_mb_is_quarantined_in_bounded_memory() {
    for (name, open, close) in [("data.csv", "2,", ",yes"), ("data.jsonl", "{\"id\":\"", "\"}")] {
        let place = Place::new(SCHEMA, "");
        place.pipeline(name, SCHEMA);
        let mut file = std::io::BufWriter::new(std::fs::File::create(place.path(name)).unwrap());
        let (first, last) = if name.ends_with("csv") {
            ("id,x,y\n1,1.5,yes\n", "\n3,2.5,no\n")
        } else {
            ("{\"id\":1,\"x\":1.5,\"y\":true}\n", "\n{\"id\":3,\"x\":2.5,\"y\":false}\n")
        };
        file.write_all(first.as_bytes()).unwrap();
        file.write_all(open.as_bytes()).unwrap();
        for _ in 0..300 {
            file.write_all(&[b'7'; 1_000_000]).unwrap();
        }
        file.write_all(close.as_bytes()).unwrap();
        file.write_all(last.as_bytes()).unwrap();
        file.into_inner().unwrap();

        let (code, peak_mib) =
            peak_mib(&mut place.command(&["run", "pipeline.toml", "--device", "cpu", "--to", "ingest"]));
        assert_eq!(code, Some(0));
        assert_eq!(place.ids(), [1, 3], "{name}");
        let list = place.quarantine();
        assert!(list.contains("the line is longer than source.line_mib_max = 16 MiB"), "{list}");
        // Measured: 51 MiB.
        assert!(peak_mib < 128.0, "{name}: {peak_mib} MiB");
        println!("{name}: {peak_mib} MiB");
    }
}

/// Exit code of a process and its largest resident memory, by the kernel's own high-water mark.
fn peak_mib(command: &mut Command) -> (Option<i32>, f64) {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let mut peak = 0.0_f64;
    loop {
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let mark = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = mark.and_then(|text| text.trim().strip_suffix(" kB")?.trim().parse::<f64>().ok());
        peak = peak.max(kib.unwrap_or(0.0) / 1024.0);
        if let Some(status) = child.try_wait().unwrap() {
            assert!(peak > 1.0, "the high-water mark was read");
            return (status.code(), peak);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn bytes_that_are_no_text_are_quarantined_until_the_encoding_is_named() {
    let schema = "label = \"y\"\n[schema.columns]\nid = { type = \"int64\" }\nwho = { type = \"string\" }\ny = { type = \"bool\" }\n";
    let place = Place::new(schema, b"id,who,y\n1,Anna,yes\n2,J\xf6rg,no\n3,\xff\xfe,no\n");
    place.ingest().must(0, &["1 rows from data.csv, 2 records quarantined"]);
    let list = place.quarantine();
    assert!(list.contains("data.csv:3  who: bytes that are not utf-8: set source.encoding"), "{list}");
    let text = std::fs::read_to_string(place.path("pipeline.toml")).unwrap();
    std::fs::write(
        place.path("pipeline.toml"),
        text.replace("kind = \"files\"", "kind = \"files\"\nencoding = \"latin1\""),
    )
    .unwrap();
    place.ingest().must(0, &["3 rows from data.csv, 0 records quarantined"]);
    let raw = place.raw();
    assert_eq!(raw.column(1).as_string::<i32>().value(1), "Jörg");
    let header = Place::new(SCHEMA, b"id,\xf6,y\n1,2,yes\n");
    header.run().must(4, &["the header has bytes that are not utf-8"]);
}

#[test]
fn times_in_mixed_zones_are_one_instant() {
    let schema = "time = \"at\"\nlabel = \"y\"\n[schema.columns]\nat = { type = \"timestamp\" }\ny = { type = \"bool\" }\n";
    // 2018-04-01T00:00:31Z is 1522540831 by `date -u -d 2018-04-01T00:00:31Z +%s`.
    let text = "at,y\n2018-04-01T00:00:31Z,1\n2018-04-01T02:00:31+02:00,0\n2018-03-31 18:30:31-05:30,1\n2018-04-01 00:00:31,0\n1522540831,0\n1522540831000,0\n2018-04-01T00:00:31 CET,0\n";
    let place = Place::new(schema, text);
    place.ingest().must(0, &["6 rows from data.csv, 1 records quarantined"]);
    let raw = place.raw();
    assert_eq!(
        raw.column(0).as_primitive::<TimestampMicrosecondType>().values(),
        &[1_522_540_831_000_000; 6]
    );
    assert!(place.quarantine().contains("at: not a timestamp: \"2018-04-01T00:00:31 CET\""));
}

#[test]
fn of_duplicate_keys_the_first_stays_or_the_last_where_that_is_said() {
    let place = Place::new(SCHEMA, "id,x,y\n1,1.5,yes\n2,2.5,no\n1,3.5,no\n");
    place.ingest().must(0, &["2 rows from data.csv, 1 records quarantined"]);
    assert_eq!(place.ids(), [1, 2]);
    let list = place.quarantine();
    assert!(list.contains("data.csv:4  id: an earlier record has the same key: id = 1"), "{list}");
    let text = std::fs::read_to_string(place.path("pipeline.toml")).unwrap();
    std::fs::write(place.path("pipeline.toml"), text + "[prepare]\ndeduplicate = { keep = \"last\" }\n")
        .unwrap();
    let prepared = place.cupola(&["run", "pipeline.toml", "--device", "cpu", "--to", "prepare"]);
    prepared.must(0, &["3 rows from data.csv, 0 records quarantined", "2 rows clean"]);
    assert!(place.quarantine().starts_with("0 records"));
}

/// Runs a script in a mount namespace of its own, where a small or a read-only file system can be
/// put; `None`, with the test named as skipped, where the system does not allow it.
fn with_mounts(test: &str, place: &Place, script: &str) -> Option<Done> {
    let unshare = |script: &str| {
        let mut command = Command::new("unshare");
        command.args(["--map-root-user", "--mount", "sh", "-ec", script]).current_dir(place.0.path());
        command.env("CUPOLA", env!("CARGO_BIN_EXE_cupola"));
        command
    };
    let probe = unshare("mkdir -p probe && mount -t tmpfs tmpfs probe").output();
    if probe.is_ok_and(|output| output.status.success()) {
        return Some(done(&mut unshare(script)));
    }
    println!("SKIPPED {test}: needs `unshare --map-root-user --mount` and tmpfs");
    None
}

const RUN: &str = "\"$CUPOLA\" run pipeline.toml --device cpu --log-format json --home";

#[test]
fn a_full_disk_is_named_and_the_next_run_goes_on() {
    let place = Place::new(SCHEMA, rows(300_000));
    let script = format!("mkdir -p home && mount -t tmpfs -o size=500k tmpfs home && {RUN} home");
    let Some(full) = with_mounts("a_full_disk_is_named_and_the_next_run_goes_on", &place, &script) else {
        return;
    };
    full.must(5, &["No space left on device", "free some space"]);

    // What an interrupted run leaves must not disturb the next one.
    let script = format!(
        "mkdir -p home && mount -t tmpfs -o size=500k tmpfs home && ! {RUN} home && mount -o remount,size=200m home && {RUN} home --to prepare"
    );
    let next = with_mounts("a_full_disk_is_named_and_the_next_run_goes_on", &place, &script).unwrap();
    next.must(0, &["300000 rows from data.csv", "300000 rows clean"]);
}

#[test]
fn a_disk_that_fills_up_in_any_stage_is_told_as_that() {
    let place = Place::new(SCHEMA, rows(300_000));
    for size in ["300k", "1200k", "2m", "3m", "5m"] {
        let script = format!("mkdir -p home && mount -t tmpfs -o size={size} tmpfs home && {RUN} home");
        let Some(full) = with_mounts("a_disk_that_fills_up_in_any_stage_is_told_as_that", &place, &script)
        else {
            return;
        };
        // Where there is space enough the run is fine.
        if full.code != Some(0) {
            full.must(5, &["No space left on device"]);
        }
    }
}

#[test]
fn a_file_that_may_not_grow_is_told_as_storage() {
    let place = Place::new(SCHEMA, rows(300_000));
    // 512-byte blocks; the signal that the limit sends is ignored, so that the write fails instead.
    let mut command = Command::new("sh");
    command.args(["-c", &format!("trap '' XFSZ; ulimit -f 1024; exec {RUN} home")]);
    command.env("CUPOLA", env!("CARGO_BIN_EXE_cupola")).current_dir(place.0.path());
    done(&mut command).must(5, &["File too large", "home"]);
    place.ingest().must(0, &["300000 rows"]);
}

#[test]
fn a_read_only_folder_is_named() {
    let place = Place::new(SCHEMA, rows(1_000));
    let script = format!("mkdir -p home && mount -t tmpfs -o ro tmpfs home && {RUN} home");
    if let Some(run) = with_mounts("a_read_only_folder_is_named", &place, &script) {
        run.must(5, &["home", "Read-only file system"]);
    }
    // A home that is no folder.
    let _ = std::fs::remove_dir(place.path("home"));
    std::fs::write(place.path("home"), "").unwrap();
    place.run().must(5, &["home"]);
}

#[test]
fn scores_that_cannot_be_written_leave_the_old_ones() {
    let place = Place::new(SCHEMA, rows(2_000));
    place.run().must(0, &[]);
    std::fs::write(place.path("scores.csv"), "old").unwrap();
    let script = "mkdir -p out && mount -t tmpfs -o size=16k tmpfs out && echo old > out/scores.csv && \
                  ! \"$CUPOLA\" predict p data.csv -o out/scores.csv --home home --log-format json && \
                  cat out/scores.csv && test $(ls out | wc -l) = 1";
    if let Some(scored) = with_mounts("scores_that_cannot_be_written_leave_the_old_ones", &place, script) {
        scored.must(0, &["No space left on device", "out/scores.csv"]);
        assert_eq!(scored.stdout.trim(), "old");
    }
    place
        .cupola(&["predict", "p", "data.csv", "-o", "no/folder/scores.csv"])
        .must(5, &["no/folder/scores.csv"]);
    place.cupola(&["predict", "p", "data.csv", "-o", "scores.xls"]).must(5, &["scores.xls"]);
    assert_eq!(std::fs::read_to_string(place.path("scores.csv")).unwrap(), "old");
    // Broken records do not stop the others; they are beside the scores.
    std::fs::write(place.path("bad.csv"), "id,x\n1,2.5\n2,inf\n3\n4,7\n").unwrap();
    place.cupola(&["predict", "p", "bad.csv", "-o", "scores.csv"]).must(0, &[]);
    let scores = std::fs::read_to_string(place.path("scores.csv")).unwrap();
    assert_eq!(
        scores.lines().map(|line| line.split(',').next().unwrap()).collect::<Vec<_>>(),
        ["row", "2", "5"]
    );
    let rejected = std::fs::read_to_string(place.path("scores.csv.rejected.jsonl")).unwrap();
    assert!(rejected.contains("not a finite number") && rejected.contains("wrong number of fields"));
}

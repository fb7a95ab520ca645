use std::path::{Path, PathBuf};

use arrow::array::AsArray;
use arrow::datatypes::{Float64Type, Int64Type, TimestampMicrosecondType};

use super::*;
use crate::lake::{Lake, LakeError};
use crate::schema::{Schema, Validator};
use crate::sources::BrokenRecord;

struct Home {
    dir: tempfile::TempDir,
    lake: Lake,
    tables: Tables,
    schema: Schema,
}

impl Home {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let lake = Lake::open(&dir.path().join("lake")).unwrap();
        let schema = crate::schema::from_toml(
            r#"
            key = ["id"]
            [columns]
            id = { type = "int64", required = true }
            amount = { type = "float64", min = 0.0, required = true }
            who = { type = "string", required = false }
            at = { type = "timestamp", required = false }
            "#,
        );
        Self { dir, lake, tables: Tables::of("shop"), schema }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The quarantine of an ingest that knew of all replays so far.
    fn ingest(&self, records: &[BrokenRecord]) {
        let mut corrections = Corrections::load(&self.lake, &self.tables.corrections).unwrap();
        let replay = corrections.last_replay();
        let mut identifier = Identifier::default();
        let mut writer = Writer::start(&self.lake, &self.tables.quarantine, 1);
        for broken in records {
            let id = identifier.id(broken);
            if !corrections.meet(&id) {
                let entry = Entry { id, broken: broken.clone(), run_id: "run".into(), replay };
                writer.push(vec![entry]).unwrap();
            }
        }
        writer.commit().unwrap();
    }

    fn waiting(&self) -> Vec<Entry> {
        list(&self.lake, &self.tables, 100).unwrap().entries
    }

    /// The lines of an export after `edit` was made to each `record`.
    fn corrected(&self, edit: impl Fn(&str) -> String) -> PathBuf {
        let path = self.path("corrected.jsonl");
        export(&self.lake, &self.tables, &path).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.lines().map(|line| edit(line) + "\n").collect::<String>()).unwrap();
        path
    }

    fn replay(&self, path: &Path) -> Result<Replayed, ReplayError> {
        replay(&self.lake, &self.tables, &self.schema, true, path, 2)
    }

    /// Ids of the corrections that the next ingest of these records would take.
    fn taken(&self, records: &[BrokenRecord]) -> Vec<Correction> {
        let mut corrections = Corrections::load(&self.lake, &self.tables.corrections).unwrap();
        let mut identifier = Identifier::default();
        for broken in records {
            corrections.meet(&identifier.id(broken));
        }
        corrections.met().unwrap().flat_map(Result::unwrap).collect()
    }
}

fn broken(line: u64, record: &str) -> BrokenRecord {
    BrokenRecord {
        file: "a.csv".into(),
        line,
        column: Some("amount".into()),
        reason: "not a float64: \"x\"".into(),
        record: record.into(),
    }
}

fn three() -> Vec<BrokenRecord> {
    vec![
        broken(2, r#"{"id":"1","amount":"x"}"#),
        broken(5, r#"{"id":"2","amount":"x"}"#),
        broken(9, "3;ragged"),
    ]
}

#[test]
fn an_id_stays_when_lines_shift_and_equal_records_have_their_own() {
    let ids = |records: &[BrokenRecord]| -> Vec<String> {
        let mut identifier = Identifier::default();
        records.iter().map(|record| identifier.id(record)).collect()
    };
    let first = ids(&[broken(2, "a"), broken(3, "a"), broken(4, "b")]);
    assert_eq!(first, ids(&[broken(20, "a"), broken(30, "a"), broken(40, "b")]));
    assert_eq!(first[1], format!("{}-2", first[0]));
    assert_ne!(first[0], first[2]);
    let elsewhere = BrokenRecord { file: "b.csv".into(), ..broken(2, "a") };
    assert_ne!(first[0], ids(&[elsewhere])[0]);
}

#[test]
fn a_write_replaces_the_table_and_one_given_up_changes_nothing() {
    let home = Home::new();
    home.ingest(&[]);
    assert_eq!(home.lake.latest(&home.tables.quarantine).unwrap(), None, "no table for no record");
    home.ingest(&three());
    assert_eq!(home.waiting().len(), 3);
    let mut given_up = Writer::start(&home.lake, &home.tables.quarantine, 1);
    given_up.push(home.waiting()[..1].to_vec()).unwrap();
    drop(given_up);
    assert_eq!(home.waiting().len(), 3);
    home.ingest(&three()[..1]);
    assert_eq!(home.waiting().len(), 1);
    home.ingest(&[]);
    assert_eq!(home.waiting().len(), 0);
}

#[test]
fn a_failed_write_is_told() {
    let home = Home::new();
    std::fs::write(home.path("lake"), "a file where the folder should be").unwrap();
    let mut writer = Writer::start(&home.lake, &home.tables.quarantine, 1);
    let entry = Entry { id: "1".into(), broken: broken(1, "x"), run_id: "run".into(), replay: 0 };
    let pushed = (0..10).find_map(|_| writer.push(vec![entry.clone()]).err());
    let error = pushed.or_else(|| writer.commit().err());
    assert!(matches!(error, Some(LakeError::Io { .. })), "{error:?}");
}

#[test]
fn an_export_holds_objects_as_they_are_and_raw_texts() {
    let home = Home::new();
    home.ingest(&[broken(2, r#"{"id": 9007199254740993, "amount": 1.10}"#), broken(3, "1,\"a\nb\"")]);
    let path = home.path("out.jsonl");
    assert_eq!(export(&home.lake, &home.tables, &path).unwrap(), 2);
    let text = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 2);
    assert!(lines[0].ends_with(r#""record":{"id": 9007199254740993, "amount": 1.10}}"#), "{}", lines[0]);
    assert!(lines[0].contains(r#""file":"a.csv","line":2,"column":"amount""#), "{}", lines[0]);
    assert!(lines[1].ends_with(r#""record":"1,\"a\nb\""}"#), "{}", lines[1]);
    let nowhere = export(&home.lake, &home.tables, &home.path("no/folder/out.jsonl")).unwrap_err();
    assert!(nowhere.to_string().contains("out.jsonl"), "{nowhere}");
}

#[test]
fn good_corrections_leave_the_quarantine_and_broken_ones_stay_with_the_new_reason() {
    let home = Home::new();
    home.ingest(&three());
    let path = home.corrected(|line| {
        line.replace(r#""id":"1","amount":"x""#, r#""id":"1","amount":12.5"#)
            .replace(r#""id":"2","amount":"x""#, r#""id":"2","amount":-1"#)
    });
    let done = home.replay(&path).unwrap();
    assert_eq!((done.n_good, done.n_broken, done.n_before), (1, 2, 0));
    let waiting = home.waiting();
    assert_eq!(waiting.len(), 2);
    assert_eq!((&*waiting[0].broken.file, waiting[0].broken.line), ("a.csv", 5));
    assert!(waiting[0].broken.reason.contains("minimum"), "{}", waiting[0].broken.reason);
    assert_eq!(waiting[0].broken.record, r#"{"id":"2","amount":-1}"#);
    assert!(waiting[1].broken.reason.starts_with("not a JSON object"), "{}", waiting[1].broken.reason);

    // The next ingest takes what there is, also one that finds the records on other lines.
    let shifted: Vec<BrokenRecord> =
        three().into_iter().map(|record| BrokenRecord { line: record.line + 7, ..record }).collect();
    let taken = home.taken(&shifted);
    assert_eq!(taken.len(), 3);
    assert_eq!(taken[0].record, r#"{"id":"1","amount":12.5}"#);
    // A source that no longer has the record has no use for its correction.
    assert_eq!(home.taken(&three()[1..]).len(), 2);
}

#[test]
fn a_record_is_replayed_once() {
    let home = Home::new();
    home.ingest(&three()[..2]);
    let path = home.corrected(|line| line.replace(r#""amount":"x""#, r#""amount":"7""#));
    assert_eq!(home.replay(&path).unwrap().n_good, 2);
    let again = home.replay(&path).unwrap();
    assert_eq!((again.n_good, again.n_broken, again.n_before), (0, 0, 2));
    // Nor after the ingest that took them.
    home.ingest(&three()[..2]);
    assert_eq!(home.waiting(), []);
    let again = home.replay(&path).unwrap();
    assert_eq!((again.n_good, again.n_before), (0, 2));
    assert_eq!(home.taken(&three()).len(), 2);
}

#[test]
fn a_second_attempt_takes_the_place_of_the_first() {
    let home = Home::new();
    home.ingest(&three()[..1]);
    let first = home.corrected(|line| line.replace(r#""amount":"x""#, r#""amount":"y""#));
    assert_eq!(home.replay(&first).unwrap().n_broken, 1);
    let second = home.corrected(|line| line.replace(r#""amount":"y""#, r#""amount":"7""#));
    assert_eq!(home.replay(&second).unwrap().n_good, 1);
    assert_eq!(home.waiting(), []);
    let taken = home.taken(&three());
    assert_eq!(taken.len(), 1);
    assert_eq!(taken[0].record, r#"{"id":"1","amount":"7"}"#);
}

#[test]
fn a_file_with_a_wrong_line_is_refused_whole() {
    let home = Home::new();
    home.ingest(&three());
    let good = home.corrected(|line| line.replace(r#""amount":"x""#, r#""amount":"7""#));
    let good = std::fs::read_to_string(good).unwrap();
    let first = good.lines().next().unwrap();
    for (text, expected) in [
        (format!("{good}not json\n"), "line 4: "),
        (format!("{good}{first}\n"), "is on line 1 already"),
        (format!("{good}{{\"id\":\"0123456789abcdef\",\"record\":{{}}}}\n"), "there is no record"),
        (format!("{good}\n{{\"record\":{{}}}}\n"), "line 5: missing field `id`"),
    ] {
        let path = home.path("wrong.jsonl");
        std::fs::write(&path, text).unwrap();
        let error = home.replay(&path).unwrap_err().to_string();
        assert!(error.contains(expected) && error.ends_with("nothing was replayed"), "{error}");
        assert_eq!(home.waiting().len(), 3, "{expected}");
        assert_eq!(home.lake.latest(&home.tables.corrections).unwrap(), None);
    }
    assert!(matches!(home.replay(&home.path("none")), Err(ReplayError::Read { .. })));
}

#[test]
fn a_key_that_the_raw_table_has_is_still_broken() {
    let home = Home::new();
    let mut validator = Validator::new(&home.schema, Default::default()).unwrap();
    let mut there = [correction(r#"{"id":1,"amount":1}"#)];
    let rows = validate(&mut validator, &home.schema, &mut there).unwrap();
    home.lake.overwrite(&home.tables.raw, rows.schema(), &[], &mut std::iter::once(Ok(rows))).unwrap();
    home.ingest(&three()[..2]);
    let path = home.corrected(|line| line.replace(r#""amount":"x""#, r#""amount":"7""#));
    let done = home.replay(&path).unwrap();
    assert_eq!((done.n_good, done.n_broken), (1, 1));
    assert!(done.broken[0].broken.reason.starts_with("an earlier record has the same key: id = 1"));
}

#[test]
fn values_are_read_as_texts_or_as_json() {
    let home = Home::new();
    let mut validator = Validator::new(&home.schema, Default::default()).unwrap();
    let mut records = [
        correction(r#"{"id":"1","amount":"1e-3","who":"a\"b","at":"2024-01-01"}"#),
        correction(r#"{"amount":0.001,"id":2.0,"who":null,"at":1704067200}"#),
        correction(r#"{"id":3,"amount":[1]}"#),
        correction(r#"{"id":4}"#),
        correction("[]"),
    ];
    let rows = validate(&mut validator, &home.schema, &mut records).unwrap();
    assert_eq!(rows.column(0).as_primitive::<Int64Type>().values(), &[1, 2]);
    assert_eq!(rows.column(1).as_primitive::<Float64Type>().values(), &[0.001, 0.001]);
    assert_eq!(rows.column(2).as_string::<i32>().iter().collect::<Vec<_>>(), [Some("a\"b"), None]);
    let times = rows.column(3).as_primitive::<TimestampMicrosecondType>().values();
    assert_eq!(times, &[1_704_067_200_000_000, 1_704_067_200_000_000]);
    let faults: Vec<_> = records.iter().map(|record| record.fault.clone()).collect();
    assert_eq!(faults[..2], [None, None]);
    assert_eq!(faults[2], Some((Some("amount".into()), "not a float64: an array".into())));
    assert_eq!(faults[3], Some((Some("amount".into()), "a value is required".into())));
    assert!(faults[4].as_ref().unwrap().1.contains("id, amount, who, at"));
}

fn correction(record: &str) -> Correction {
    Correction {
        id: "1".into(),
        replay: 1,
        file: "a.csv".into(),
        line: 1,
        record: record.into(),
        fault: None,
    }
}

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{AsArray, Int32Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Int32Type};
use cupola_models::bundle::testing;
use cupola_models::{Bundle, Device};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::{Scored, ScoringError, score_file};

/// A model of the column `colour` whose rows are told apart by `id`.
struct Desk {
    folder: tempfile::TempDir,
    bundle: Bundle,
}

impl Desk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("bundle");
        testing::write(&dir, 1).unwrap();
        Self { bundle: Bundle::load(&dir, Device::Cpu).unwrap(), folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn score(&self, input: &str, output: &str, keep: &[&str]) -> Result<Scored, ScoringError> {
        let keep: Vec<String> = keep.iter().map(|name| (*name).to_owned()).collect();
        score_file(&self.bundle, &self.path(input), &self.path(output), &keep, &|_, _, _| {})
    }

    /// Scores `text` and gives the lines of the output.
    fn lines(&self, input: (&str, &str), output: &str, keep: &[&str]) -> Vec<String> {
        std::fs::write(self.path(input.0), input.1).unwrap();
        self.score(input.0, output, keep).unwrap();
        std::fs::read_to_string(self.path(output)).unwrap().lines().map(str::to_owned).collect()
    }
}

/// What is in front of the score.
fn before_score(line: &str, n_columns: usize) -> String {
    line.split(',').take(n_columns).collect::<Vec<_>>().join(",")
}

#[test]
fn the_key_and_what_was_asked_for_stand_in_front_of_the_score() {
    let desk = Desk::new();
    let lines = desk.lines(
        ("in.csv", "colour,id,note\nred,007,a\nblue,008,b\n"),
        "out.csv",
        &["note", "colour", "id"],
    );
    assert_eq!(lines[0], "row,id,note,colour,score,label");
    assert_eq!(before_score(&lines[1], 4), "2,007,a,red");
    assert_eq!(before_score(&lines[2], 4), "3,008,b,blue");
    let without_key = desk.lines(("in.csv", "colour,note\nred,a\n"), "out.csv", &[]);
    assert_eq!(without_key[0], "row,score,label");
}

#[test]
fn rejected_records_shift_no_kept_value() {
    let desk = Desk::new();
    let text = "colour,id\nred,1\nred,2,too many\ngreen,3\n\"blue\",4\nred\nred,5\n";
    let lines = desk.lines(("in.csv", text), "out.csv", &[]);
    let kept: Vec<String> = lines[1..].iter().map(|line| before_score(line, 2)).collect();
    assert_eq!(kept, ["2,1", "4,3", "5,4", "7,5"]);

    let text = "{\"id\":1,\"colour\":\"red\"}\n{\"id\":2,\"colour\":5}\nnot json\n{\"colour\":\"blue\",\"id\":4}\n{\"colour\":\"red\"}\n";
    let lines = desk.lines(("in.jsonl", text), "out.csv", &[]);
    let kept: Vec<String> = lines[1..].iter().map(|line| before_score(line, 2)).collect();
    assert_eq!(kept, ["1,1", "4,4", "5,"]);
    let rejected = std::fs::read_to_string(desk.path("out.csv.rejected.jsonl")).unwrap();
    assert_eq!(rejected.lines().count(), 2);
}

#[test]
fn json_values_stay_what_they_are_in_json_and_are_texts_elsewhere() {
    let desk = Desk::new();
    let text = "{\"id\":12345678901234567890,\"colour\":\"red\",\"tags\":[\"a\"]}\n{\"id\":\"x\\\"y\",\"tags\":null}\n";
    let lines = desk.lines(("in.jsonl", text), "out.jsonl", &["tags"]);
    assert!(
        lines[0].starts_with("{\"row\":1,\"id\":12345678901234567890,\"tags\":[\"a\"],\"score\":"),
        "{lines:?}"
    );
    assert!(lines[1].starts_with("{\"row\":2,\"id\":\"x\\\"y\",\"score\":"), "{lines:?}");
    let lines = desk.lines(("in.jsonl", text), "out.csv", &[]);
    assert_eq!(before_score(&lines[1], 2), "1,12345678901234567890");
    assert_eq!(before_score(&lines[2], 2), "2,\"x\"\"y\"");
}

#[test]
fn parquet_columns_keep_their_types() {
    let desk = Desk::new();
    let rows = RecordBatch::try_from_iter([
        ("colour", Arc::new(StringArray::from(vec!["red", "blue"])) as _),
        ("id", Arc::new(Int32Array::from(vec![7, 8])) as _),
    ])
    .unwrap();
    let file = File::create(desk.path("in.parquet")).unwrap();
    let mut writer = ArrowWriter::try_new(file, rows.schema(), None).unwrap();
    writer.write(&rows).unwrap();
    writer.close().unwrap();
    let scored = desk.score("in.parquet", "out.parquet", &[]).unwrap();
    assert_eq!(scored, Scored { n_rows: 2, n_rejected: 0 });
    let file = File::open(desk.path("out.parquet")).unwrap();
    let mut reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    let scores = reader.next().unwrap().unwrap();
    assert_eq!(scores.column(1).data_type(), &DataType::Int32);
    assert_eq!(scores.column_by_name("id").unwrap().as_primitive::<Int32Type>().values(), &[7, 8]);
}

#[test]
fn a_column_of_the_output_s_own_name_is_written_beside_it() {
    let desk = Desk::new();
    let lines = desk.lines(("in.csv", "colour,score,row\nred,0.5,x\n"), "out.csv", &["score", "row"]);
    assert_eq!(lines[0], "row,input_score,input_row,score,label");
    assert_eq!(before_score(&lines[1], 3), "2,0.5,x");
}

#[test]
fn a_column_that_the_file_does_not_have_is_named_with_those_it_has() {
    let desk = Desk::new();
    for (name, text) in
        [("in.csv", "colour,note\nred,a\n"), ("in.jsonl", "{\"colour\":\"red\",\"note\":1}\n")]
    {
        std::fs::write(desk.path(name), text).unwrap();
        let error = desk.score(name, "out.csv", &["nite"]).unwrap_err().to_string();
        assert!(error.contains("no column `nite`"), "{error}");
        assert!(error.ends_with("did you mean `note`? its columns are colour, note"), "{error}");
        assert!(!desk.path("out.csv").exists());
    }
}

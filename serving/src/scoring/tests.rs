use std::sync::{Arc, Mutex};

use bytes::Bytes;
use cupola_datasets::FeatureBatch;
use cupola_datasets::schema::{Column, ColumnType, Schema};
use cupola_models::bundle::testing;
use cupola_models::predict::PredictError;
use cupola_models::{Bundle, Device, Predictor, Scores};
use tokio::sync::oneshot::Receiver;

use super::warm::blank_rows;
use super::*;
use crate::batching::{BatchLimits, Batcher};
use crate::records::{BodyError, split};
use crate::telemetry::{Metrics, VersionFacts, VersionMetrics};

/// Scores a row with its category's code, 2 being red and 3 green, and remembers its calls. Fails
/// for a batch that has the code of `poison`.
#[derive(Default)]
struct Codes {
    sizes: Vec<usize>,
    poison: Option<u32>,
    calls: Mutex<Vec<usize>>,
}

impl Predictor for Codes {
    fn predict(&self, batch: &FeatureBatch) -> Result<Scores, PredictError> {
        self.calls.lock().unwrap().push(batch.n_rows);
        if batch.categorical.iter().any(|code| Some(*code) == self.poison) {
            return Err(PredictError::Code { feature: 0, code: 9, cardinality: 5 });
        }
        Ok(Scores { n_outputs: 1, values: batch.categorical.iter().map(|code| *code as f32).collect() })
    }

    fn batch_sizes(&self) -> &[usize] {
        &self.sizes
    }
}

type Reply = Receiver<Result<Answer, JobError>>;

/// A batcher without threads around a predictor.
fn batcher(predictor: &Arc<Codes>) -> Batcher<ScoreWork> {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("bundle");
    testing::write(&dir, 1).unwrap();
    let bundle = Bundle { predictor: predictor.clone(), ..Bundle::load(&dir, Device::Cpu).unwrap() };
    let facts = VersionFacts { kind: "mlp", device: "cpu", run_id: "run-1" };
    let metrics = Arc::new(VersionMetrics::new(&Metrics::new().unwrap(), "colours", 1, &facts));
    let limits = BatchLimits { rows: 1_000, bytes: 1 << 20, waiting_rows: 1_000, inline_us: 0 };
    Batcher::start(ScoreWork::new(&bundle, metrics, None), limits, 0, "t").unwrap()
}

fn send(batcher: &Batcher<ScoreWork>, body: &str) -> Reply {
    let body = Bytes::from(body.to_owned());
    let records = split(&body).unwrap();
    let (job, reply) = PredictJob::new(body, records);
    let weight = job.weight();
    batcher.enqueue(batcher.admit(job, weight).unwrap());
    reply
}

fn rows(reply: &mut Reply) -> Vec<f32> {
    let answer = reply.try_recv().unwrap().unwrap();
    (0..answer.n_rows).map(|i| answer.row(i)[0]).collect()
}

fn error(reply: &mut Reply) -> JobError {
    reply.try_recv().unwrap().unwrap_err()
}

#[test]
fn each_request_of_a_batch_gets_its_own_rows() {
    let predictor = Arc::new(Codes::default());
    let batcher = batcher(&predictor);
    let mut one = send(&batcher, r#"{"colour":"red"}"#);
    let mut two = send(&batcher, r#"{"records":[{"colour":"green"},{"colour":"blue"},{}]}"#);
    let mut three = send(&batcher, r#"{"colour":"mauve"}"#);
    assert!(batcher.run_next() && !batcher.run_next());
    assert_eq!(
        (rows(&mut one), rows(&mut two), rows(&mut three)),
        (vec![2.0], vec![3.0, 4.0, 0.0], vec![1.0])
    );
    assert_eq!(*predictor.calls.lock().unwrap(), [5]);
}

#[test]
fn a_broken_request_is_told_and_the_others_are_scored() {
    let batcher = batcher(&Arc::default());
    let mut good = send(&batcher, r#"{"colour":"red"}"#);
    let mut wrong = send(&batcher, r#"{"records":[{"colour":"red"},{"colour":7},{"colour":[]}]}"#);
    let mut cut = send(&batcher, r#"{"colour":"red""#);
    let mut last = send(&batcher, r#"{"colour":"blue"}"#);
    assert!(batcher.run_next());
    assert_eq!((rows(&mut good), rows(&mut last)), (vec![2.0], vec![4.0]));
    let JobError::Invalid { n_records, fields } = error(&mut wrong) else { panic!("not invalid") };
    assert_eq!((n_records, fields.iter().map(|f| f.record).collect::<Vec<_>>()), (2, vec![1, 2]));
    assert!(matches!(error(&mut cut), JobError::Body(BodyError::Malformed { .. })));
}

#[test]
fn a_hundred_broken_fields_are_told_at_most() {
    let batcher = batcher(&Arc::default());
    let records = vec![r#"{"colour":7}"#; 150].join(",");
    let mut reply = send(&batcher, &format!(r#"{{"records":[{records}]}}"#));
    assert!(batcher.run_next());
    let JobError::Invalid { n_records, fields } = error(&mut reply) else { panic!("not invalid") };
    assert_eq!((n_records, fields.len()), (150, 100));
}

#[test]
fn a_request_that_cannot_be_scored_does_not_take_others_with_it() {
    let predictor = Arc::new(Codes { poison: Some(3), ..Codes::default() });
    let batcher = batcher(&predictor);
    let mut replies = ["red", "green", "blue"].map(|c| send(&batcher, &format!(r#"{{"colour":"{c}"}}"#)));
    assert!(batcher.run_next());
    assert_eq!(rows(&mut replies[0]), [2.0]);
    assert!(matches!(error(&mut replies[1]), JobError::Failed(_)));
    assert_eq!(rows(&mut replies[2]), [4.0]);
}

#[test]
fn a_client_that_has_gone_costs_no_scoring() {
    let predictor = Arc::new(Codes::default());
    let batcher = batcher(&predictor);
    drop(send(&batcher, r#"{"colour":"red"}"#));
    assert!(batcher.run_next());
    assert!(predictor.calls.lock().unwrap().is_empty());
    drop(send(&batcher, r#"{"colour":"red"}"#));
    let mut other = send(&batcher, r#"{"colour":"blue"}"#);
    assert!(batcher.run_next());
    assert_eq!((rows(&mut other), &*predictor.calls.lock().unwrap()), (vec![4.0], &vec![1]));
}

#[test]
fn batches_are_cut_and_filled_to_the_sizes_of_the_predictor() {
    let predictor = Arc::new(Codes { sizes: vec![1, 4, 8], ..Codes::default() });
    let batcher = batcher(&predictor);
    let colours: Vec<_> = (0..19).map(|i| ["red", "green", "blue"][i % 3]).collect();
    let records: Vec<_> = colours.iter().map(|c| format!(r#"{{"colour":"{c}"}}"#)).collect();
    let mut reply = send(&batcher, &format!(r#"{{"records":[{}]}}"#, records.join(",")));
    assert!(batcher.run_next());
    assert_eq!(rows(&mut reply), (0..19).map(|i| [2.0, 3.0, 4.0][i % 3]).collect::<Vec<f32>>());
    assert_eq!(*predictor.calls.lock().unwrap(), [8, 8, 4], "3 rows are filled up to 4");
    predictor.calls.lock().unwrap().clear();
    batcher.work().warm().unwrap();
    assert_eq!(*predictor.calls.lock().unwrap(), [1, 4, 8]);
}

#[test]
fn blank_rows_have_every_column_of_the_schema() {
    let kinds =
        [ColumnType::Bool, ColumnType::Int64, ColumnType::Float64, ColumnType::String, ColumnType::Timestamp];
    let column = |kind| Column {
        kind,
        required: true,
        min: None,
        max: None,
        allowed: Vec::new(),
        pattern: None,
        missing: Vec::new(),
    };
    let columns = kinds.iter().enumerate().map(|(i, kind)| (format!("c{i}"), column(*kind))).collect();
    let arrow = Schema { columns, ..Schema::default() }.arrow();
    let rows = blank_rows(&arrow, 3).unwrap();
    assert_eq!((rows.schema(), rows.num_rows()), (arrow, 3));
    assert_eq!(blank_rows(&Schema::default().arrow(), 2).unwrap().num_rows(), 2);
}

//! Boosts trees on a file of f32 numbers and times it; what `benches/trees_speed` runs beside its peers.
//!
//!     boost train ROWS COLUMNS X.f32 Y.f32 FOREST    # rows after ROWS are held out; prints JSON
//!     boost histogram ROWS COLUMNS X.f32             # bytes/s of the histogram of all rows on DEVICE; prints JSON
//!     boost predict FOREST COLUMNS X.f32             # rows/s by batch, on the CPU and on DEVICE; prints JSON
//!
//! X is row-major, little-endian; the file is streamed, never whole in memory.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

use std::fs::File;
use std::io::{BufReader, Read};
use std::time::Instant;

use cupola_datasets::FeatureBatch;
use cupola_datasets::features::LabelledBatch;
use cupola_models::predict::Predictor;
use cupola_models::trees::learner::{BinnedMatrix, FeatureBins, Gradients, Growth, TreeLearner};
use cupola_models::trees::{CpuForest, DeviceForest, Forest, ForestShape, GbdtConfig, Objective};
use cupola_models::{Device, Scores, Task};
use cupola_training::boosting::{BoostInput, Features, boost};
use cupola_training::metrics::{EvaluateConfig, evaluate};
use cupola_training::split::Part;
use cupola_training::tracker::NoTracker;
use cupola_training::trainer::{ClassWeights, RowBatches, TrainError, TrainingRows};

const BATCH_ROWS: usize = 16_384;

struct FileRows {
    x: String,
    labels: Vec<f32>,
    n_rows: usize,
    n_columns: usize,
}

fn floats(reader: &mut impl Read, n: usize) -> Vec<f32> {
    let mut bytes = vec![0; n * 4];
    reader.read_exact(&mut bytes).unwrap();
    bytes.as_chunks::<4>().0.iter().map(|number| f32::from_le_bytes(*number)).collect()
}

impl TrainingRows for FileRows {
    fn n_rows(&self, part: Part) -> Result<usize, TrainError> {
        Ok(if part == Part::Train { self.n_rows } else { 0 })
    }

    fn batches(&self, part: Part) -> Result<RowBatches<'_>, TrainError> {
        if part != Part::Train {
            return Ok(Box::new(std::iter::empty()));
        }
        let mut reader = BufReader::with_capacity(1 << 20, File::open(&self.x).unwrap());
        let batches = (0..self.n_rows).step_by(BATCH_ROWS).map(move |first| {
            let n_rows = BATCH_ROWS.min(self.n_rows - first);
            let numeric = floats(&mut reader, n_rows * self.n_columns);
            let features = batch(n_rows, self.n_columns, numeric);
            let labels = self.labels[first..first + n_rows].to_vec();
            Ok(LabelledBatch { features, labels, ..LabelledBatch::default() })
        });
        Ok(Box::new(batches))
    }
}

fn batch(n_rows: usize, n_numeric: usize, numeric: Vec<f32>) -> FeatureBatch {
    FeatureBatch { n_rows, n_numeric, n_categorical: 0, numeric, categorical: Vec::new() }
}

fn shape(n_columns: usize) -> ForestShape {
    let objective = Objective::Logistic;
    ForestShape { n_numeric: n_columns, cardinalities: vec![], n_outputs: 1, objective, base_margin: None }
}

fn peak_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").trim().parse::<f64>().ok());
    kib.unwrap_or(f64::NAN) / 1024.0
}

fn device() -> Device {
    std::env::var("DEVICE").map_or(Device::Cpu, |device| device.parse().unwrap())
}

fn train(arguments: &[String]) {
    let [n_rows, n_columns] = [0, 1].map(|i| arguments[i].parse::<usize>().unwrap());
    let (x, y, out) = (&arguments[2], &arguments[3], &arguments[4]);
    let n_all = std::fs::metadata(y).unwrap().len() as usize / 4;
    let labels = floats(&mut File::open(y).unwrap(), n_all);
    let names: Vec<String> = (0..n_columns).map(|i| format!("x{i}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let table = FileRows { x: x.clone(), labels, n_rows, n_columns };
    // The peers' settings: 100 trees of depth 6, learning rate 0.1, 256 bins.
    let config = GbdtConfig {
        n_estimators: 100,
        learning_rate: 0.1,
        max_depth: 6,
        subsample: 1.0,
        column_bins_mib_max: std::env::var("COLUMN_BINS_MIB_MAX").map_or(1_024, |mib| mib.parse().unwrap()),
        ..GbdtConfig::default()
    };
    let task = Task::Binary { classes: ["0".into(), "1".into()] };
    let started = Instant::now();
    let boosted = boost(&BoostInput {
        config: &config,
        task: &task,
        features: Features { numeric: &names, categorical: &[], cardinalities: &[] },
        table: &table,
        device: device(),
        class_weights: ClassWeights::None,
        seed: 0,
        evaluate: &EvaluateConfig::default(),
        continued: None,
        checkpoint_dir: None,
        tracker: &NoTracker,
        progress: &|_| {},
    })
    .unwrap();
    let seconds = started.elapsed().as_secs_f64();
    let peak = peak_mib();
    std::fs::write(out, boosted.forest.to_safetensors().unwrap()).unwrap();
    let mut reader = BufReader::new(File::open(x).unwrap());
    std::io::copy(&mut reader.by_ref().take((n_rows * n_columns * 4) as u64), &mut std::io::sink()).unwrap();
    let n_held = n_all - n_rows;
    let held = batch(n_held, n_columns, floats(&mut reader, n_held * n_columns));
    let scores: Scores = CpuForest::new(&boosted.forest).unwrap().predict(&held).unwrap();
    let evaluation =
        evaluate(&task, &scores, &table.labels[n_rows..], None, &EvaluateConfig::default()).unwrap();
    let auc = evaluation.values["roc_auc"];
    println!("{{\"seconds\": {seconds:.3}, \"auc\": {auc:.5}, \"peak_mib\": {peak:.0}}}");
}

/// Median over five spans of half a second.
fn rate(n_rows: usize, mut score: impl FnMut(usize)) -> f64 {
    let mut rates: Vec<f64> = (0..5)
        .map(|_| {
            let (started, mut n) = (Instant::now(), 0);
            while started.elapsed().as_secs_f64() < 0.5 {
                score(n);
                n += n_rows;
            }
            n as f64 / started.elapsed().as_secs_f64()
        })
        .collect();
    rates.sort_by(f64::total_cmp);
    rates[2]
}

fn predict(arguments: &[String]) {
    const ROWS: usize = 8_192;
    let n_columns: usize = arguments[1].parse().unwrap();
    let forest = Forest::from_safetensors(shape(n_columns), &std::fs::read(&arguments[0]).unwrap()).unwrap();
    let fast = CpuForest::new(&forest).unwrap();
    let x = floats(&mut File::open(&arguments[2]).unwrap(), ROWS * n_columns);
    let row = |i: usize| &x[i % ROWS * n_columns..][..n_columns];
    let mut score = [0.0];
    let one = rate(1, |i| fast.score_row(row(i), &mut score));
    let batches: Vec<FeatureBatch> =
        x.chunks(4_096 * n_columns).map(|rows| batch(4_096, n_columns, rows.to_vec())).collect();
    let many = rate(4_096, |i| _ = fast.predict(&batches[i / 4_096 % batches.len()]).unwrap());
    let large = on_device(&forest, &x, n_columns).map_or("null".into(), |rate| format!("{rate:.0}"));
    println!(
        "{{\"one_row_us\": {:.3}, \"rows_per_second_4096\": {many:.0}, \"device_rows_per_second\": {large}}}",
        1e6 / one
    );
}

/// Rows per second of a large batch on the device that `DEVICE` names, after its scores were found to be the CPU's.
fn on_device(forest: &Forest, x: &[f32], n_columns: usize) -> Option<f64> {
    const COPIES: usize = 32;
    let on_device = Some(device()).filter(|device| *device != Device::Cpu)?;
    let on_device = DeviceForest::new(forest, on_device).unwrap();
    let rows = batch(x.len() / n_columns * COPIES, n_columns, x.repeat(COPIES));
    assert_eq!(on_device.predict(&rows).unwrap(), CpuForest::new(forest).unwrap().predict(&rows).unwrap());
    Some(rate(rows.n_rows, |_| _ = on_device.predict(&rows).unwrap()))
}

/// Gradients that differ from row to row.
struct Waves;

impl Gradients for Waves {
    fn block(&self, first: usize, gradients: &mut [f32], hessians: &mut [f32]) {
        gradients.iter_mut().enumerate().for_each(|(i, g)| *g = ((first + i) as f32).sin());
        hessians.fill(1.0);
    }
}

/// Bytes of bins and records over the time of the best of ten histograms of 256 bins a feature.
fn histogram(arguments: &[String]) {
    let [n_rows, n_columns] = [0, 1].map(|i| arguments[i].parse::<usize>().unwrap());
    let cuts: Vec<f32> = (1..255).map(|i| 6.0 * i as f32 / 255.0 - 3.0).collect();
    let mut matrix = BinnedMatrix::new(vec![FeatureBins::Numeric { cuts }; n_columns], n_rows, 0);
    let mut reader = BufReader::with_capacity(1 << 20, File::open(&arguments[2]).unwrap());
    for first in (0..n_rows).step_by(BATCH_ROWS) {
        let n_rows = BATCH_ROWS.min(n_rows - first);
        matrix.push(&batch(n_rows, n_columns, floats(&mut reader, n_rows * n_columns)));
    }
    let growth = Growth::new(&GbdtConfig { subsample: 1.0, ..GbdtConfig::default() }, &matrix, &|_| None);
    let mut learner = TreeLearner::new(&matrix, &growth, device()).unwrap();
    let seconds = (0..10).map(|_| learner.histogram_seconds(&Waves).unwrap()).fold(f64::INFINITY, f64::min);
    let bytes = n_rows * (n_columns + 8);
    println!(
        "{{\"histogram_seconds\": {seconds:.6}, \"gib_per_second\": {:.2}}}",
        bytes as f64 / seconds / (1 << 30) as f64
    );
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some("train") if arguments.len() == 6 => train(&arguments[1..]),
        Some("histogram") if arguments.len() == 4 => histogram(&arguments[1..]),
        Some("predict") if arguments.len() == 4 => predict(&arguments[1..]),
        _ => println!(
            "boost train ROWS COLUMNS X Y FOREST | boost histogram ROWS COLUMNS X | boost predict FOREST COLUMNS X"
        ),
    }
}

//! Latency and throughput of the CPU network: `cargo bench -p cupola-models --bench cpu_mlp`.

use std::hint::black_box;
use std::time::Instant;

use cupola_datasets::FeatureBatch;
use cupola_models::mlp::{CpuMlp, MlpConfig, MlpShape, MlpWeights};
use cupola_models::{Predictor, Task};

const N_NUMERIC: usize = 30;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for hidden in [vec![256, 256], vec![512, 512]] {
        let config = MlpConfig { hidden: hidden.clone(), ..MlpConfig::default() };
        let shape = MlpShape { n_numeric: N_NUMERIC, cardinalities: Vec::new(), config, n_outputs: 1 };
        let task = Task::Binary { classes: ["0".into(), "1".into()] };
        let model = CpuMlp::new(&shape, &MlpWeights::init(&shape, 0), &task)?;
        for n_rows in [1, 8, 32, 256, 4096] {
            let seconds = best_of(&model, n_rows)?;
            let flops = 2.0 * (n_rows * shape.n_parameters()) as f64;
            println!(
                "{N_NUMERIC}-{hidden:?}-1, {n_rows} rows: {:.2} us, {:.0} rows/s, {:.1} GFLOP/s",
                seconds * 1e6,
                n_rows as f64 / seconds,
                flops / seconds / 1e9
            );
        }
    }
    Ok(())
}

/// Seconds per call, the best of several runs: others may use the machine.
fn best_of(model: &CpuMlp, n_rows: usize) -> Result<f64, Box<dyn std::error::Error>> {
    let numeric = (0..n_rows * N_NUMERIC).map(|i| (i % 17) as f32 / 8.0 - 1.0).collect();
    let batch =
        FeatureBatch { n_rows, n_numeric: N_NUMERIC, n_categorical: 0, numeric, categorical: Vec::new() };
    let n_calls = (20_000 / n_rows).max(5);
    let mut best = f64::INFINITY;
    for _ in 0..10 {
        let start = Instant::now();
        for _ in 0..n_calls {
            black_box(model.predict(black_box(&batch))?);
        }
        best = best.min(start.elapsed().as_secs_f64() / n_calls as f64);
    }
    Ok(best)
}

use std::path::PathBuf;

use clap::ValueEnum;
use cupola_datasets::datagen;
use cupola_datasets::sources::SourceConfig;
use cupola_experiments::pipeline::{LoadedPipeline, SampleKind};

use crate::exit::{Code, CommandResult, Failure};
use crate::output::{error_line, line};

/// Arguments of `cupola datagen`.
#[derive(clap::Args)]
#[command(after_help = "Example: cupola datagen card-fraud --rows 200000 --seed 7 -o transactions.parquet")]
pub struct Args {
    /// What to make.
    kind: Kind,
    /// Rows to make.
    #[arg(long, default_value_t = 200_000)]
    rows: usize,
    /// Seed; the same seed makes the same bytes.
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// File to write: .csv, .jsonl or .parquet.
    #[arg(short, long, value_name = "PATH")]
    output: PathBuf,
}

/// Kind of sample data.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    /// Card transactions with three kinds of fraud.
    CardFraud,
}

pub fn run(args: &Args) -> CommandResult {
    let Kind::CardFraud = args.kind;
    let config = datagen::CardFraudConfig { rows: args.rows, seed: args.seed, ..Default::default() };
    let n_rows = datagen::write_card_fraud(&config, &args.output)
        .map_err(|error| Failure::new(Code::Storage, error))?;
    line(&format!("{n_rows} transactions in {}", args.output.display()));
    Ok(())
}

/// Makes the sample data a pipeline asks for, where its source's file is not there yet.
pub fn make_sample(loaded: &LoadedPipeline) -> CommandResult {
    let SourceConfig::Files(files) = &loaded.pipeline.source;
    let path = loaded.base_dir.join(&files.path);
    let Some(sample) = loaded.pipeline.sample.as_ref().filter(|_| !path.exists()) else { return Ok(()) };
    let SampleKind::CardFraud = sample.kind;
    let config = datagen::CardFraudConfig { rows: sample.rows, seed: sample.seed, ..Default::default() };
    let n_rows =
        datagen::write_card_fraud(&config, &path).map_err(|error| Failure::new(Code::Storage, error))?;
    error_line(&format!("made {n_rows} sample transactions in {}", path.display()));
    Ok(())
}

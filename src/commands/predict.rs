use std::path::PathBuf;

use cupola_experiments::scoring::{self, ScoringError};
use cupola_models::registry::{LocalRegistry, Registry};
use cupola_models::{Bundle, DeviceChoice, device};
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;

use super::models::parse;
use crate::cli::Global;
use crate::exit::{Code, CommandResult, Failure};
use crate::output::{LogFormat, error_line};

/// Arguments of `cupola predict`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cupola predict card-fraud transactions.parquet -o scores.parquet
  cupola predict card-fraud@2 transactions.csv -o scores.csv --keep amount,channel")]
pub struct Args {
    /// MODEL, MODEL@VERSION or MODEL@ALIAS; the champion by default.
    model: String,
    /// CSV, JSON lines or Parquet file to score.
    file: PathBuf,
    /// File to write: .csv, .jsonl or .parquet.
    #[arg(short, long, value_name = "OUT")]
    output: PathBuf,
    /// Columns of the file to copy in front of the scores, beside the key and the group.
    #[arg(long, value_name = "COLUMN", value_delimiter = ',')]
    keep: Vec<String>,
    /// Device: auto, cpu, vulkan, cuda, or one of several by its number, such as cuda:1.
    #[arg(long, default_value = "cpu", value_name = "DEVICE")]
    device: DeviceChoice,
}

pub fn run(global: &Global, args: &Args) -> CommandResult {
    let (name, version) = parse(&args.model);
    let registry = LocalRegistry::open(&global.home().models())?;
    let resolved = registry.resolve(name, &version)?;
    let bundle = Bundle::load(&resolved.dir, device::choose(args.device)?)?;
    let bar = bar(global.log_format);
    let progress = |bytes: u64, total: Option<u64>, rows: u64| {
        bar.set_length(total.unwrap_or(bytes));
        bar.set_position(bytes);
        bar.set_message(format!("{rows} rows"));
    };
    let scored =
        scoring::score_file(&bundle, &args.file, &args.output, &args.keep, &progress).map_err(failure)?;
    bar.finish_and_clear();
    error_line(&format!(
        "{} rows scored by {name} version {} into {}",
        scored.n_rows,
        resolved.version,
        args.output.display()
    ));
    if scored.n_rejected > 0 {
        let path = scoring::rejected_path(&args.output);
        error_line(&format!(
            "{} records were rejected; each is in {} with its reason",
            scored.n_rejected,
            path.display()
        ));
    }
    Ok(())
}

fn bar(format: LogFormat) -> ProgressBar {
    if format == LogFormat::Json || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(0);
    match ProgressStyle::with_template("[{bar:30}] {bytes}/{total_bytes} {bytes_per_sec}, {eta} left  {msg}")
    {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

fn failure(error: ScoringError) -> Failure {
    let code = match &error {
        ScoringError::Source(_) | ScoringError::Columns(_) => Code::Data,
        ScoringError::Model(_) => Code::Model,
        ScoringError::Output { .. } => Code::Storage,
    };
    Failure::new(code, error)
}

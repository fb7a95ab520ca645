use std::path::{Path, PathBuf};

use cupola_datasets::Lake;
use cupola_datasets::quarantine::{self, Entry, Tables};
use cupola_experiments::stages;

use super::run::now_micros;
use crate::cli::Global;
use crate::exit::{CommandResult, Failure};
use crate::output::line;

/// `cupola quarantine`.
#[derive(clap::Subcommand)]
#[command(after_help = "Example:
  cupola quarantine export card-fraud -o broken.jsonl    then correct each `record` in an editor
  cupola quarantine replay card-fraud broken.jsonl
  cupola run examples/card-fraud                         takes them in")]
pub enum Command {
    /// List broken records with their reasons.
    #[command(after_help = "Example: cupola quarantine list card-fraud --limit 5")]
    List {
        /// Name of the pipeline.
        pipeline: String,
        /// Most records to print.
        #[arg(long, default_value_t = 20)]
        limit: usize,
    },
    /// Write the broken records as JSON lines, to be corrected by hand.
    #[command(after_help = "Example: cupola quarantine export card-fraud -o broken.jsonl")]
    Export {
        /// Name of the pipeline.
        pipeline: String,
        /// File to write.
        #[arg(short, long, value_name = "PATH")]
        output: PathBuf,
    },
    /// Bring corrected records back: the next run takes them in the place of the broken ones.
    #[command(after_help = "Example: cupola quarantine replay card-fraud corrected.jsonl

The file has the lines of an export, with `record` corrected; lines may be left out. All of it is
replayed or nothing. Records that still break the schema stay in quarantine with the new reason;
those that were replayed before are left alone.")]
    Replay {
        /// Name of the pipeline.
        pipeline: String,
        /// Corrected lines of an export.
        file: PathBuf,
    },
}

pub fn run(global: &Global, command: &Command) -> CommandResult {
    match command {
        Command::List { pipeline, limit } => list(&open(global)?, pipeline, *limit),
        Command::Export { pipeline, output } => export(&open(global)?, pipeline, output),
        Command::Replay { pipeline, file } => replay(global, pipeline, file),
    }
}

fn open(global: &Global) -> Result<Lake, Failure> {
    Ok(Lake::open(&global.home().lake())?)
}

fn list(lake: &Lake, pipeline: &str, limit: usize) -> CommandResult {
    let listing = quarantine::list(lake, &Tables::of(pipeline), limit)?;
    line(&format!("{} records in quarantine", listing.n_records));
    for (reason, n) in &listing.reasons {
        line(&format!("{n:>10}  {reason}"));
    }
    listing.entries.iter().for_each(show);
    Ok(())
}

fn export(lake: &Lake, pipeline: &str, output: &Path) -> CommandResult {
    let n_records = quarantine::export(lake, &Tables::of(pipeline), output)?;
    line(&format!("{n_records} records in {}", output.display()));
    if n_records > 0 {
        line(&format!(
            "Correct `record` in them, then: cupola quarantine replay {pipeline} {}",
            output.display()
        ));
    }
    Ok(())
}

fn replay(global: &Global, pipeline: &str, file: &Path) -> CommandResult {
    let replayed = stages::replay(&global.home(), pipeline, file, now_micros())?;
    let (good, broken, before) = (replayed.n_good, replayed.n_broken, replayed.n_before);
    line(&format!("{good} records replayed, {broken} still broken, {before} replayed before"));
    replayed.broken.iter().for_each(show);
    if good > 0 {
        line("The next `cupola run` takes them in.");
    }
    Ok(())
}

fn show(entry: &Entry) {
    let broken = &entry.broken;
    let column = broken.column.as_deref().map(|column| format!("{column}: ")).unwrap_or_default();
    line(&format!("{}:{}  {column}{}\n    {}", broken.file, broken.line, broken.reason, cut(&broken.record)));
}

/// A record as it fits on a terminal.
fn cut(record: &str) -> String {
    const CHARS_MAX: usize = 400;
    match record.char_indices().nth(CHARS_MAX) {
        Some((at, _)) => format!("{} ... ({} bytes)", &record[..at], record.len()),
        None => record.to_owned(),
    }
}

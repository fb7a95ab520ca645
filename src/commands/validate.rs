use std::path::PathBuf;

use cupola_experiments::pipeline::{self, LoadOptions};

use crate::exit::CommandResult;
use crate::output::line;

/// Arguments of `cupola validate`.
#[derive(clap::Args)]
#[command(after_help = "Example: cupola validate examples/card-fraud")]
pub struct Args {
    /// Pipeline file, or a folder with a pipeline.toml.
    pipeline: PathBuf,
    /// Setting that replaces the file's, such as train.epochs_max=3.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

pub fn run(args: &Args) -> CommandResult {
    let loaded = pipeline::load(&args.pipeline, &LoadOptions { set: args.set.clone() })?;
    line(&format!("{} is a valid pipeline: {}", loaded.path.display(), loaded.pipeline.name));
    Ok(())
}

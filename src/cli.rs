use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use cupola_experiments::home::Home;

use crate::commands;
use crate::exit::CommandResult;
use crate::output::{self, LogFormat};

const EXAMPLES: &str = "Examples:
  cupola run examples/card-fraud          train on sample data and register version 1
  cupola serve examples/card-fraud        answer predictions over HTTP
  cupola schema infer my.csv              write the [schema] of your own data

Exit codes: 0 fine, 1 unexpected, 2 usage, 3 pipeline file, 4 data, 5 storage, 6 device,
7 training, 8 model or bundle, 9 busy, 10 server, 11 MLflow";

/// Raw business data in, a served and monitored model out.
#[derive(Parser)]
#[command(name = "cupola", version, after_help = EXAMPLES)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Options of every command.
#[derive(clap::Args)]
pub struct Global {
    /// Folder that keeps tables, runs and models.
    #[arg(long, global = true, env = "CUPOLA_HOME", default_value = ".cupola", value_name = "DIR")]
    home: PathBuf,
    /// How events are written to standard error.
    #[arg(long, global = true, value_enum, default_value = "text", value_name = "FORMAT")]
    pub log_format: LogFormat,
}

impl Global {
    /// The home folder.
    pub fn home(&self) -> Home {
        Home::new(&self.home)
    }
}

#[derive(Subcommand)]
enum Command {
    /// Run a pipeline: from raw data to a registered model.
    Run(commands::run::Args),
    /// Check a pipeline file without touching its data.
    Validate(commands::validate::Args),
    /// Say what works here and how to fix what does not.
    Doctor(commands::doctor::Args),
    /// Answer predictions over HTTP.
    Serve(commands::serve::Args),
    /// Score a file.
    Predict(commands::predict::Args),
    /// Look at runs, compare them, deliver them to MLflow.
    #[command(subcommand)]
    Runs(commands::runs::Command),
    /// Look at models and versions, move aliases, export bundles.
    #[command(subcommand)]
    Models(commands::models::Command),
    /// Make sample data.
    Datagen(commands::datagen::Args),
    /// Infer a schema; print the reference of the pipeline file.
    #[command(subcommand)]
    Schema(commands::schema::Command),
    /// Look at broken records and bring corrected ones back.
    #[command(subcommand)]
    Quarantine(commands::quarantine::Command),
    /// Ask a running server whether it is ready; for health checks.
    Health(commands::health::Args),
    /// Print a completion script for a shell.
    Completions(commands::completions::Args),
}

/// Parses, runs, prints.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    output::start_logging(cli.global.log_format);
    match run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.finish(cli.global.log_format == LogFormat::Json),
    }
}

fn run(cli: &Cli) -> CommandResult {
    let global = &cli.global;
    match &cli.command {
        Command::Run(args) => commands::run::run(global, args),
        Command::Validate(args) => commands::validate::run(args),
        Command::Doctor(args) => commands::doctor::run(global, args),
        Command::Serve(args) => commands::serve::run(global, args),
        Command::Predict(args) => commands::predict::run(global, args),
        Command::Runs(command) => commands::runs::run(global, command),
        Command::Models(command) => commands::models::run(global, command),
        Command::Datagen(args) => commands::datagen::run(args),
        Command::Schema(command) => commands::schema::run(command),
        Command::Quarantine(command) => commands::quarantine::run(global, command),
        Command::Health(args) => commands::health::run(args),
        Command::Completions(args) => commands::completions::run(args),
    }
}

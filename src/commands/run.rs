use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use cupola_experiments::pipeline::{self, LoadOptions, LoadedPipeline};
use cupola_experiments::stages::{self, RunOptions, RunOutcome, Stage};
use cupola_experiments::tracking;

use crate::cli::Global;
use crate::exit::{CommandResult, Failure};
use crate::output::{Reporter, line};

/// Arguments of `cupola run`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cupola run examples/card-fraud
  cupola run pipeline.toml --device cpu --set train.epochs_max=3
  cupola run pipeline.toml --to features")]
pub struct Args {
    /// Pipeline file, or a folder with a pipeline.toml.
    pipeline: PathBuf,
    /// First stage that may run; the ones before it must have a result.
    #[arg(long, default_value = "ingest", value_name = "STAGE")]
    from: Stage,
    /// Last stage that runs.
    #[arg(long, default_value = "register", value_name = "STAGE")]
    to: Stage,
    /// Device: auto, cpu, vulkan, cuda, or one of several by its number, such as cuda:1.
    #[arg(long, value_name = "DEVICE")]
    device: Option<String>,
    /// Setting that replaces the file's, such as train.epochs_max=3.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Name of the run, for people.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
}

pub fn run(global: &Global, args: &Args) -> CommandResult {
    let mut set = args.set.clone();
    set.extend(args.device.iter().map(|device| format!("device = \"{device}\"")));
    let loaded = pipeline::load(&args.pipeline, &LoadOptions { set })?;
    super::datagen::make_sample(&loaded)?;
    let home = global.home();
    let registry = tracking::registry(&home)?;
    let run = tracking::start(&home, &loaded, args.name.as_deref())?;
    let reporter = Reporter::new(global.log_format);
    let observer = run.observer(&reporter);
    let options = RunOptions {
        home: &home,
        from: args.from,
        to: args.to,
        registry: registry.as_ref(),
        tracker: run.tracker(),
        observer: &observer,
        run_id: run.id(),
        now_micros: now_micros(),
    };
    let result = stages::run(&loaded, &options);
    run.finish(&result)?;
    let outcome = result.map_err(Failure::from)?;
    print(&loaded, &outcome);
    Ok(())
}

fn print(loaded: &LoadedPipeline, outcome: &RunOutcome) {
    if let Some(evaluated) = &outcome.evaluated {
        line(&format!("\n{} on the {} part", loaded.pipeline.name, evaluated.part.name()));
        for (name, value) in &evaluated.evaluation.values {
            line(&format!("  {name:<24} {value:>12.5}"));
        }
        if let Some(report) = &evaluated.report {
            line(&format!("Report: {}", report.display()));
        }
    }
    if let Some(registered) = &outcome.registered {
        line(&registered.text());
        line(&format!("Serve it: cupola serve {}", loaded.path.display()));
    }
}

pub fn now_micros() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as i64)
}

use cupola_experiments::mlflow::SyncOutcome;
use cupola_experiments::stages::rfc3339;
use cupola_experiments::{journal, mlflow};

use crate::cli::Global;
use crate::exit::{Code, CommandResult, Failure};
use crate::output::line;

/// `cupola runs`.
#[derive(clap::Subcommand)]
pub enum Command {
    /// List runs, latest first.
    #[command(after_help = "Example: cupola runs list")]
    List {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show one run: parameters, metrics, stages.
    #[command(after_help = "Example: cupola runs show 0198f3")]
    Show {
        /// Run id, or its first characters.
        run: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show what differs between runs.
    #[command(after_help = "Example: cupola runs compare 0198f3 0198f4")]
    Compare {
        /// Run ids, or their first characters.
        #[arg(required = true, num_args = 2..)]
        runs: Vec<String>,
    },
    /// Deliver to MLflow what a dead server missed.
    #[command(after_help = "Example: MLFLOW_TRACKING_URI=http://127.0.0.1:5000 cupola runs sync")]
    Sync,
}

pub fn run(global: &Global, command: &Command) -> CommandResult {
    let runs = journal::list(global.home().root()).map_err(|error| Failure::new(Code::Storage, error))?;
    match command {
        Command::List { json: true } => line(&serde_json::to_string_pretty(&runs)?),
        Command::List { json: false } => list(&runs),
        Command::Show { run, json } => show(find(&runs, run)?, *json)?,
        Command::Compare { runs: ids } => {
            let chosen = ids.iter().map(|id| find(&runs, id).cloned()).collect::<Result<Vec<_>, _>>()?;
            compare(&chosen);
        }
        Command::Sync => sync(global)?,
    }
    Ok(())
}

fn find<'a>(runs: &'a [journal::RunSummary], id: &str) -> Result<&'a journal::RunSummary, Failure> {
    let mut matching = runs.iter().filter(|run| run.run_id.starts_with(id));
    match (matching.next(), matching.next()) {
        (Some(run), None) => Ok(run),
        (None, _) => Err(Failure::new(Code::Usage, format!("no run {id}; `cupola runs list` shows them"))),
        (Some(_), Some(_)) => {
            Err(Failure::new(Code::Usage, format!("more than one run starts with {id}; give more of the id")))
        }
    }
}

fn list(runs: &[journal::RunSummary]) {
    if runs.is_empty() {
        line("no runs yet; `cupola run PIPELINE` makes one");
    }
    for run in runs {
        let metrics: Vec<String> = run
            .metrics
            .iter()
            .filter(|(key, _)| key.starts_with("test/"))
            .take(3)
            .map(|(key, value)| format!("{key} {:.4}", value.0))
            .collect();
        let started = rfc3339(run.start_ms as i64 * 1_000);
        line(&format!(
            "{}  {started}  {:<11} {:<20} {}",
            run.run_id,
            status(run),
            run.experiment,
            metrics.join("  ")
        ));
    }
}

fn show(run: &journal::RunSummary, json: bool) -> CommandResult {
    if json {
        line(&serde_json::to_string_pretty(run)?);
        return Ok(());
    }
    line(&format!("{}  {}  {}  {}", run.run_id, run.name, run.experiment, status(run)));
    for (title, values) in [("parameters", &run.params), ("tags", &run.tags)] {
        line(&format!("{title}:"));
        values.iter().for_each(|(key, value)| line(&format!("  {key} = {value}")));
    }
    line("metrics:");
    run.metrics.iter().for_each(|(key, value)| line(&format!("  {key} = {}", value.0)));
    Ok(())
}

fn status(run: &journal::RunSummary) -> String {
    format!("{:?}", run.status).to_lowercase()
}

fn compare(runs: &[journal::RunSummary]) {
    let table = journal::compare(runs);
    line(&format!("{:<32}{}", "", table.names.iter().map(|name| format!("{name:>20}")).collect::<String>()));
    let row = |key: &str, values: Vec<String>| {
        line(&format!("{key:<32}{}", values.iter().map(|value| format!("{value:>20}")).collect::<String>()))
    };
    for difference in &table.params {
        row(
            &difference.key,
            difference.values.iter().map(|value| value.clone().unwrap_or_else(|| "-".into())).collect(),
        );
    }
    for difference in &table.metrics {
        row(
            &difference.key,
            difference
                .values
                .iter()
                .map(|value| value.map_or("-".into(), |value| format!("{value:.5}")))
                .collect(),
        );
    }
}

fn sync(global: &Global) -> CommandResult {
    let Some(config) = mlflow::MlflowConfig::tracking(mlflow::MlflowConfig::env)? else {
        return Err(Failure::new(
            Code::Mlflow,
            "MLFLOW_TRACKING_URI is not set; export the address of the server",
        ));
    };
    let report = mlflow::sync(&config, global.home().root(), &|_| true, &|_| {})?;
    if report.runs.is_empty() {
        line("no runs yet; `cupola run PIPELINE` makes one");
    }
    for run in &report.runs {
        let outcome = match &run.outcome {
            SyncOutcome::Delivered { n_events: 0 } => "was there already".to_owned(),
            SyncOutcome::Delivered { n_events } => format!("delivered {n_events} events"),
            SyncOutcome::Busy => "is being delivered by another process".to_owned(),
            SyncOutcome::Failed { reason } => format!("FAILED: {reason}"),
        };
        line(&format!("{}  {outcome}", run.run_id));
        for refusal in &run.refused {
            line(&format!("    entry {} of the journal was refused: {}", refusal.seq, refusal.reason));
        }
    }
    match report.runs.iter().filter(|run| matches!(run.outcome, SyncOutcome::Failed { .. })).count() {
        0 => Ok(()),
        n => Err(Failure::new(Code::Mlflow, format!("{n} runs were not delivered; see above"))),
    }
}

use cupola_experiments::journal::{MODEL_KIND, RunSummary, StageDone};
use cupola_experiments::mlflow::{MlflowConfig, SyncOutcome};
use cupola_experiments::stages::rfc3339;
use cupola_experiments::{journal, mlflow};
use cupola_models::registry::{LocalRegistry, ModelInfo, Registry};

use crate::cli::Global;
use crate::exit::{Code, CommandResult, Failure};
use crate::output::{line, table};

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
    /// Show one run: its model, stages, files, parameters and metrics.
    #[command(after_help = "Example: cupola runs show 5d2a91c7")]
    Show {
        /// Run id, its first or last characters, or its name.
        run: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show what differs between runs.
    #[command(after_help = "Example: cupola runs compare 5d2a91c7 90be44f1")]
    Compare {
        /// Run ids, their first or last characters, or their names.
        #[arg(required = true, num_args = 2..)]
        runs: Vec<String>,
    },
    /// Deliver to MLflow what a dead server missed.
    #[command(after_help = "Example: MLFLOW_TRACKING_URI=http://127.0.0.1:5000 cupola runs sync")]
    Sync,
}

pub fn run(global: &Global, command: &Command) -> CommandResult {
    let home = global.home();
    let runs = journal::list(home.root()).map_err(|error| Failure::new(Code::Storage, error))?;
    let find =
        |id: &String| journal::find(home.root(), &runs, id).map_err(|error| Failure::new(Code::Usage, error));
    match command {
        Command::List { json: true } => line(&serde_json::to_string_pretty(&runs)?),
        Command::List { json: false } => list(&runs, &models(global)),
        Command::Show { run, json: true } => line(&serde_json::to_string_pretty(find(run)?)?),
        Command::Show { run, json: false } => show(find(run)?, &models(global)),
        Command::Compare { runs: ids } => {
            let chosen = ids.iter().map(|id| find(id).cloned()).collect::<Result<Vec<_>, _>>()?;
            compare(&chosen, &runs, &models(global));
        }
        Command::Sync => sync(global)?,
    }
    Ok(())
}

/// Models whose aliases runs are shown with; none where versions are in MLflow, or the folder cannot be read.
fn models(global: &Global) -> Vec<ModelInfo> {
    if MlflowConfig::env("MLFLOW_REGISTRY_URI").is_some() {
        return Vec::new();
    }
    LocalRegistry::open(&global.home().models()).and_then(|registry| registry.models()).unwrap_or_default()
}

fn list(runs: &[RunSummary], models: &[ModelInfo]) {
    if runs.is_empty() {
        line("no runs yet; `cupola run PIPELINE` makes one");
        return;
    }
    let head = ["RUN", "STARTED", "STATUS", "PIPELINE", "MODEL", "VERSION", "METRICS"].map(str::to_owned);
    let row = |(run, id): (&RunSummary, &str)| {
        let metrics: Vec<String> = run
            .metrics
            .iter()
            .filter(|(key, _)| key.starts_with("test/"))
            .take(3)
            .map(|(key, value)| format!("{key} {:.4}", value.0))
            .collect();
        let started = rfc3339(run.start_ms as i64 * 1_000);
        let (kind, version) = (kind(run), version(run, models));
        [id.to_owned(), started, status(run), run.experiment.clone(), kind, version, metrics.join("  ")]
            .to_vec()
    };
    let ids = journal::short_ids(runs);
    table(std::iter::once(head.to_vec()).chain(runs.iter().zip(ids).map(row)).collect());
}

fn show(run: &RunSummary, models: &[ModelInfo]) {
    line(&format!("{}  {}  {}  {}", run.run_id, run.name, run.experiment, status(run)));
    line(&format!("model: {}, version {}", kind(run), version(run, models)));
    if let Some(error) = &run.error {
        line(&format!("error: {error}"));
    }
    line("stages:");
    let stage = |stage: &StageDone| {
        let result = if stage.reused { "reused" } else { "done" };
        let seconds = format!("{:>8.2} s", stage.seconds);
        vec![format!("  {}", stage.stage), seconds, result.to_owned(), stage.text.clone()]
    };
    table(run.stages.iter().map(stage).collect());
    line("files:");
    run.artifacts.iter().for_each(|path| line(&format!("  {}", path.display())));
    for (title, values) in [("parameters", &run.params), ("tags", &run.tags)] {
        line(&format!("{title}:"));
        values.iter().for_each(|(key, value)| line(&format!("  {key} = {value}")));
    }
    line("metrics:");
    run.metrics.iter().for_each(|(key, value)| line(&format!("  {key} = {}", value.0)));
}

fn status(run: &RunSummary) -> String {
    format!("{:?}", run.status).to_lowercase()
}

fn kind(run: &RunSummary) -> String {
    run.model_kind().unwrap_or("-").to_owned()
}

/// The version a run made, or came to again, with the aliases that point at it now.
fn version(run: &RunSummary, models: &[ModelInfo]) -> String {
    let Some(made) = &run.model else { return "-".into() };
    let model = models.iter().find(|model| model.name == made.name);
    let aliases = model.map(|model| model.aliases_of(made.version)).unwrap_or_default();
    if aliases.is_empty() {
        made.version.to_string()
    } else {
        format!("{} {}", made.version, aliases.join(", "))
    }
}

fn compare(chosen: &[RunSummary], all: &[RunSummary], models: &[ModelInfo]) {
    let short = journal::short_ids(all);
    let id = |run: &RunSummary| {
        let place = all.iter().position(|other| other.run_id == run.run_id);
        place.map_or_else(|| run.run_id.clone(), |place| short[place].to_owned())
    };
    let row = |title: &str, value: &dyn Fn(&RunSummary) -> String| -> Vec<String> {
        std::iter::once(title.to_owned()).chain(chosen.iter().map(value)).collect()
    };
    let mut rows = vec![
        row("run", &id),
        row("name", &|run| run.name.clone()),
        row(MODEL_KIND, &kind),
        row("version", &|run| version(run, models)),
    ];
    let differences = journal::compare(chosen);
    for difference in differences.params.iter().filter(|difference| difference.key != MODEL_KIND) {
        let values = difference.values.iter().map(|value| value.clone().unwrap_or_else(|| "-".into()));
        rows.push(std::iter::once(difference.key.clone()).chain(values).collect());
    }
    for difference in &differences.metrics {
        let values =
            difference.values.iter().map(|value| value.map_or("-".into(), |value| format!("{value:.5}")));
        rows.push(std::iter::once(difference.key.clone()).chain(values).collect());
    }
    table(rows);
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

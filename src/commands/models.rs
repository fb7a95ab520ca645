use std::path::{Path, PathBuf};

use cupola_models::VersionRef;
use cupola_models::registry::{LocalRegistry, Registry};
use cupola_models::{Bundle, Device};

use crate::cli::Global;
use crate::exit::{Code, CommandResult, Failure};
use crate::output::line;

/// `cupola models`.
#[derive(clap::Subcommand)]
pub enum Command {
    /// List models with their versions and aliases.
    #[command(after_help = "Example: cupola models list")]
    List,
    /// Show a version: signature, metrics, provenance.
    #[command(after_help = "Example: cupola models show card-fraud@champion")]
    Show {
        /// MODEL, MODEL@VERSION or MODEL@ALIAS.
        model: String,
    },
    /// Point an alias at a version; a running server takes it over at once.
    #[command(after_help = "Example: cupola models promote card-fraud@2")]
    Promote {
        /// MODEL@VERSION.
        model: String,
        /// Alias to move.
        #[arg(long, default_value = "champion")]
        alias: String,
    },
    /// Point an alias back at the version it had before.
    #[command(after_help = "Example: cupola models rollback card-fraud")]
    Rollback {
        /// Model.
        model: String,
        /// Alias to move.
        #[arg(long, default_value = "champion")]
        alias: String,
    },
    /// Copy a version's bundle, with its safetensors and ONNX files.
    #[command(after_help = "Example: cupola models export card-fraud@champion -o bundle/")]
    Export {
        /// MODEL, MODEL@VERSION or MODEL@ALIAS.
        model: String,
        /// Folder to write.
        #[arg(short, long, value_name = "DIR")]
        output: PathBuf,
    },
}

pub fn run(global: &Global, command: &Command) -> CommandResult {
    let registry = LocalRegistry::open(&global.home().models())?;
    match command {
        Command::List => list(&registry),
        Command::Show { model } => show(&registry, model),
        Command::Promote { model, alias } => promote(&registry, model, alias),
        Command::Rollback { model, alias } => rollback(&registry, model, alias),
        Command::Export { model, output } => export(&registry, model, output),
    }
}

/// Splits `MODEL[@VERSION|@ALIAS]`.
pub fn parse(model: &str) -> (&str, VersionRef) {
    match model.split_once('@') {
        Some((name, version)) => (name, VersionRef::from(version.to_owned())),
        None => (model, VersionRef::default()),
    }
}

fn list(registry: &LocalRegistry) -> CommandResult {
    let models = registry.models()?;
    if models.is_empty() {
        line("no models yet; `cupola run PIPELINE` registers one");
    }
    for model in models {
        line(&model.name);
        for version in &model.versions {
            line(&format!(
                "  {:>4}  {}  run {}  {}",
                version.version,
                version.created,
                version.run_id,
                model.aliases_of(version.version).join(", ")
            ));
        }
    }
    Ok(())
}

fn show(registry: &LocalRegistry, model: &str) -> CommandResult {
    let (name, version) = parse(model);
    let resolved = registry.resolve(name, &version)?;
    let bundle = Bundle::load(&resolved.dir, Device::Cpu)?;
    line(&serde_json::to_string_pretty(&bundle.manifest)?);
    Ok(())
}

fn promote(registry: &LocalRegistry, model: &str, alias: &str) -> CommandResult {
    let (name, version) = parse(model);
    let resolved = registry.resolve(name, &version)?;
    let before = registry.set_alias(name, alias, Some(resolved.version))?;
    let before = before.map_or("nothing".to_owned(), |version| format!("version {version}"));
    line(&format!("{name}: {alias} is version {}, was {before}", resolved.version));
    Ok(())
}

fn rollback(registry: &LocalRegistry, name: &str, alias: &str) -> CommandResult {
    let version = registry.rollback(name, alias)?;
    line(&format!("{name}: {alias} is version {version} again"));
    Ok(())
}

fn export(registry: &LocalRegistry, model: &str, output: &Path) -> CommandResult {
    let (name, version) = parse(model);
    let resolved = registry.resolve(name, &version)?;
    // Loading checks every digest, so a damaged bundle is not handed on.
    Bundle::load(&resolved.dir, Device::Cpu)?;
    if output.exists() {
        return Err(Failure::new(
            Code::Usage,
            format!("{} is there already; name a new folder", output.display()),
        ));
    }
    std::fs::create_dir_all(output)?;
    for entry in std::fs::read_dir(&resolved.dir)? {
        let entry = entry?;
        std::fs::copy(entry.path(), output.join(entry.file_name()))?;
    }
    line(&format!("{name} version {} is in {}", resolved.version, output.display()));
    Ok(())
}

use std::path::{Path, PathBuf};

use cupola_datasets::schema;
use cupola_datasets::sources::{self, FilesConfig, SourceConfig};
use cupola_experiments::pipeline;

use crate::exit::{Code, CommandResult, Failure};
use crate::output::line;

/// `cupola schema`.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Write a commented [schema] for a file.
    #[command(
        after_help = "Example: cupola schema infer customers.csv > schema.toml    then take it over into the pipeline file"
    )]
    Infer {
        /// CSV, JSON lines or Parquet file, folder or glob.
        file: PathBuf,
    },
    /// Print the reference page of the pipeline file, in Markdown.
    #[command(after_help = "Example: cupola schema reference > docs/reference.md")]
    Reference,
    /// Print the JSON schema of the pipeline file, for editors.
    #[command(after_help = "Example: cupola schema json > docs/pipeline.schema.json")]
    Json,
}

pub fn run(command: &Command) -> CommandResult {
    match command {
        Command::Infer { file } => infer(file),
        Command::Reference => {
            line(pipeline::reference_page().trim_end());
            Ok(())
        }
        Command::Json => {
            line(&serde_json::to_string_pretty(&pipeline::json_schema())?);
            Ok(())
        }
    }
}

fn infer(file: &Path) -> CommandResult {
    let config = SourceConfig::Files(FilesConfig::of(file.display().to_string()));
    let source = sources::build(&config, Path::new("."))?;
    let (inferred, notes) = schema::infer_with_notes(source.as_ref(), Default::default())
        .map_err(|error| Failure::new(Code::Data, error))?;
    line(schema::to_toml(&inferred, &notes).trim_end());
    Ok(())
}

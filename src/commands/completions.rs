use clap::CommandFactory;
use clap_complete::Shell;

use crate::cli::Cli;
use crate::exit::CommandResult;

/// Arguments of `cupola completions`.
#[derive(clap::Args)]
#[command(after_help = "Example: cupola completions bash > /etc/bash_completion.d/cupola")]
pub struct Args {
    /// Shell to complete for.
    shell: Shell,
}

pub fn run(args: &Args) -> CommandResult {
    clap_complete::generate(args.shell, &mut Cli::command(), "cupola", &mut std::io::stdout());
    Ok(())
}

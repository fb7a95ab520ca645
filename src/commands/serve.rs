use std::path::PathBuf;
use std::sync::Arc;

use cupola_experiments::pipeline::{self, LoadOptions};
use cupola_experiments::tracking;
use cupola_models::registry::{LocalRegistry, Registry};
use cupola_serving::{ServeConfig, Server, Token};

use crate::cli::Global;
use crate::exit::{Code, CommandResult, Failure};
use crate::output::error_line;

/// Arguments of `cupola serve`.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cupola serve                              all models of the home folder
  cupola serve examples/card-fraud --bind 127.0.0.1:9000")]
pub struct Args {
    /// Pipeline whose model and serve settings are used; without it, all registered models.
    pipeline: Option<PathBuf>,
    /// Address to listen on.
    #[arg(long, value_name = "ADDR")]
    bind: Option<String>,
    /// Setting that replaces the file's, such as serve.queue_rows_max=10000.
    #[arg(long, value_name = "KEY=VALUE", requires = "pipeline")]
    set: Vec<String>,
}

pub fn run(global: &Global, args: &Args) -> CommandResult {
    let home = global.home();
    let (mut config, registry, models): (ServeConfig, Arc<dyn Registry>, Vec<String>) = match &args.pipeline {
        Some(path) => {
            let loaded = pipeline::load(path, &LoadOptions { set: args.set.clone() })?;
            let registry = tracking::registry(&home)?;
            (loaded.pipeline.serve.clone(), registry, vec![loaded.pipeline.name])
        }
        None => {
            let registry = LocalRegistry::open(&home.models())?;
            (ServeConfig::default(), Arc::new(registry), Vec::new())
        }
    };
    if let Some(bind) = &args.bind {
        config.bind.clone_from(bind);
    }
    config.token = std::env::var("CUPOLA_SERVE_TOKEN").ok().filter(|token| !token.is_empty()).map(Token::new);
    let server =
        Server::build(config, registry, &models).map_err(|error| Failure::new(Code::Serve, error))?;
    error_line(&format!("listening on http://{}", server.address()));
    server.run().map_err(|error| Failure::new(Code::Serve, error))
}

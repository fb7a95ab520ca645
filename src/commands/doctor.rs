use std::net::TcpListener;
use std::path::PathBuf;

use cupola_experiments::mlflow::{MlflowConfig, MlflowError};
use cupola_experiments::pipeline::{self, LoadOptions, LoadedPipeline};
use cupola_experiments::tracking;
use cupola_models::{Device, device};

use crate::cli::Global;
use crate::exit::{Code, CommandResult, Failure};
use crate::output::line;

/// Arguments of `cupola doctor`.
#[derive(clap::Args)]
#[command(after_help = "Example: cupola doctor examples/card-fraud")]
pub struct Args {
    /// Pipeline whose source, port and MLflow server are checked too.
    pipeline: Option<PathBuf>,
}

pub fn run(global: &Global, args: &Args) -> CommandResult {
    let mut checks = Checks { failed: 0 };
    checks.devices();
    checks.home(global);
    let loaded = match &args.pipeline {
        Some(path) => Some(pipeline::load(path, &LoadOptions::default())?),
        None => None,
    };
    checks.mlflow(loaded.as_ref());
    if let Some(loaded) = &loaded {
        checks.source(loaded);
        checks.port(&loaded.pipeline.serve.bind);
    } else {
        checks.port(&cupola_serving::ServeConfig::default().bind);
    }
    match checks.failed {
        0 => Ok(()),
        n => Err(Failure::new(Code::Unexpected, format!("{n} of the checks above failed"))),
    }
}

struct Checks {
    failed: usize,
}

impl Checks {
    fn ok(&self, name: &str, text: &str) {
        line(&format!("  ok    {name:<12} {text}"));
    }

    /// Not there, and not needed.
    fn absent(&self, name: &str, text: &str) {
        line(&format!("  -     {name:<12} {text}"));
    }

    fn fail(&mut self, name: &str, text: &str, fix: &str) {
        self.failed += 1;
        line(&format!("  FAIL  {name:<12} {text}\n        {:<12} fix: {fix}", ""));
    }

    fn devices(&self) {
        for report in device::probe() {
            match &report.works {
                Ok(()) if report.is_real_gpu || report.device == Device::Cpu => {
                    self.ok(&report.device.to_string(), &report.name);
                }
                Ok(()) => self.absent(
                    &report.device.to_string(),
                    &format!("{}: computes on the CPU, slowly; `auto` passes it over", report.name),
                ),
                Err(reason) => self.absent(&report.device.to_string(), reason),
            }
        }
    }

    fn home(&mut self, global: &Global) {
        let home = global.home();
        let root = home.root().display().to_string();
        let probe = home.root().join(".write-probe");
        let written = std::fs::create_dir_all(home.root())
            .and_then(|()| std::fs::write(&probe, b"x"))
            .and_then(|()| std::fs::remove_file(&probe));
        match written {
            Ok(()) => self.ok("home", &format!("{root} can be written")),
            Err(error) => self.fail(
                "home",
                &format!("{root}: {error}"),
                "name a folder you own with --home or CUPOLA_HOME",
            ),
        }
    }

    fn mlflow(&mut self, loaded: Option<&LoadedPipeline>) {
        match mlflow_status(loaded) {
            None => self.absent(
                "mlflow",
                "not configured; runs stay in the run journal (set MLFLOW_TRACKING_URI to ship them)",
            ),
            Some(Ok(text)) => self.ok("mlflow", &text),
            Some(Err(error)) => {
                self.fail("mlflow", &error.to_string(), "start the server, or correct MLFLOW_TRACKING_URI")
            }
        }
    }

    fn source(&mut self, loaded: &LoadedPipeline) {
        let built = cupola_datasets::sources::build(&loaded.pipeline.source, &loaded.base_dir);
        match built.and_then(|source| source.fingerprint().map(|_| source.describe())) {
            Ok(text) => self.ok("source", &text),
            Err(error) => self.fail("source", &error.to_string(), "correct the path in [source]"),
        }
    }

    fn port(&mut self, bind: &str) {
        match TcpListener::bind(bind) {
            Ok(_) => self.ok("port", &format!("{bind} is free")),
            Err(error) => self.fail(
                "port",
                &format!("{bind}: {error}"),
                "stop what listens there, or serve with --bind",
            ),
        }
    }
}

fn mlflow_status(loaded: Option<&LoadedPipeline>) -> Option<Result<String, MlflowError>> {
    let config = match loaded {
        Some(loaded) => tracking::mlflow_config(&loaded.pipeline),
        None => MlflowConfig::tracking(MlflowConfig::env),
    };
    match config {
        Ok(config) => tracking::mlflow_status(config),
        Err(error) => Some(Err(error)),
    }
}

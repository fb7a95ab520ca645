//! Exit codes; `docs/errors.md` lists them for users.

use std::fmt;
use std::process::ExitCode;

use cupola_experiments::pipeline::PipelineError;
use cupola_experiments::stages::{RunError, RunErrorKind};
use cupola_models::bundle::BundleError;
use cupola_models::device::DeviceError;
use cupola_models::registry::RegistryError;

/// Kind of failure, as the process reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Code {
    /// Nothing foresaw it.
    Unexpected = 1,
    /// The command line.
    Usage = 2,
    /// The pipeline file or its settings.
    Pipeline = 3,
    /// The source or its records.
    Data = 4,
    /// The disk: permissions, space, a damaged table.
    Storage = 5,
    /// No such device, or it does not compute.
    Device = 6,
    /// The training failed.
    Training = 7,
    /// No such model or version, or a damaged bundle.
    Model = 8,
    /// Another process is running the pipeline.
    Busy = 9,
    /// The server cannot start.
    Serve = 10,
    /// MLflow cannot be reached or says no.
    Mlflow = 11,
}

/// A failure with the code the process ends with.
pub struct Failure {
    code: Code,
    report: miette::Report,
}

/// Result of a command.
pub type CommandResult = Result<(), Failure>;

impl Failure {
    /// A failure of this kind.
    pub fn new(code: Code, message: impl fmt::Display) -> Self {
        Self { code, report: miette::miette!("{message}") }
    }

    /// Prints the failure and gives the exit code.
    pub fn finish(self, json: bool) -> ExitCode {
        if json {
            let line = serde_json::json!({ "level": "error", "code": self.code as u8, "message": format!("{}", self.report) });
            crate::output::error_line(&line.to_string());
        } else {
            crate::output::error_line(&format!("{:?}", self.report));
        }
        ExitCode::from(self.code as u8)
    }
}

impl From<PipelineError> for Failure {
    fn from(error: PipelineError) -> Self {
        let code = if matches!(error, PipelineError::Set(_)) { Code::Usage } else { Code::Pipeline };
        Self { code, report: error.into() }
    }
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        let code = match error.kind() {
            RunErrorKind::Settings => Code::Pipeline,
            RunErrorKind::Data => Code::Data,
            RunErrorKind::Storage => Code::Storage,
            RunErrorKind::Device => Code::Device,
            RunErrorKind::Training => Code::Training,
            RunErrorKind::Model => Code::Model,
            RunErrorKind::Busy => Code::Busy,
        };
        Self::new(code, error)
    }
}

macro_rules! failures {
    ($($error:ty => $code:ident),* $(,)?) => {$(
        impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::new(Code::$code, error)
            }
        }
    )*};
}

failures! {
    cupola_experiments::tracking::TrackingError => Storage,
    cupola_experiments::mlflow::MlflowError => Mlflow,
    BundleError => Model,
    RegistryError => Model,
    DeviceError => Device,
    cupola_datasets::lake::LakeError => Storage,
    cupola_datasets::sources::SourceError => Data,
    std::io::Error => Storage,
    serde_json::Error => Unexpected,
}

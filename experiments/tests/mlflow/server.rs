use std::io::Write;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use cupola_experiments::mlflow::MlflowConfig;
use serde_json::Value;

/// A real MLflow server of this test process. It dies with it, however it ends: a shell in the
/// server's process group waits for the end of its input.
pub struct Server {
    pub address: String,
    folder: PathBuf,
    port: u16,
    shell: Child,
}

impl Server {
    /// Starts a server on an empty store in a folder.
    pub fn start(folder: &Path) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        Self::start_on(folder, port)
    }

    fn start_on(folder: &Path, port: u16) -> Self {
        let log =
            std::fs::OpenOptions::new().create(true).append(true).open(folder.join("server.log")).unwrap();
        let shell = Command::new("sh")
            .args(["-c", "\"$@\" & read _; kill -9 -$$", "sh"])
            .arg(python().unwrap())
            .args([
                "-m",
                "mlflow",
                "server",
                "--host",
                "127.0.0.1",
                "--workers",
                "1",
                "--port",
                &port.to_string(),
            ])
            .arg("--backend-store-uri")
            .arg(format!("sqlite:///{}/mlflow.db", folder.display()))
            .arg("--artifacts-destination")
            .arg(folder.join("artifacts"))
            .envs([
                ("MLFLOW_DISABLE_TELEMETRY", "true"),
                ("DO_NOT_TRACK", "true"),
                ("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false"),
            ])
            .env_remove("MLFLOW_TRACKING_URI")
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .process_group(0)
            .spawn()
            .unwrap();
        let mut server =
            Self { address: format!("http://127.0.0.1:{port}"), folder: folder.into(), port, shell };
        server.wait();
        server
    }

    fn wait(&mut self) {
        let started = Instant::now();
        let http = reqwest::blocking::Client::builder().no_proxy().build().unwrap();
        loop {
            if http
                .get(format!("{}/health", self.address))
                .send()
                .is_ok_and(|reply| reply.status().is_success())
            {
                return;
            }
            let log = || std::fs::read_to_string(self.folder.join("server.log")).unwrap_or_default();
            assert!(
                started.elapsed() < Duration::from_secs(180),
                "the MLflow server does not start:\n{}",
                log()
            );
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Kills the server and everything it started with SIGKILL.
    pub fn kill(&mut self) {
        let group = format!("-{}", self.shell.id());
        assert!(Command::new("kill").args(["-9", "--", &group]).status().unwrap().success());
        self.shell.wait().unwrap();
    }

    /// Starts it again, at the same address and with the same store.
    pub fn restart(&mut self) {
        let (folder, port) = (self.folder.clone(), self.port);
        *self = Self::start_on(&folder, port);
    }

    /// How to reach it, with short waits.
    pub fn config(&self) -> MlflowConfig {
        config(&self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Closing its input lets the shell end the whole group.
        if let Some(mut input) = self.shell.stdin.take() {
            let _ = input.flush();
        }
        let _ = self.shell.wait();
    }
}

/// How to reach a server, with short waits.
pub fn config(address: &str) -> MlflowConfig {
    let mut config = MlflowConfig::new(url::Url::parse(address).unwrap());
    config.timeout = Duration::from_secs(60);
    config.backoff_first = Duration::from_millis(50);
    config.backoff_max = Duration::from_millis(500);
    config.poll_interval = Duration::from_millis(100);
    config
}

/// The server that tests share which do not kill it; `None`, with the test named as skipped, where
/// there is no MLflow.
pub fn shared(test: &str) -> Option<&'static Server> {
    static SHARED: OnceLock<(tempfile::TempDir, Server)> = OnceLock::new();
    if !is_there(test) {
        return None;
    }
    let (_, server) = SHARED.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::start(folder.path());
        (folder, server)
    });
    Some(server)
}

/// Whether there is an MLflow to test with; if not, the test is named as skipped.
pub fn is_there(test: &str) -> bool {
    let is_there = python().is_some();
    if !is_there {
        println!("SKIPPED {test}: no MLflow 3 for Python in CUPOLA_PYTHON or .venv");
    }
    is_there
}

/// A Python that has MLflow.
pub fn python() -> Option<&'static PathBuf> {
    static PYTHON: OnceLock<Option<PathBuf>> = OnceLock::new();
    PYTHON
        .get_or_init(|| {
            let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../.venv/bin/python").into();
            let python = std::env::var_os("CUPOLA_PYTHON").map_or(default, PathBuf::from);
            let asked = "import importlib.util, sys; sys.exit(importlib.util.find_spec('mlflow') is None)";
            let found = Command::new(&python)
                .args(["-c", asked])
                .output()
                .is_ok_and(|output| output.status.success());
            found.then_some(python)
        })
        .as_ref()
}

/// Runs a script of MLflow's own client and reads the JSON it prints.
pub fn ask(server: &str, script: &str, arguments: &[&str]) -> Value {
    let output = Command::new(python().unwrap())
        .arg("-c")
        .arg(script)
        .args(arguments)
        .env("MLFLOW_TRACKING_URI", server)
        .env("MLFLOW_DISABLE_TELEMETRY", "true")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stdout)))
}

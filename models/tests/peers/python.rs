#![allow(clippy::unwrap_used)]
use std::path::{Path, PathBuf};
use std::process::Command;

/// A Python with the packages that a test needs.
pub struct Python {
    program: PathBuf,
}

impl Python {
    /// The Python of the tests, or a line that says why the test cannot run.
    pub fn or_skip(test: &str, packages: &[&str]) -> Option<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let program =
            std::env::var_os("CUPOLA_PYTHON").map_or_else(|| root.join(".venv/bin/python"), PathBuf::from);
        let import = format!("import {}", packages.join(", "));
        let reason = match Command::new(&program).args(["-c", &import]).output() {
            Ok(done) if done.status.success() => return Some(Self { program }),
            Ok(done) => last_line(&done.stderr),
            Err(error) => error.to_string(),
        };
        println!("SKIPPED {test}: {} cannot {import}: {reason}", program.display());
        None
    }

    /// Runs a script and returns what it printed.
    pub fn run(&self, script: &str, arguments: &[&Path]) -> String {
        let done = Command::new(&self.program).arg("-c").arg(script).args(arguments).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap()
    }
}

fn last_line(text: &[u8]) -> String {
    String::from_utf8_lossy(text).lines().last().unwrap_or_default().to_owned()
}

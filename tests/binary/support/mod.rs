//! Drives the binary as a user does.
#![allow(clippy::unwrap_used, dead_code)]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

/// A folder of a user: pipeline, data and home in one place, removed at the end.
pub struct Desk {
    dir: tempfile::TempDir,
}

impl Desk {
    pub fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    /// A desk with the card-fraud example on few rows.
    pub fn with_card_fraud(rows: usize, epochs: usize) -> Self {
        let desk = Self::new();
        let example = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/card-fraud/pipeline.toml");
        let file = std::fs::read_to_string(example).unwrap();
        let small = file
            .replace("rows = 200_000", &format!("rows = {rows}"))
            .replace("epochs_max = 12", &format!("epochs_max = {epochs}"));
        assert_ne!(small, file, "the example changed, so must this test");
        desk.write("pipeline.toml", &small);
        desk
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        self.text(name)
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    /// Text of the one file of this name in the home.
    pub fn read_found(&self, name: &str) -> String {
        let path = find(&self.path("home"), &|found| found == name);
        std::fs::read_to_string(path.unwrap()).unwrap()
    }

    /// The command, not yet started, with this desk's home.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cupola"));
        command.args(arguments).arg("--home").arg(self.path("home"));
        command
    }

    pub fn cupola(&self, arguments: &[&str]) -> Done {
        let done = Done::of(self.command(arguments).output().unwrap());
        println!("$ cupola {}\n{}{}", arguments.join(" "), done.out, done.err);
        done
    }

    /// Runs to success and gives what it printed on standard output.
    pub fn ok(&self, arguments: &[&str]) -> Done {
        let done = self.cupola(arguments);
        assert_eq!(done.code, Some(0), "cupola {} failed:\n{}", arguments.join(" "), done.err);
        done
    }

    /// Score of [`TRANSACTION`] by `predict` and by a server, which must be the same bits.
    pub fn score_of_both_ways(&self, server: &Served) -> f32 {
        let one = self.write("one.jsonl", TRANSACTION);
        self.ok(&["predict", "card-fraud", &one, "-o", &self.text("one.csv")]);
        let line = self.read("one.csv").lines().nth(1).unwrap().to_owned();
        let offline: f32 = line.split(',').nth(1).unwrap().parse().unwrap();
        let (status, reply) = server.predict("card-fraud", TRANSACTION);
        assert_eq!(status, 200, "{reply}");
        let online = reply["predictions"][0]["score"].as_f64().unwrap() as f32;
        assert_eq!(online.to_bits(), offline.to_bits(), "served {online}, scored offline {offline}");
        online
    }

    pub fn serve(&self, pipeline: &str) -> Served {
        Served::start(self.command(&["serve", pipeline, "--bind", "127.0.0.1:0"]))
    }
}

/// A process that ended.
pub struct Done {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Done {
    pub fn of(output: Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }

    /// Fails unless it ended with this code and its message has all of these parts.
    pub fn refused(&self, code: i32, parts: &[&str]) {
        // A message is wrapped to the terminal's width.
        let flat = self.err.split(|c: char| c.is_whitespace() || c == '│').filter(|w| !w.is_empty());
        let flat = flat.collect::<Vec<_>>().join(" ");
        assert_eq!(self.code, Some(code), "{flat}");
        for part in parts {
            assert!(flat.contains(part), "`{part}` is not in: {flat}");
        }
        assert!(!flat.contains("panicked"), "{flat}");
    }
}

/// A running server, killed at the end.
pub struct Served {
    pub child: Child,
    pub address: String,
    client: reqwest::blocking::Client,
}

impl Served {
    fn start(mut command: Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let listening = lines.find_map(|line| {
            let line = line.unwrap();
            println!("{line}");
            line.split_once("listening on ").map(|(_, address)| address.trim().to_owned())
        });
        let address = listening.unwrap();
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| println!("{line}")));
        let client = reqwest::blocking::Client::builder().no_proxy().build().unwrap();
        let served = Self { child, address, client };
        served.wait_until("ready", |served| served.get("/health/ready").0 == 200);
        served
    }

    pub fn wait_until(&self, what: &str, condition: impl Fn(&Self) -> bool) {
        let held = (0..600).any(|_| {
            let held = condition(self);
            if !held {
                std::thread::sleep(Duration::from_millis(50));
            }
            held
        });
        assert!(held, "not {what} within 30 seconds");
    }

    pub fn get(&self, path: &str) -> (u16, String) {
        match self.client.get(format!("{}{path}", self.address)).send() {
            Ok(reply) => (reply.status().as_u16(), reply.text().unwrap()),
            Err(_) => (0, String::new()),
        }
    }

    /// Status and JSON of a prediction.
    pub fn predict(&self, model: &str, body: &str) -> (u16, serde_json::Value) {
        let url = format!("{}/v1/models/{model}/predict", self.address);
        let reply = self.client.post(url).header("content-type", "application/json").body(body.to_owned());
        let reply = reply.send().unwrap();
        (reply.status().as_u16(), reply.json().unwrap())
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A record of the card-fraud example.
pub const TRANSACTION: &str = r#"{"ts":"2024-03-01T12:00:00Z","amount":250.0,"channel":"online","customer_id":"C00001","terminal_id":"T00012","distance":3.2,"account_days":400}"#;

/// First file below a folder whose name passes.
pub fn find(folder: &Path, wanted: &dyn Fn(&str) -> bool) -> Option<PathBuf> {
    for entry in std::fs::read_dir(folder).ok()? {
        let path = entry.ok()?.path();
        let name = path.file_name()?.to_string_lossy().into_owned();
        if path.is_dir() {
            if let Some(found) = find(&path, wanted) {
                return Some(found);
            }
        } else if wanted(&name) {
            return Some(path);
        }
    }
    None
}

//! Progress bars and lines: the one place that writes to the terminal beside results.

use std::io::{IsTerminal, Write};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use cupola_experiments::stages::{Observer, Stage, StageSummary};
use indicatif::{HumanCount, ProgressBar, ProgressState, ProgressStyle};

/// How events are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people: progress bars on a terminal, plain lines otherwise.
    Text,
    /// One JSON object per line on standard error.
    Json,
}

/// Sets up log lines on standard error. `RUST_LOG` picks the level.
pub fn start_logging(format: LogFormat) {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn,cupola=info,cupola_serving=info"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    // A second start in one process keeps the first subscriber.
    let _ = match format {
        LogFormat::Json => builder.json().try_init(),
        LogFormat::Text => builder.with_target(false).compact().try_init(),
    };
}

/// Writes a line to standard error; a closed pipe is no failure.
pub fn error_line(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Writes a line to standard output; a closed pipe is no failure.
pub fn line(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Writes rows to standard output, the cells of a column below each other.
pub fn table(rows: Vec<Vec<String>>) {
    let mut widths: Vec<usize> = Vec::new();
    for row in &rows {
        widths.resize(widths.len().max(row.len()), 0);
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    for row in &rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        line(cells.collect::<Vec<_>>().join("  ").trim_end());
    }
}

/// Shows the stages of a run.
pub struct Reporter {
    format: LogFormat,
    bars: bool,
    state: Mutex<State>,
}

struct State {
    bar: Option<ProgressBar>,
    started: Instant,
    told: Instant,
}

/// Time between two progress lines where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);

impl Reporter {
    /// A reporter for this format; bars only on a terminal.
    pub fn new(format: LogFormat) -> Self {
        let bars = format == LogFormat::Text && std::io::stderr().is_terminal();
        let now = Instant::now();
        Self { format, bars, state: Mutex::new(State { bar: None, started: now, told: now }) }
    }

    fn event(&self, value: &serde_json::Value, text: &str) {
        match self.format {
            LogFormat::Json => error_line(&value.to_string()),
            LogFormat::Text => error_line(text),
        }
    }
}

/// Units per second, without a fraction.
fn rate(state: &ProgressState, text: &mut dyn std::fmt::Write) {
    let _ = write!(text, "{}/s", HumanCount(state.per_sec() as u64));
}

impl Observer for Reporter {
    fn started(&self, stage: Stage) {
        let Ok(mut state) = self.state.lock() else { return };
        (state.started, state.told) = (Instant::now(), Instant::now());
        if self.bars {
            let bar = ProgressBar::new_spinner().with_prefix(format!("{:>9}", stage.name()));
            bar.enable_steady_tick(Duration::from_millis(120));
            if let Ok(style) = ProgressStyle::with_template("{prefix} {spinner} {msg}") {
                bar.set_style(style);
            }
            state.bar = Some(bar);
        }
    }

    fn progress(&self, stage: Stage, done: u64, total: Option<u64>, unit: &'static str, note: &str) {
        let Ok(mut state) = self.state.lock() else { return };
        if let Some(bar) = &state.bar {
            if let Some(total) = total.filter(|_| bar.length() != total) {
                let template = if unit == "bytes" {
                    "{prefix} [{bar:30}] {bytes}/{total_bytes} {bytes_per_sec}, {eta} left  {msg}"
                } else {
                    "{prefix} [{bar:30}] {human_pos}/{human_len} {rate}, {eta} left  {msg}"
                };
                bar.set_length(total);
                if let Ok(style) = ProgressStyle::with_template(template) {
                    bar.set_style(style.with_key("rate", rate));
                }
            }
            bar.set_position(done);
            bar.set_message(note.to_owned());
            return;
        }
        if state.told.elapsed() < LINE_EVERY {
            return;
        }
        state.told = Instant::now();
        let rate = done as f64 / state.started.elapsed().as_secs_f64().max(1e-9);
        let left = total.map(|total| total.saturating_sub(done) as f64 / rate.max(1e-9));
        let value = serde_json::json!({
            "event": "progress", "stage": stage, "done": done, "total": total, "unit": unit, "per_second": rate, "seconds_left": left, "note": note,
        });
        let of = total.map(|total| format!(" of {total}")).unwrap_or_default();
        let left = left.map(|left| format!(", {left:.0} s left")).unwrap_or_default();
        self.event(&value, &format!("{:>9} {done}{of} {unit}, {rate:.0}/s{left}; {note}", stage.name()));
    }

    fn finished(&self, summary: &StageSummary) {
        if let Some(bar) = self.state.lock().ok().and_then(|mut state| state.bar.take()) {
            bar.finish_and_clear();
        }
        let took = if summary.reused { "unchanged".to_owned() } else { format!("{:.1} s", summary.seconds) };
        let value = serde_json::json!({ "event": "stage", "summary": summary });
        self.event(&value, &format!("{:>9} {took}: {}", summary.stage.name(), summary.text));
    }
}

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::error::JournalError;
use super::event::{Entry, Event};

/// What the writer thread is told.
pub(super) enum Message {
    /// Append an event; `durable` asks for an fsync at once.
    Append { time_ms: u64, event: Event, durable: bool },
    /// Answer when everything before it is on the disk.
    Flush(SyncSender<()>),
}

/// What others may know of the writer.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Bytes that are on the disk for certain.
    pub synced_len: AtomicU64,
    failure: Mutex<Option<String>>,
}

impl Progress {
    /// The first failure, after which events were given up.
    pub(super) fn failure(&self) -> Option<String> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The one thread that touches the file. Every event reaches the kernel as soon as the thread
/// gets to it, which is what a kill of the process needs; fsync, which a loss of power needs, is
/// shared by all events of `sync_interval`.
pub(super) struct Writer {
    pub file: File,
    pub path: PathBuf,
    pub next_seq: u64,
    pub len: u64,
    pub sync_interval: Duration,
    pub progress: Arc<Progress>,
}

/// Serialised events that are handed to the kernel in one write.
const WRITE_BYTES_MAX: usize = 256 << 10;
const ATTEMPTS: u32 = 5;
const ATTEMPT_DELAY: Duration = Duration::from_millis(200);

impl Writer {
    /// Runs until every sender is gone and everything is on the disk.
    pub(super) fn run(mut self, messages: &Receiver<Message>) {
        let mut sync_due: Option<Instant> = None;
        let mut lines = Vec::new();
        loop {
            let wait = sync_due
                .map_or(Duration::from_secs(3600), |due| due.saturating_duration_since(Instant::now()));
            let first = match messages.recv_timeout(wait) {
                Ok(message) => message,
                Err(RecvTimeoutError::Timeout) => {
                    if sync_due.take().is_some() {
                        self.sync();
                    }
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => break,
            };
            let mut flushes = Vec::new();
            let mut durable = false;
            let mut message = Some(first);
            while let Some(next) = message {
                match next {
                    Message::Append { time_ms, event, durable: now } => {
                        durable |= now;
                        self.serialise(time_ms, event, &mut lines);
                    }
                    Message::Flush(reply) => flushes.push(reply),
                }
                message = if lines.len() < WRITE_BYTES_MAX { messages.try_recv().ok() } else { None };
            }
            self.write(&mut lines);
            let due = *sync_due.get_or_insert_with(|| Instant::now() + self.sync_interval);
            if durable || !flushes.is_empty() || due <= Instant::now() {
                self.sync();
                sync_due = None;
            }
            for reply in flushes {
                // A caller that went away needs no answer.
                let _ = reply.send(());
            }
        }
        self.sync();
    }

    fn serialise(&mut self, time_ms: u64, event: Event, lines: &mut Vec<u8>) {
        if self.progress.failure().is_some() {
            return;
        }
        let start = lines.len();
        let entry = Entry { seq: self.next_seq, time_ms, event };
        match serde_json::to_writer(&mut *lines, &entry) {
            Ok(()) => {
                lines.push(b'\n');
                self.next_seq += 1;
            }
            Err(error) => {
                lines.truncate(start);
                self.fail(&format!("an event cannot be written as JSON: {error}"));
            }
        }
    }

    fn write(&mut self, lines: &mut Vec<u8>) {
        if lines.is_empty() {
            return;
        }
        for attempt in 1..=ATTEMPTS {
            match self.file.write_all(lines) {
                Ok(()) => {
                    self.len += lines.len() as u64;
                    break;
                }
                Err(error) => {
                    // Half a batch may have been written: what follows must start on a fresh line.
                    let cut = self.file.set_len(self.len);
                    if attempt == ATTEMPTS || cut.is_err() {
                        self.fail(&error.to_string());
                        break;
                    }
                    std::thread::sleep(ATTEMPT_DELAY);
                }
            }
        }
        lines.clear();
    }

    fn sync(&mut self) {
        if self.progress.synced_len.load(Ordering::Acquire) == self.len {
            return;
        }
        match self.file.sync_data() {
            Ok(()) => self.progress.synced_len.store(self.len, Ordering::Release),
            Err(error) => self.fail(&error.to_string()),
        }
    }

    fn fail(&self, reason: &str) {
        let mut failure = self.progress.failure.lock().unwrap_or_else(PoisonError::into_inner);
        if failure.is_none() {
            let error = JournalError::Incomplete { path: self.path.clone(), reason: reason.into() };
            tracing::error!("{error}");
            *failure = Some(reason.into());
        }
    }
}

use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::table::{self, Entry};
use crate::lake::{Lake, LakeError, TableVersion};

/// Writes the quarantine table of one ingest beside its raw table. It replaces the table of the
/// ingest before, whole or not at all: dropped without [`Writer::commit`], it changes nothing.
pub struct Writer {
    sender: Option<Sender<Message>>,
    thread: Option<JoinHandle<Result<Option<TableVersion>, LakeError>>>,
}

enum Message {
    Entries(Vec<Entry>),
    Commit,
}

/// Groups of entries that wait to be written.
const GROUPS_MAX: usize = 2;

impl Writer {
    /// Starts a write; `now_micros` is the time of the run.
    pub fn start(lake: &Lake, table: &str, now_micros: i64) -> Self {
        let (sender, receiver) = bounded(GROUPS_MAX);
        let (lake, table) = (lake.clone(), table.to_owned());
        let thread = std::thread::spawn(move || write(&lake, &table, now_micros, &receiver));
        Self { sender: Some(sender), thread: Some(thread) }
    }

    /// Adds entries.
    pub fn push(&mut self, entries: Vec<Entry>) -> Result<(), LakeError> {
        if entries.is_empty() || self.send(Message::Entries(entries)) {
            return Ok(());
        }
        // Only a failed write hangs up before the commit.
        self.join().map(drop)
    }

    /// Makes the entries visible. Returns the table, if there is one: none is made for no entries.
    pub fn commit(mut self) -> Result<Option<TableVersion>, LakeError> {
        self.send(Message::Commit);
        self.join()
    }

    fn send(&self, message: Message) -> bool {
        self.sender.as_ref().is_some_and(|sender| sender.send(message).is_ok())
    }

    fn join(&mut self) -> Result<Option<TableVersion>, LakeError> {
        self.sender = None;
        let failed = || LakeError::rows("the quarantine table was not written");
        let thread = self.thread.take().ok_or_else(failed)?;
        thread.join().unwrap_or_else(|_| Err(failed()))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // The error says that the write was given up, which the owner knows.
        let _ = self.join();
    }
}

fn write(
    lake: &Lake,
    table: &str,
    now_micros: i64,
    receiver: &Receiver<Message>,
) -> Result<Option<TableVersion>, LakeError> {
    let mut first = match next(receiver)? {
        Some(entries) => Some(entries),
        None => match lake.latest(table)? {
            Some(old) if old.n_rows > 0 => None,
            other => return Ok(other),
        },
    };
    let mut is_ended = first.is_none();
    let mut rows = std::iter::from_fn(|| {
        if is_ended {
            return None;
        }
        let entries = first.take().map_or_else(|| next(receiver), |entries| Ok(Some(entries)));
        is_ended = !matches!(entries, Ok(Some(_)));
        let batch = |entries: Vec<Entry>| table::batch(&entries, now_micros).map_err(LakeError::rows);
        entries.map(|entries| entries.map(batch)).transpose().map(Result::flatten)
    });
    lake.overwrite(table, table::schema(), &[], &mut rows).map(Some)
}

/// The next group, `None` at the commit, an error where the owner gave up.
fn next(receiver: &Receiver<Message>) -> Result<Option<Vec<Entry>>, LakeError> {
    match receiver.recv() {
        Ok(Message::Entries(entries)) => Ok(Some(entries)),
        Ok(Message::Commit) => Ok(None),
        Err(_) => Err(LakeError::rows("the ingest ended early")),
    }
}

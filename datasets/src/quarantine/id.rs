use std::collections::HashMap;

use sha2::{Digest, Sha256};

use crate::sources::BrokenRecord;

/// Gives broken records of one ingest their ids.
///
/// An id is made of the file's name and the record's text, not of its line, so that it stays the
/// same when rows are added before it. Equal records of one file are told apart by their order.
#[derive(Debug, Default)]
pub struct Identifier {
    seen: HashMap<u64, u32>,
}

impl Identifier {
    /// The id of the next broken record: 16 hex digits, and `-2`, `-3`, ... behind them for the
    /// repetitions of a record.
    pub fn id(&mut self, record: &BrokenRecord) -> String {
        let mut hash = Sha256::new();
        hash.update(record.file.as_bytes());
        hash.update([0]);
        hash.update(record.record.as_bytes());
        let digest = hash.finalize();
        let head = digest[..8].iter().fold(0_u64, |head, byte| head << 8 | u64::from(*byte));
        let n = self.seen.entry(head).or_default();
        *n += 1;
        if *n == 1 { format!("{head:016x}") } else { format!("{head:016x}-{n}") }
    }
}

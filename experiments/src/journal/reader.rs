use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::error::JournalError;
use super::event::Entry;

/// Reads whole entries from a journal that may still be growing.
pub struct Reader {
    path: PathBuf,
    file: BufReader<File>,
    offset: u64,
    line: Vec<u8>,
}

impl Reader {
    /// Starts at a byte offset that a former reader stood at; 0 for all.
    pub fn open(path: &Path, offset: u64) -> Result<Self, JournalError> {
        let mut file = File::open(path).map_err(|source| JournalError::io("open", path, source))?;
        file.seek(SeekFrom::Start(offset)).map_err(|source| JournalError::io("read", path, source))?;
        Ok(Self { path: path.into(), file: BufReader::new(file), offset, line: Vec::new() })
    }

    /// Bytes read so far, from the start of the file: the end of the last whole entry.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Goes back to an offset that this reader stood at.
    pub fn rewind(&mut self, offset: u64) -> Result<(), JournalError> {
        self.file
            .seek(SeekFrom::Start(offset))
            .map_err(|source| JournalError::io("read", &self.path, source))?;
        self.offset = offset;
        Ok(())
    }

    /// The next entry that ends at or before byte `until`; `None` when there is none (yet).
    pub fn next(&mut self, until: u64) -> Result<Option<Entry>, JournalError> {
        if self.offset >= until {
            return Ok(None);
        }
        self.line.clear();
        let n = self
            .file
            .read_until(b'\n', &mut self.line)
            .map_err(|source| JournalError::io("read", &self.path, source))?;
        if self.line.last() != Some(&b'\n') || self.offset + n as u64 > until {
            self.rewind(self.offset)?;
            return Ok(None);
        }
        let entry = serde_json::from_slice(&self.line).map_err(|reason| JournalError::Damaged {
            path: self.path.clone(),
            offset: self.offset,
            reason: reason.to_string(),
        })?;
        self.offset += n as u64;
        Ok(Some(entry))
    }
}

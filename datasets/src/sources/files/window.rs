use std::io::{self, Read};

use memchr::memchr2;

/// Bytes taken from the reader at once.
const READ_BYTES: usize = 256 * 1024;

/// The part of a stream that is in memory: everything from the first byte not yet consumed.
pub(super) struct Window<R> {
    inner: R,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    bytes_max: usize,
    is_ended: bool,
}

/// A line in the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// The next `len` bytes are a line, and `terminator` more end it.
    Whole { len: usize, terminator: usize },
    /// The next line is longer than the window may be.
    TooLong,
    /// There is no line left.
    End,
}

impl<R: Read> Window<R> {
    /// A window that never holds more than `line_bytes_max` and one read.
    pub fn new(inner: R, line_bytes_max: usize) -> Self {
        Self {
            inner,
            buffer: vec![0; READ_BYTES],
            start: 0,
            end: 0,
            bytes_max: line_bytes_max.max(1),
            is_ended: false,
        }
    }

    pub fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    pub fn consume(&mut self, n: usize) {
        self.start = (self.start + n).min(self.end);
    }

    /// Whether the stream has no bytes beyond the window.
    pub fn is_ended(&self) -> bool {
        self.is_ended
    }

    /// Whether the window holds as much as it may.
    pub fn is_full(&self) -> bool {
        self.end - self.start > self.bytes_max
    }

    /// Reads more bytes behind those that are there. Returns how many; 0 at the end.
    pub fn fill(&mut self) -> io::Result<usize> {
        if self.buffer.len() - self.end < READ_BYTES / 2 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
            if self.buffer.len() - self.end < READ_BYTES / 2 {
                let grown =
                    (self.buffer.len() * 2).min(self.bytes_max + READ_BYTES).max(self.end + READ_BYTES);
                self.buffer.resize(grown, 0);
            }
        }
        loop {
            match self.inner.read(&mut self.buffer[self.end..]) {
                Ok(n) => {
                    self.end += n;
                    self.is_ended = n == 0;
                    return Ok(n);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Finds the end of the next line, reading as needed: `\n`, `\r\n` or a lone `\r`.
    pub fn find_line(&mut self) -> io::Result<Line> {
        let mut scanned = 0;
        loop {
            let bytes = self.bytes();
            match memchr2(b'\n', b'\r', &bytes[scanned..]).map(|i| scanned + i) {
                Some(len) if bytes[len] == b'\n' => return Ok(Line::Whole { len, terminator: 1 }),
                Some(len) if len + 1 < bytes.len() || self.is_ended => {
                    let terminator = 1 + usize::from(bytes.get(len + 1) == Some(&b'\n'));
                    return Ok(Line::Whole { len, terminator });
                }
                // Whether a `\n` follows is in bytes not read yet.
                Some(len) => scanned = len,
                None if self.is_ended && bytes.is_empty() => return Ok(Line::End),
                None if self.is_full() => return Ok(Line::TooLong),
                None if self.is_ended => return Ok(Line::Whole { len: bytes.len(), terminator: 0 }),
                None => scanned = bytes.len(),
            }
            self.fill()?;
        }
    }

    /// Skips the rest of a line that does not fit, in constant memory.
    pub fn skip_line(&mut self) -> io::Result<()> {
        loop {
            let bytes = self.bytes();
            match memchr2(b'\n', b'\r', bytes) {
                Some(len) => {
                    self.consume(len);
                    if let Line::Whole { terminator, .. } = self.find_line()? {
                        self.consume(terminator);
                    }
                    return Ok(());
                }
                None => self.consume(bytes.len()),
            }
            if self.fill()? == 0 {
                return Ok(());
            }
        }
    }
}

/// Line ends in `bytes`: `\n`, `\r\n` and a lone `\r` count one each.
pub(super) fn count_lines(bytes: &[u8]) -> u64 {
    let mut n_lines = 0;
    let mut rest = bytes;
    while let Some(at) = memchr2(b'\n', b'\r', rest) {
        n_lines += 1;
        let is_crlf = rest[at] == b'\r' && rest.get(at + 1) == Some(&b'\n');
        rest = &rest[at + 1 + usize::from(is_crlf)..];
    }
    n_lines
}

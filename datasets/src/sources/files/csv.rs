use std::io::{self, Read};
use std::ops::Range;

use csv_core::ReadRecordResult;
use memchr::{memchr, memchr_iter};

use super::window::{Line, Window, count_lines};

/// Bytes of a line that is too long which are kept for the quarantine table.
pub(super) const KEPT_BYTES: usize = 1_024;

/// Splits text into CSV records (RFC 4180 as the `csv` crate reads it): quoted fields may hold
/// delimiters, line ends and doubled quotes; empty lines are skipped.
///
/// A line without a quote is split at its delimiters; the others go through `csv-core`.
pub(super) struct CsvRecords<R> {
    window: Window<R>,
    delimiter: u8,
    is_quoted: bool,
    core: csv_core::Reader,
    /// Line of the next byte, from 1.
    line: u64,
    fields: Vec<Range<usize>>,
    /// Unquoted fields of a record with quotes, one after the other.
    unquoted: Vec<u8>,
    ends: Vec<usize>,
    // Bytes read again because a quote had no end: each such scan can be as long as the window.
    bytes_rescanned: usize,
    bytes_max: usize,
    pending: usize,
}

/// The next thing in the file.
pub(super) enum CsvStep<'a> {
    /// A record and the line that it starts on.
    Record(CsvRecord<'a>),
    /// A line that is no record.
    Broken { line: u64, reason: String, raw: &'a [u8] },
    /// The end of the file.
    End,
}

/// One record: its fields are ranges of `data`.
pub(super) struct CsvRecord<'a> {
    pub line: u64,
    pub fields: &'a [Range<usize>],
    pub data: &'a [u8],
    /// The record as it stands in the file.
    pub raw: &'a [u8],
}

impl<R: Read> CsvRecords<R> {
    pub fn new(reader: R, delimiter: u8, is_quoted: bool, line_bytes_max: usize) -> Self {
        let core = csv_core::ReaderBuilder::new().delimiter(delimiter).quoting(is_quoted).build();
        Self {
            window: Window::new(reader, line_bytes_max),
            delimiter,
            is_quoted,
            core,
            line: 1,
            fields: Vec::new(),
            unquoted: Vec::new(),
            ends: Vec::new(),
            bytes_rescanned: 0,
            bytes_max: line_bytes_max,
            pending: 0,
        }
    }

    pub fn next(&mut self) -> io::Result<CsvStep<'_>> {
        // What was lent out by the last call is given back now.
        self.window.consume(std::mem::take(&mut self.pending));
        loop {
            let line = self.line;
            let (len, terminator) = match self.window.find_line()? {
                Line::End => return Ok(CsvStep::End),
                Line::TooLong => return self.too_long(),
                Line::Whole { len, terminator } => (len, terminator),
            };
            if len == 0 {
                self.window.consume(terminator);
                self.line += 1;
                continue;
            }
            if self.is_quoted && memchr(b'"', &self.window.bytes()[..len]).is_some() {
                return self.with_quotes(len, terminator);
            }
            self.pending = len + terminator;
            self.line += 1;
            let raw = &self.window.bytes()[..len];
            split(raw, self.delimiter, &mut self.fields);
            return Ok(CsvStep::Record(CsvRecord { line, fields: &self.fields, data: raw, raw }));
        }
    }

    /// A record whose first line, of `len` bytes, holds a quote.
    fn with_quotes(&mut self, len: usize, terminator: usize) -> io::Result<CsvStep<'_>> {
        let line = self.line;
        let Some(consumed) = self.parse_quoted()? else {
            // Nothing closes the quote. The first line is put aside and reading goes on behind it,
            // so that one stray quote costs one line and not the rest of the file.
            self.bytes_rescanned += self.window.bytes().len();
            self.pending = len + terminator;
            self.line += 1;
            let reason =
                "a quote is never closed: close it, or set source.quoted = false if quotes are plain text"
                    .into();
            return Ok(CsvStep::Broken { line, reason, raw: &self.window.bytes()[..len] });
        };
        self.pending = consumed;
        let consumed = &self.window.bytes()[..consumed];
        self.line += count_lines(consumed).max(1);
        Ok(CsvStep::Record(CsvRecord {
            line,
            fields: &self.fields,
            data: &self.unquoted,
            raw: consumed.trim_ascii_end(),
        }))
    }

    /// Runs `csv-core` on one record and returns its length in the window, line end included, or
    /// `None` when the record has no end there.
    fn parse_quoted(&mut self) -> io::Result<Option<usize>> {
        let (mut n_in, mut n_out, mut n_ends) = (0, 0, 0);
        // Past this budget a record must end on its own line: time stays linear in the file.
        let may_span_lines = self.bytes_rescanned <= self.bytes_max.saturating_mul(4);
        let is_closed = loop {
            let rest = &self.window.bytes()[n_in..];
            self.unquoted.resize(self.unquoted.len().max(n_out + rest.len() + 8), 0);
            if self.ends.len() < n_ends + 32 {
                self.ends.resize((n_ends + 32) * 2, 0);
            }
            // An empty input would close an open quote; a line end does not.
            let (input, is_real) = if rest.is_empty() { (&b"\n"[..], false) } else { (rest, true) };
            let (result, read, written, ended) =
                self.core.read_record(input, &mut self.unquoted[n_out..], &mut self.ends[n_ends..]);
            n_in += if is_real { read } else { 0 };
            n_out += written;
            n_ends += ended;
            match result {
                ReadRecordResult::Record => break true,
                ReadRecordResult::End => break false,
                ReadRecordResult::InputEmpty if !is_real => break false,
                ReadRecordResult::InputEmpty => {
                    let must_stop = self.window.is_full() || !may_span_lines;
                    if !self.window.is_ended() && must_stop {
                        break false;
                    }
                    self.window.fill()?;
                }
                ReadRecordResult::OutputFull | ReadRecordResult::OutputEndsFull => {}
            }
        };
        if !is_closed {
            self.core.reset();
            return Ok(None);
        }
        if self.window.bytes().get(n_in.wrapping_sub(1)) == Some(&b'\r') {
            if n_in == self.window.bytes().len() {
                self.window.fill()?;
            }
            n_in += usize::from(self.window.bytes().get(n_in) == Some(&b'\n'));
        }
        self.fields.clear();
        let starts = std::iter::once(0).chain(self.ends[..n_ends].iter().copied());
        self.fields.extend(starts.zip(&self.ends[..n_ends]).map(|(start, end)| start..*end));
        Ok(Some(n_in))
    }

    fn too_long(&mut self) -> io::Result<CsvStep<'_>> {
        let line = self.line;
        let kept = &self.window.bytes()[..KEPT_BYTES.min(self.window.bytes().len())];
        self.unquoted.clear();
        self.unquoted.extend_from_slice(kept);
        self.window.skip_line()?;
        self.line += 1;
        Ok(CsvStep::Broken { line, reason: too_long(self.bytes_max), raw: &self.unquoted })
    }
}

pub(super) fn too_long(bytes_max: usize) -> String {
    format!(
        "the line is longer than source.line_mib_max = {} MiB, only its first {KEPT_BYTES} bytes are kept here: raise the limit",
        bytes_max >> 20
    )
}

fn split(line: &[u8], delimiter: u8, fields: &mut Vec<Range<usize>>) {
    fields.clear();
    let mut start = 0;
    for end in memchr_iter(delimiter, line) {
        fields.push(start..end);
        start = end + 1;
    }
    fields.push(start..line.len());
}

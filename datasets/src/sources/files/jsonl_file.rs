use std::io::Read;
use std::sync::Arc;

use super::chunk::TextChunk;
use super::csv::{KEPT_BYTES, too_long};
use super::csv_file::not_decodable;
use super::source::{ReadChunks, TextOptions};
use super::window::{Line, Window};
use crate::sources::{RecordChunk, RecordFormat, SourceError};

/// One file of JSON objects, each on its own line. Lines are handed on as they are; what is in
/// them is for the validator.
pub(super) struct JsonlFile<R> {
    window: Window<R>,
    chunk: TextChunk,
    options: TextOptions,
    line: u64,
    is_ended: bool,
}

impl<R: Read> JsonlFile<R> {
    /// Looks at the first byte: a JSON array is another format.
    pub fn open(reader: R, options: TextOptions) -> Result<Self, SourceError> {
        let mut window = Window::new(reader, options.line_bytes_max());
        if window.fill().map_err(|e| options.read_error(e))? > 0
            && window.bytes().trim_ascii_start().first() == Some(&b'[')
        {
            let reason =
                "a JSON array; Cupola reads one object per line, convert it with: jq -c '.[]' IN > OUT.jsonl";
            return Err(options.malformed(reason.into()));
        }
        let chunk = TextChunk::new(Arc::clone(&options.file), &["record".into()], RecordFormat::JsonLines);
        Ok(Self { window, chunk, options, line: 1, is_ended: false })
    }

    fn push_line(&mut self) -> std::io::Result<()> {
        let line = self.line;
        match self.window.find_line()? {
            Line::End => {
                self.is_ended = true;
                return Ok(());
            }
            Line::TooLong => {
                let kept = &self.window.bytes()[..KEPT_BYTES.min(self.window.bytes().len())];
                let kept = String::from_utf8_lossy(kept).into_owned();
                self.window.skip_line()?;
                self.chunk.push_broken(line, None, too_long(self.options.line_bytes_max()), kept);
            }
            Line::Whole { len, terminator } => {
                let text = self.window.bytes()[..len].trim_ascii();
                if std::str::from_utf8(text).is_err() {
                    let record = String::from_utf8_lossy(text).into_owned();
                    self.chunk.push_broken(line, None, not_decodable(&self.options.config.encoding), record);
                } else if !text.is_empty() {
                    self.chunk.push(line, text, std::slice::from_ref(&(0..text.len())));
                }
                self.window.consume(len + terminator);
            }
        }
        self.line += 1;
        Ok(())
    }
}

impl<R: Read + Send> ReadChunks for JsonlFile<R> {
    fn next_chunk(&mut self) -> Result<Option<RecordChunk>, SourceError> {
        while !self.is_ended && !self.chunk.is_full() {
            self.push_line().map_err(|e| self.options.read_error(e))?;
        }
        if self.chunk.is_empty() {
            return Ok(None);
        }
        let chunk = self.chunk.finish(self.options.bytes_read());
        chunk.map(Some).map_err(|e| self.options.malformed(e.to_string()))
    }
}

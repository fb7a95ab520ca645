use std::io::{self, Cursor, Read};

use encoding_rs::{Decoder, DecoderResult, Encoding, UTF_8};

/// A byte that is in no UTF-8 text. It stands for bytes that could not be decoded, so that the
/// record with them is found broken where its line is known.
const UNDECODABLE: u8 = 0xFF;

/// The text of `reader` as UTF-8. A byte order mark is taken away and overrides `encoding`; UTF-8
/// passes through unchecked.
pub(super) fn utf8<'a>(
    mut reader: impl Read + Send + 'a,
    encoding: &'static Encoding,
) -> io::Result<Box<dyn Read + Send + 'a>> {
    let mut head = Vec::with_capacity(3);
    reader.by_ref().take(3).read_to_end(&mut head)?;
    let (encoding, bom_len) = Encoding::for_bom(&head).unwrap_or((encoding, 0));
    head.drain(..bom_len);
    let whole = Cursor::new(head).chain(reader);
    if encoding == UTF_8 {
        return Ok(Box::new(whole));
    }
    Ok(Box::new(Decoding {
        inner: whole,
        decoder: encoding.new_decoder_without_bom_handling(),
        input: vec![0; 64 * 1024],
        start: 0,
        end: 0,
        is_last: false,
        is_done: false,
        marks: 0,
        left: [0; SMALL],
        left_start: 0,
        left_end: 0,
    }))
}

struct Decoding<R> {
    inner: R,
    decoder: Decoder,
    input: Vec<u8>,
    start: usize,
    end: usize,
    is_last: bool,
    is_done: bool,
    /// Marks for undecodable bytes that did not fit into the last output.
    marks: usize,
    /// Text that did not fit into the last output.
    left: [u8; SMALL],
    left_start: usize,
    left_end: usize,
}

/// An output shorter than this may not hold the next character; it is decoded aside.
const SMALL: usize = 16;

impl<R: Read> Decoding<R> {
    fn decode(&mut self, output: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.marks > 0 {
                self.marks -= 1;
                output[0] = UNDECODABLE;
                return Ok(1);
            }
            if self.is_done {
                return Ok(0);
            }
            if self.start == self.end && !self.is_last {
                self.start = 0;
                self.end = self.inner.read(&mut self.input)?;
                self.is_last = self.end == 0;
            }
            let input = &self.input[self.start..self.end];
            let (result, read, written) =
                self.decoder.decode_to_utf8_without_replacement(input, output, self.is_last);
            self.start += read;
            match result {
                DecoderResult::InputEmpty => self.is_done = self.is_last,
                DecoderResult::OutputFull => {}
                DecoderResult::Malformed(..) => self.marks += 1,
            }
            if written > 0 {
                return Ok(written);
            }
        }
    }
}

impl<R: Read> Read for Decoding<R> {
    fn read(&mut self, output: &mut [u8]) -> io::Result<usize> {
        if output.is_empty() {
            return Ok(0);
        }
        if self.left_start == self.left_end {
            if output.len() >= SMALL {
                return self.decode(output);
            }
            let mut aside = [0; SMALL];
            (self.left_start, self.left_end) = (0, self.decode(&mut aside)?);
            self.left = aside;
        }
        let n = output.len().min(self.left_end - self.left_start);
        output[..n].copy_from_slice(&self.left[self.left_start..self.left_start + n]);
        self.left_start += n;
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(bytes: &[u8], label: &str) -> Vec<u8> {
        let encoding = Encoding::for_label(label.as_bytes()).unwrap();
        let mut text = Vec::new();
        utf8(bytes, encoding).unwrap().read_to_end(&mut text).unwrap();
        text
    }

    #[test]
    fn encodings_and_byte_order_marks_give_the_same_text() {
        let text = "ä,€\n";
        let utf16 = |mark: &[u8], bytes: fn(u16) -> [u8; 2]| {
            [mark.to_vec(), text.encode_utf16().flat_map(bytes).collect()].concat()
        };
        for (bytes, label) in [
            (text.as_bytes().to_vec(), "utf-8"),
            (format!("\u{feff}{text}").into_bytes(), "latin1"),
            (b"\xe4,\x80\n".to_vec(), "windows-1252"),
            (b"\xe4,\xa4\n".to_vec(), "iso-8859-15"),
            (utf16(&[0xFF, 0xFE], u16::to_le_bytes), "utf-8"),
            (utf16(&[0xFE, 0xFF], u16::to_be_bytes), "utf-8"),
            (utf16(&[], u16::to_le_bytes), "utf-16"),
        ] {
            assert_eq!(decoded(&bytes, label), text.as_bytes(), "{label} {bytes:?}");
        }
        assert_eq!(decoded(b"", "utf-16"), b"");
        assert_eq!(decoded(b"ab", "utf-8"), b"ab");
    }

    #[test]
    fn a_byte_at_a_time_is_the_same_text() {
        let bytes: Vec<u8> = "ä,€𝄞\n".encode_utf16().flat_map(u16::to_le_bytes).chain([b'x']).collect();
        let mut reader = utf8(&bytes[..], Encoding::for_label(b"utf-16le").unwrap()).unwrap();
        let mut text = Vec::new();
        let mut byte = [0];
        while reader.read(&mut byte).unwrap() == 1 {
            text.push(byte[0]);
        }
        assert_eq!(text, "ä,€𝄞\n".bytes().chain([0xFF]).collect::<Vec<_>>());
    }

    #[test]
    fn what_cannot_be_decoded_leaves_a_mark() {
        assert_eq!(decoded(b"a\x81\x20b", "shift_jis"), b"a\xff b");
        assert_eq!(decoded(b"a\0\0\xd8b\0", "utf-16"), b"a\xffb");
        assert_eq!(decoded(b"a\0b", "utf-16"), b"a\xff");
    }
}

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use flate2::Crc;
use flate2::read::DeflateDecoder;
use zip::{CompressionMethod, ZipArchive};

use super::unpack::{Counted, Progress};

/// Where one file of a zip archive lies, so that it can be streamed without the archive.
#[derive(Clone, Debug)]
pub(super) struct ZipEntry {
    pub name: String,
    start: u64,
    pub bytes: u64,
    crc32: u32,
    is_deflated: bool,
}

/// The files of an archive, in the archive's order.
pub(super) fn list(path: &Path) -> io::Result<Vec<ZipEntry>> {
    let mut archive = ZipArchive::new(File::open(path)?)?;
    let mut entries = Vec::with_capacity(archive.len());
    for index in 0..archive.len() {
        let file = archive.by_index_raw(index)?;
        if !file.is_file() {
            continue;
        }
        let name = file.name()?.into_owned();
        let is_deflated = match file.compression() {
            _ if file.encrypted() => return Err(unsupported(&name, "is encrypted")),
            CompressionMethod::Stored => false,
            CompressionMethod::Deflated => true,
            other => return Err(unsupported(&name, &format!("is packed as {other}"))),
        };
        let start = file.data_start().ok_or_else(|| unsupported(&name, "has no data"))?;
        entries.push(ZipEntry {
            name,
            start,
            bytes: file.compressed_size(),
            crc32: file.crc32(),
            is_deflated,
        });
    }
    Ok(entries)
}

/// The bytes of an entry. A wrong checksum is an error at the end.
pub(super) fn open(
    mut archive: File,
    entry: &ZipEntry,
    progress: Progress,
) -> io::Result<Box<dyn Read + Send>> {
    archive.seek(SeekFrom::Start(entry.start))?;
    let packed = Counted { inner: archive, progress }.take(entry.bytes);
    let packed = io::BufReader::with_capacity(128 * 1024, packed);
    Ok(if entry.is_deflated {
        Box::new(Checked { inner: DeflateDecoder::new(packed), crc: Crc::new(), expected: entry.crc32 })
    } else {
        Box::new(Checked { inner: packed, crc: Crc::new(), expected: entry.crc32 })
    })
}

fn unsupported(name: &str, what: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::Unsupported,
        format!("{name} in the archive {what}; unpack the archive first"),
    )
}

struct Checked<R> {
    inner: R,
    crc: Crc,
    expected: u32,
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        if n == 0 && !buffer.is_empty() && self.crc.sum() != self.expected {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the archive is damaged: a checksum does not match",
            ));
        }
        self.crc.update(&buffer[..n]);
        Ok(n)
    }
}

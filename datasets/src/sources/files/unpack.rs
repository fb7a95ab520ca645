use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::read::MultiGzDecoder;

use super::locate::InputFile;
use super::zip_entry;

/// Compressed bytes taken from all files so far.
pub(super) type Progress = Arc<AtomicU64>;

/// The bytes of a file, unpacked while they are read.
pub(super) fn open(input: &InputFile, progress: &Progress) -> io::Result<Box<dyn Read + Send>> {
    let file = File::open(&input.path)?;
    if let Some(entry) = &input.entry {
        return zip_entry::open(file, entry, Arc::clone(progress));
    }
    let counted = Counted { inner: file, progress: Arc::clone(progress) };
    if input.is_gzip {
        Ok(Box::new(MultiGzDecoder::new(io::BufReader::with_capacity(128 * 1024, counted))))
    } else {
        Ok(Box::new(counted))
    }
}

/// Counts what passes.
pub(super) struct Counted<R> {
    pub inner: R,
    pub progress: Progress,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.progress.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}

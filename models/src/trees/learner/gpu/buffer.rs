use cubecl::bytes::Bytes;
use cubecl::client::ComputeClient;
use cubecl::prelude::{ArrayArg, Runtime};
use cubecl::server::Handle;

use super::GpuError;

/// An array of 32-bit words on the device.
#[derive(Clone)]
pub(in crate::trees) struct Buffer {
    handle: Handle,
    len: usize,
}

impl Buffer {
    /// Words of any content. A device has no empty buffers: one word is the least.
    pub fn empty<R: Runtime>(client: &ComputeClient<R>, len: usize) -> Self {
        let len = len.max(1);
        Self { handle: client.empty(len * size_of::<u32>()), len }
    }

    /// A copy of these words, of a single zero if there are none.
    pub fn upload<R: Runtime>(client: &ComputeClient<R>, mut words: Vec<u32>) -> Self {
        if words.is_empty() {
            words.push(0);
        }
        let len = words.len();
        Self { handle: client.create(Bytes::from_elems(words)), len }
    }

    /// A copy of these numbers' bits.
    pub fn upload_floats<R: Runtime>(client: &ComputeClient<R>, numbers: &[f32]) -> Self {
        Self::upload(client, numbers.iter().map(|number| number.to_bits()).collect())
    }

    /// As an argument of a kernel.
    pub fn arg<R: Runtime>(&self) -> ArrayArg<R> {
        // SAFETY: the handle was made for this many words.
        unsafe { ArrayArg::from_raw_parts(self.handle.clone(), self.len) }
    }

    /// Waits for all launched work and brings the words back. Errors of launches come to light here:
    /// a read alone does not report them.
    pub fn download<R: Runtime>(&self, client: &ComputeClient<R>) -> Result<Vec<u32>, GpuError> {
        Self::download_all(client, &[self]).map(|mut all| all.pop().unwrap_or_default())
    }

    /// Several at once, for one wait.
    pub fn download_all<R: Runtime>(
        client: &ComputeClient<R>,
        buffers: &[&Self],
    ) -> Result<Vec<Vec<u32>>, GpuError> {
        let failed = |error: cubecl::server::ServerError| GpuError::Device { reason: first_line(&error) };
        client.flush().map_err(failed)?;
        let handles = buffers.iter().map(|buffer| buffer.handle.clone()).collect();
        let all = cubecl::future::block_on(client.read_async(handles)).map_err(failed)?;
        Ok(all.iter().map(|bytes| words(bytes)).collect())
    }

    /// Some of the words.
    pub fn slice(&self, first: usize, len: usize) -> Self {
        let bytes = |words: usize| (words * size_of::<u32>()) as u64;
        let handle = self.handle.clone().offset_start(bytes(first));
        Self { handle: handle.offset_end(bytes(self.len - first - len)), len }
    }
}

fn words(bytes: &[u8]) -> Vec<u32> {
    bytes.as_chunks().0.iter().map(|word| u32::from_ne_bytes(*word)).collect()
}

/// Runtimes append a backtrace to what they say.
fn first_line(error: &cubecl::server::ServerError) -> String {
    let text = error.to_string();
    let said: Vec<&str> =
        text.lines().map(str::trim).take_while(|line| !line.starts_with("Backtrace")).collect();
    said.join(" ")
}

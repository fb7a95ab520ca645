//! Random matrices and a device for the tests.

#![allow(clippy::unwrap_used)]

use std::panic::catch_unwind;

use cubecl::client::ComputeClient;
use cubecl::prelude::Runtime;
use cubecl::wgpu::{WgpuDevice, WgpuRuntime};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::GpuRows;
use crate::trees::learner::layout::{Layout, Slot};

/// A Vulkan device, or a line that says why the test cannot run.
pub(in crate::trees) fn client_or_skip(test: &str) -> Option<ComputeClient<WgpuRuntime>> {
    let found = catch_unwind(|| WgpuRuntime::client(&WgpuDevice::Cpu));
    if found.is_err() {
        println!("SKIPPED {test}: no Vulkan driver shows a device");
    }
    found.ok()
}

/// Rows and what a layout says of them.
pub(super) struct Data {
    pub layout: Layout,
    pub bins: Vec<u8>,
    pub pairs: Vec<u32>,
}

/// The layout of features with these numbers of bins, in this order: narrow ones first.
pub(super) fn layout(n_bins: &[usize]) -> Layout {
    let n_narrow = n_bins.iter().take_while(|&&n| n <= 256).count();
    let (mut byte, mut first_bin) = (0_usize, 0);
    let slots = n_bins.iter().enumerate().map(|(feature, &n_bins)| {
        if feature == n_narrow {
            byte = byte.next_multiple_of(2);
        }
        let slot = Slot { feature, byte, first_bin, n_bins };
        let is_narrow = feature < n_narrow;
        byte += if is_narrow { 1 } else { 2 };
        first_bin += if is_narrow { 256 } else { n_bins };
        slot
    });
    let slots: Vec<Slot> = slots.collect();
    let stride = byte.max(1).next_multiple_of(2);
    Layout { stride, slots, n_narrow, n_bins: first_bin }
}

impl Data {
    /// Random rows. Half of all bins are the first: real data have such features, and sums of them
    /// meet in one place.
    pub fn random(seed: u64, n_rows: usize, n_bins: &[usize]) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let layout = layout(n_bins);
        let mut bins = vec![0; n_rows * layout.stride];
        for row in bins.chunks_exact_mut(layout.stride) {
            for (place, slot) in layout.slots.iter().enumerate() {
                let bin = if random.random() { 0 } else { random.random_range(0..slot.n_bins) };
                row[slot.byte] = bin as u8;
                if place >= layout.n_narrow {
                    row[slot.byte + 1] = (bin >> 8) as u8;
                }
            }
        }
        let pairs = (0..n_rows).map(|_| pair(random.random(), random.random_range(0..32_768))).collect();
        Self { layout, bins, pairs }
    }

    pub fn rows(&self, client: ComputeClient<WgpuRuntime>) -> GpuRows<WgpuRuntime> {
        let mut rows = GpuRows::new(client, self.layout.clone(), &self.bins).unwrap();
        rows.start(self.pairs.clone()).unwrap();
        rows
    }
}

pub(super) fn pair(gradient: i16, hessian: u16) -> u32 {
    u32::from(gradient as u16) << 16 | u32::from(hessian)
}

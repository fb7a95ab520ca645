//! What the machine does while a run goes on: CPU, memory, disk, network and GPUs.

mod sampler;

mod host;

mod gpu;

pub use sampler::{Sampler, SamplerOptions};

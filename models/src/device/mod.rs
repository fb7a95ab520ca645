//! Devices: which there are, which work, which to take. What differs between kinds of devices
//! (drivers, names, Burn's backends) lives here only.

mod backend;
mod choice;
mod cuda;
mod probe;
mod trial;
mod vulkan;

pub use choice::{Device, DeviceChoice, DeviceError};
pub use probe::{DeviceReport, choose, probe};
pub(crate) use trial::panic_text;

#[cfg(test)]
pub(crate) mod tests;

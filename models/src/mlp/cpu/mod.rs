//! The network on this machine's cores, in plain Rust: the reference that every other way of
//! scoring is compared with.
//!
//! Every output of a dense layer is `bias + x[0] w[0] + x[1] w[1] + ...`, one fused multiply-add
//! per term, in this order, on every processor. So a row's scores are the same bits whatever
//! batch it is in, whatever its place there, and whichever of the instruction sets below computes
//! it.

mod dense;
mod lanes;
mod predictor;
mod tile;

pub use predictor::CpuMlp;

#[cfg(test)]
mod tests;

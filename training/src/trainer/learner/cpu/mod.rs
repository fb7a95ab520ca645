//! The network's training on this machine's cores, in plain Rust: products by `gemm`, everything
//! between two products in one pass over memory, all parameters in one buffer.
//!
//! Burn on the same cores spends more time on dropout's random numbers, on AdamW's dozen passes
//! over the parameters and on memory for each result than on the products (docs/benchmarks.md).
//! The tests hold both learners to the same gradients and steps.
//!
//! Sums run over pieces of fixed size in a fixed order, so the number of threads changes nothing
//! outside of `gemm`, whose sums do not depend on it either.

mod adamw;
mod dropout;
mod layout;
mod loss;
mod network;
mod norm;
mod passes;
mod product;
mod state;
#[cfg(test)]
mod tests;

pub use state::CpuLearner;

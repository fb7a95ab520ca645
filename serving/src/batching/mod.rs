//! Gathers jobs of many callers into batches: whatever waits when a thread becomes free is the
//! next batch, up to limits on rows and bytes. No timer, so an idle server adds no delay.
//!
//! Jobs and the work on them are generic; nothing here knows HTTP, records or models.

mod batcher;
mod cost;
mod lane;
mod queue;
mod work;

#[cfg(test)]
mod tests;

pub use batcher::{BatchLimits, Batcher, Overloaded};
pub use lane::Lane;
pub use work::{BatchWork, Queued, Weight};

//! Scoring of whole files with a bundle: the batch side of what the server does a request at a
//! time, through the same plan and predictor.

mod score;

mod kept;

mod sink;

#[cfg(test)]
mod tests;

pub use score::{Scored, ScoringError, score_file};
pub use sink::rejected_path;

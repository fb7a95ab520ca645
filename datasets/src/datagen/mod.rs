//! Seeded generators of sample data.

mod card_fraud;
mod write;

pub use card_fraud::{CardFraud, CardFraudConfig};
pub use write::{DatagenError, write_card_fraud};

use std::time::{Duration, Instant};

/// Spreads a number of rows per second evenly over time, whatever comes: rows are paid for with
/// what has gathered since the last were, one second's worth at most.
#[derive(Clone, Copy, Debug)]
pub struct RowBudget {
    /// Time that pays for one row; none: no row is ever paid for.
    price: Option<Duration>,
    paid_until: Instant,
}

impl RowBudget {
    /// Room for `rows_per_second`, with nothing gathered yet.
    pub fn new(rows_per_second: u32, now: Instant) -> Self {
        let price = (rows_per_second > 0).then(|| Duration::from_secs(1) / rows_per_second);
        Self { price, paid_until: now }
    }

    /// How many of `n_rows` may be looked at now.
    pub fn take(&mut self, n_rows: usize, now: Instant) -> usize {
        let Some(price) = self.price else { return 0 };
        let saved = now.saturating_duration_since(self.paid_until);
        if saved < price {
            return 0;
        }
        if saved > Duration::from_secs(1) {
            self.paid_until = now - Duration::from_secs(1);
        }
        let saved = now.saturating_duration_since(self.paid_until);
        let affordable = (saved.as_nanos() / price.as_nanos().max(1)).min(n_rows as u128) as u32;
        self.paid_until += price * affordable;
        affordable as usize
    }
}

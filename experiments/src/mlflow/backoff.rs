use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::config::MlflowConfig;

/// Growing waits between attempts, each spread by half so that many clients do not come at once.
pub(super) struct Backoff {
    first: Duration,
    max: Duration,
    attempt: u32,
    jitter: StdRng,
}

impl Backoff {
    pub(super) fn new(config: &MlflowConfig) -> Self {
        Self {
            first: config.backoff_first,
            max: config.backoff_max,
            attempt: 0,
            jitter: StdRng::seed_from_u64(config.jitter_seed),
        }
    }

    /// The wait before the next attempt.
    pub(super) fn next(&mut self) -> Duration {
        let full = self.first.saturating_mul(1 << self.attempt.min(20)).min(self.max);
        self.attempt += 1;
        full.mul_f64(self.jitter.random_range(0.5..1.0))
    }

    /// Starts over after a success.
    pub(super) fn reset(&mut self) {
        self.attempt = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_up_to_their_limit_and_differ() {
        let config = MlflowConfig::new(url::Url::parse("http://a").unwrap());
        let mut backoff = Backoff::new(&config);
        let waits: Vec<Duration> = (0..12).map(|_| backoff.next()).collect();
        assert!(waits[0] >= Duration::from_millis(250) && waits[0] < Duration::from_millis(500));
        assert!(waits[4] >= Duration::from_secs(4) && waits[4] < Duration::from_secs(8));
        assert!(waits[11] <= Duration::from_secs(30) && waits[11] >= Duration::from_secs(15));
        assert!(waits[10] != waits[11]);
        backoff.reset();
        assert!(backoff.next() < Duration::from_millis(500));
    }
}

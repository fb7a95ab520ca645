use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;

/// Memory that the bodies of all requests under way may fill together.
pub struct BodyBudget {
    used: AtomicUsize,
    max: usize,
}

/// A part of the budget, given back when dropped.
pub struct Reserved {
    budget: Arc<BodyBudget>,
    n_bytes: usize,
}

impl BodyBudget {
    /// Room for `max` bytes.
    pub fn new(max: usize) -> Arc<Self> {
        Arc::new(Self { used: AtomicUsize::new(0), max })
    }

    /// Sets room aside for a body; none: there is not enough left.
    pub fn reserve(self: &Arc<Self>, n_bytes: usize) -> Option<Reserved> {
        let mut reserved = Reserved { budget: self.clone(), n_bytes: 0 };
        reserved.grow_to(n_bytes).then_some(reserved)
    }
}

impl Reserved {
    /// Sets more aside; false, and all as before: there is not enough left.
    pub fn grow_to(&mut self, n_bytes: usize) -> bool {
        let more = n_bytes.saturating_sub(self.n_bytes);
        let before = self.budget.used.fetch_add(more, Ordering::Relaxed);
        let fits = before + more <= self.budget.max;
        if fits {
            self.n_bytes += more;
        } else {
            self.budget.used.fetch_sub(more, Ordering::Relaxed);
        }
        fits
    }

    /// The body that the room is for; it is given back with the last copy of the body.
    pub fn hold(self, body: Bytes) -> Bytes {
        Bytes::from_owner(Held { body, _reserved: self })
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.n_bytes, Ordering::Relaxed);
    }
}

struct Held {
    body: Bytes,
    _reserved: Reserved,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.body
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_given_back_with_the_last_copy_of_a_body() {
        let budget = BodyBudget::new(10);
        let body = budget.reserve(7).unwrap().hold(Bytes::from_static(b"7 bytes"));
        let copy = body.slice(2..);
        drop(body);
        assert!(budget.reserve(4).is_none() && budget.reserve(3).is_some());
        assert_eq!(copy, "bytes");
        drop(copy);
        assert!(budget.reserve(10).is_some());
    }

    #[test]
    fn what_grows_too_large_keeps_what_it_had() {
        let budget = BodyBudget::new(10);
        let mut growing = budget.reserve(4).unwrap();
        let other = budget.reserve(4).unwrap();
        assert!(growing.grow_to(6) && !growing.grow_to(7));
        drop(other);
        assert!(growing.grow_to(10) && budget.reserve(1).is_none());
        drop(growing);
        assert!(budget.reserve(10).is_some());
    }
}

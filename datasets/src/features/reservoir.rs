use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// A uniform sample of rows without replacement, drawn while they stream past (Vitter's
/// algorithm R). The same seed draws the same rows, however they are cut into batches.
pub(crate) struct Reservoir {
    rng: StdRng,
    size: usize,
    n_seen: usize,
}

/// Row of the batch, and the slot of the sample that it takes.
pub(crate) type Chosen = Vec<(usize, usize)>;

impl Reservoir {
    /// A sample of at most `size` rows.
    pub(crate) fn new(size: usize, seed: u64) -> Self {
        Self { rng: StdRng::seed_from_u64(seed), size: size.max(1), n_seen: 0 }
    }

    /// Rows seen so far.
    pub(crate) fn n_seen(&self) -> usize {
        self.n_seen
    }

    /// Which of the next `n_rows` rows go into the sample, and where. A later one may take the
    /// place of an earlier one.
    pub(crate) fn choose(&mut self, n_rows: usize) -> Chosen {
        let mut chosen = Vec::new();
        for row in 0..n_rows {
            let slot =
                if self.n_seen < self.size { self.n_seen } else { self.rng.random_range(0..=self.n_seen) };
            if slot < self.size {
                chosen.push((row, slot));
            }
            self.n_seen += 1;
        }
        chosen
    }
}

/// Puts the chosen of `values` into their slots.
pub(crate) fn place(sample: &mut Vec<f64>, values: &[f64], chosen: &Chosen) {
    for &(row, slot) in chosen {
        match sample.get_mut(slot) {
            Some(value) => *value = values[row],
            None => sample.push(values[row]),
        }
    }
}

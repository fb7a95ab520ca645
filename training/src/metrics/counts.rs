use rayon::slice::ParallelSliceMut;

/// Rows in descending order of score, summed up at each distinct score.
pub(super) struct Ranking {
    points: Vec<Counts>,
    /// Weight of all positive rows.
    pub positive: f64,
    /// Weight of all negative rows.
    pub negative: f64,
}

/// Weight of the rows that score at least `threshold`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Counts {
    pub threshold: f64,
    pub true_positive: f64,
    pub false_positive: f64,
}

impl Counts {
    /// Share of positives among the rows taken for positive; 0 without such rows, as scikit-learn.
    pub fn precision(&self) -> f64 {
        let taken = self.true_positive + self.false_positive;
        if taken > 0.0 { self.true_positive / taken } else { 0.0 }
    }

    /// Share of the positives that are taken for positive; 0 without positives.
    pub fn recall(&self, positive: f64) -> f64 {
        if positive > 0.0 { self.true_positive / positive } else { 0.0 }
    }

    /// Harmonic mean of precision and recall; 0 where there are neither.
    pub fn f1(&self, positive: f64) -> f64 {
        let sum = self.true_positive + self.false_positive + positive;
        if sum > 0.0 { 2.0 * self.true_positive / sum } else { 0.0 }
    }
}

impl Ranking {
    /// `scores` must be finite. Rows of weight 0 are left out.
    pub fn new(
        n_rows: usize,
        score: impl Fn(usize) -> f32,
        positive: impl Fn(usize) -> bool,
        weight: impl Fn(usize) -> f64,
    ) -> Self {
        // Score and row in one word sort about three times as fast as rows by their scores.
        let mut order: Vec<u64> =
            (0..n_rows).map(|row| u64::from(!ordered_bits(score(row))) << 32 | row as u64).collect();
        order.par_sort_unstable();
        let mut points: Vec<Counts> = Vec::new();
        let mut sum = Counts::default();
        let mut last = None;
        for entry in order {
            let (key, row) = (entry >> 32, (entry & 0xFFFF_FFFF) as usize);
            let w = weight(row);
            if w == 0.0 {
                continue;
            }
            if last.is_some_and(|last| last != key) {
                points.push(sum);
            }
            last = Some(key);
            sum.threshold = f64::from(score(row));
            *(if positive(row) { &mut sum.true_positive } else { &mut sum.false_positive }) += w;
        }
        points.push(sum);
        Self { points, positive: sum.true_positive, negative: sum.false_positive }
    }

    /// Neighbouring points, beginning with (no row, the rows of the greatest score).
    pub fn steps(&self) -> impl Iterator<Item = (Counts, Counts)> + '_ {
        let before = std::iter::once(Counts::default()).chain(self.points.iter().copied());
        before.zip(self.points.iter().copied())
    }

    /// Greatest score of any row.
    pub fn greatest_score(&self) -> f32 {
        self.points.first().map_or(0.0, |point| point.threshold as f32)
    }

    /// The point where `badness` is least; the greatest threshold among equals. Taking no row for
    /// positive is among the candidates, with a threshold just above every score.
    pub fn least(&self, badness: impl Fn(&Counts) -> f64) -> Counts {
        let none = Counts { threshold: f64::from(self.greatest_score().next_up()), ..Counts::default() };
        let mut best = (badness(&none), none);
        for point in &self.points {
            let value = badness(point);
            if value < best.0 {
                best = (value, *point);
            }
        }
        best.1
    }

    /// Counts at any threshold.
    pub fn at(&self, threshold: f64) -> Counts {
        let reached = self.points.partition_point(|point| point.threshold >= threshold);
        let counts = if reached == 0 { Counts::default() } else { self.points[reached - 1] };
        Counts { threshold, ..counts }
    }
}

/// Bits that compare as the numbers do; -0 and 0 are the same.
fn ordered_bits(value: f32) -> u32 {
    let bits = (value + 0.0).to_bits();
    if bits >> 31 == 0 { bits | 1 << 31 } else { !bits }
}

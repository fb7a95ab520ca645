/// Settings that depend on how many rows there are to learn from, where the pipeline names none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BySize {
    /// Rows per step.
    pub batch_rows: usize,
    /// Share of hidden units dropped.
    pub dropout: f64,
}

impl BySize {
    /// Those of a table with so many training rows. On a small one a network learns the rows by heart within a few
    /// epochs; dropout and the noise of small batches hold that off.
    pub fn of(n_rows: usize) -> Self {
        match n_rows {
            0..10_000 => Self { batch_rows: 64, dropout: 0.5 },
            10_000..50_000 => Self { batch_rows: 256, dropout: 0.1 },
            _ => Self { batch_rows: 1_024, dropout: 0.1 },
        }
    }
}

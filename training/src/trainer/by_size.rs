/// Settings that depend on how many rows there are to learn from, where the pipeline names none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct BySize {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_begin_where_the_reference_says() {
        let of = |n_rows| BySize::of(n_rows);
        assert_eq!((of(9_999).batch_rows, of(9_999).dropout), (64, 0.5));
        assert_eq!((of(10_000).batch_rows, of(10_000).dropout), (256, 0.1));
        assert_eq!((of(49_999).batch_rows, of(50_000).batch_rows), (256, 1_024));
    }
}

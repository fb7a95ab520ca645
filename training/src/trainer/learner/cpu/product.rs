use gemm::Parallelism;

/// A matrix in memory, or its transpose.
#[derive(Clone, Copy)]
pub(super) struct Matrix<'a> {
    values: &'a [f32],
    n_rows: usize,
    n_columns: usize,
    row_stride: usize,
    column_stride: usize,
}

/// Multiply-adds from which a product is spread over all cores.
const PARALLEL_WORK_MIN: usize = 1_000_000;

impl<'a> Matrix<'a> {
    /// `[n_rows, n_columns]`, row after row.
    pub fn new(values: &'a [f32], n_rows: usize, n_columns: usize) -> Self {
        Self { values, n_rows, n_columns, row_stride: n_columns, column_stride: 1 }
    }

    pub fn transposed(self) -> Self {
        Self {
            n_rows: self.n_columns,
            n_columns: self.n_rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }

    /// The columns from `first` on.
    pub fn columns_from(self, first: usize) -> Self {
        Self { values: &self.values[first * self.column_stride..], n_columns: self.n_columns - first, ..self }
    }

    /// The product with `right` into `out`, `[n_rows, right.n_columns]` row after row; added to what
    /// is there if `add`.
    pub fn times(self, right: Matrix<'_>, out: &mut [f32], add: bool) {
        let (m, n, k) = (self.n_rows, right.n_columns, self.n_columns);
        self.check();
        right.check();
        assert!(right.n_rows == k && out.len() == m * n, "sizes of a product fit");
        let parallel = if m * n * k < PARALLEL_WORK_MIN { Parallelism::None } else { Parallelism::Rayon(0) };
        // SAFETY: `check` holds every element of both operands within its slice, and `out` has m x n.
        unsafe {
            gemm::gemm(
                m,
                n,
                k,
                out.as_mut_ptr(),
                1,
                n as isize,
                add,
                self.values.as_ptr(),
                self.column_stride as isize,
                self.row_stride as isize,
                right.values.as_ptr(),
                right.column_stride as isize,
                right.row_stride as isize,
                1.0,
                1.0,
                false,
                false,
                false,
                parallel,
            );
        }
    }

    fn check(self) {
        let last = |n: usize, stride: usize| n.saturating_sub(1) * stride;
        let reach = last(self.n_rows, self.row_stride) + last(self.n_columns, self.column_stride);
        let empty = self.n_rows == 0 || self.n_columns == 0;
        assert!(empty || reach < self.values.len(), "a matrix lies within its values");
    }
}

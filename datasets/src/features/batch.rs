/// Rows as a model reads them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FeatureBatch {
    /// Rows in the batch.
    pub n_rows: usize,
    /// Numeric features per row.
    pub n_numeric: usize,
    /// Categorical features per row.
    pub n_categorical: usize,
    /// Numbers, row-major `[n_rows, n_numeric]`: finite, or NaN where a raw one is missing.
    pub numeric: Vec<f32>,
    /// Category codes, row-major `[n_rows, n_categorical]`, each below its feature's cardinality.
    pub categorical: Vec<u32>,
}

/// Rows of the feature table: what a model reads and what it is to learn.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LabelledBatch {
    /// Model input.
    pub features: FeatureBatch,
    /// Class index, value or count per row.
    pub labels: Vec<f32>,
    /// Weight per row, where the schema declares one.
    pub weights: Option<Vec<f32>>,
    /// A number for each row that is the same within a list to be ranked, where the schema declares groups.
    pub groups: Option<Vec<u64>>,
}

use arrow::record_batch::RecordBatch;
use cupola_datasets::features::{FeatureTable, LabelledBatch};
use cupola_datasets::lake::{LakeError, ScanOptions};
use cupola_datasets::{FittedPlan, Lake, TableVersion};

use super::TrainError;
use super::rows::{RowBatches, TrainingRows};
use crate::split::Part;

/// Rows per record batch read from the table.
const BATCH_ROWS: usize = 16_384;

/// The feature table of the lake.
pub struct LakeRows<'a> {
    lake: &'a Lake,
    version: &'a TableVersion,
    plan: &'a FittedPlan,
    n_rows: [usize; 3],
}

impl<'a> LakeRows<'a> {
    /// Opens one version of a feature table that was encoded with `plan`.
    ///
    /// # Errors
    /// The table cannot be read.
    pub fn open(lake: &'a Lake, version: &'a TableVersion, plan: &'a FittedPlan) -> Result<Self, TrainError> {
        let mut n_rows = [0; 3];
        for file in lake.files(version)? {
            let value = file.partition.get(FeatureTable::PART).and_then(Option::as_deref);
            let part = [Part::Train, Part::Validation, Part::Test]
                .into_iter()
                .find(|part| Some(part.name()) == value);
            if let Some(part) = part {
                n_rows[part as usize] += file.n_rows as usize;
            }
        }
        Ok(Self { lake, version, plan, n_rows })
    }

    fn decode(&self, batch: Result<RecordBatch, LakeError>) -> Result<LabelledBatch, TrainError> {
        Ok(FeatureTable::decode(self.plan, &batch?)?)
    }
}

impl TrainingRows for LakeRows<'_> {
    fn n_rows(&self, part: Part) -> Result<usize, TrainError> {
        Ok(self.n_rows[part as usize])
    }

    fn batches(&self, part: Part) -> Result<RowBatches<'_>, TrainError> {
        let part = Some((FeatureTable::PART.into(), part.name().into()));
        let scan =
            self.lake.scan(self.version, ScanOptions { columns: None, part, batch_rows: BATCH_ROWS })?;
        Ok(Box::new(scan.map(|batch| self.decode(batch))))
    }
}

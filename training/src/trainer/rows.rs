use cupola_datasets::features::LabelledBatch;

use super::TrainError;
use crate::split::Part;

/// Batches of labelled rows, one after the other.
pub type RowBatches<'a> = Box<dyn Iterator<Item = Result<LabelledBatch, TrainError>> + Send + 'a>;

/// A feature table as the trainer reads it: any number of passes, always in the same order.
pub trait TrainingRows: Send + Sync {
    /// Rows in a part.
    fn n_rows(&self, part: Part) -> Result<usize, TrainError>;

    /// One pass over a part, in batches of any size. Every pass gives the same rows in the same
    /// order: resuming after a crash depends on it.
    fn batches(&self, part: Part) -> Result<RowBatches<'_>, TrainError>;
}

/// Rows in memory, for tables that are made on the spot.
#[derive(Clone, Debug, Default)]
pub struct MemoryRows {
    /// Training rows.
    pub train: LabelledBatch,
    /// Rows that stop the training.
    pub validation: LabelledBatch,
    /// Rows that judge the model.
    pub test: LabelledBatch,
}

impl MemoryRows {
    fn part(&self, part: Part) -> &LabelledBatch {
        match part {
            Part::Train => &self.train,
            Part::Validation => &self.validation,
            Part::Test => &self.test,
        }
    }
}

impl TrainingRows for MemoryRows {
    fn n_rows(&self, part: Part) -> Result<usize, TrainError> {
        Ok(self.part(part).labels.len())
    }

    fn batches(&self, part: Part) -> Result<RowBatches<'_>, TrainError> {
        let rows = self.part(part);
        let whole = (!rows.labels.is_empty()).then(|| Ok(rows.clone()));
        Ok(Box::new(whole.into_iter()))
    }
}

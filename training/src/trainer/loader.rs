use crossbeam_channel::{Sender, bounded};
use cupola_datasets::features::LabelledBatch;
use cupola_models::Task;
use cupola_models::mlp::MlpShape;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};

use super::rows::TrainingRows;
use super::targets::{TargetSums, Targets};
use super::{TrainConfig, TrainError, block};
use crate::split::{Part, splitmix64};

/// Batches that wait for the network while it works on another.
const BATCHES_AHEAD: usize = 4;

/// Shuffled mini-batches of the training part. Their order depends on seed and epoch alone.
pub(super) struct Loader<'a> {
    table: &'a dyn TrainingRows,
    targets: &'a Targets,
    store: &'a Store,
    batch_rows: usize,
    seed: u64,
}

/// Where the training rows are between epochs.
pub(super) enum Store {
    /// In memory; each epoch shuffles all of them.
    Memory(LabelledBatch),
    /// In the table; each epoch reads them through a shuffle buffer of this many rows.
    Table {
        /// Rows in the buffer.
        buffer_rows: usize,
    },
}

/// Reads the training part once: checks every row, learns the targets, and keeps the rows if they
/// fit in `shuffle_mib_max`.
pub(super) fn open(
    table: &dyn TrainingRows,
    task: &Task,
    shape: &MlpShape,
    config: &TrainConfig,
) -> Result<(Store, Targets), TrainError> {
    let n_rows = table.n_rows(Part::Train)?;
    let mut sums = TargetSums::new(task, shape);
    let mut store: Option<Store> = None;
    for batch in table.batches(Part::Train)? {
        let batch = batch?;
        sums.add(&batch)?;
        let store = store.get_or_insert_with(|| Store::plan(&batch, n_rows, config.shuffle_mib_max));
        if let Store::Memory(rows) = store {
            block::append(rows, &batch);
        }
    }
    let targets = sums.finish(config.class_weights)?;
    let mut store = store.ok_or(TrainError::NoRows { part: Part::Train.name() })?;
    if let Store::Memory(rows) = &mut store {
        if u32::try_from(rows.labels.len()).is_err() {
            return Err(TrainError::TooManyRows { n_rows: rows.labels.len() });
        }
        targets.apply(rows);
    }
    Ok((store, targets))
}

impl Store {
    fn plan(first: &LabelledBatch, n_rows: usize, mib_max: usize) -> Self {
        let buffer_rows = (mib_max << 20) / block::row_bytes(first);
        if n_rows <= buffer_rows {
            Self::Memory(block::empty_like(first, n_rows))
        } else {
            Self::Table { buffer_rows: buffer_rows.max(1) }
        }
    }
}

impl<'a> Loader<'a> {
    pub fn new(
        table: &'a dyn TrainingRows,
        (store, targets): (&'a Store, &'a Targets),
        batch_rows: usize,
        seed: u64,
    ) -> Self {
        Self { table, targets, store, batch_rows, seed }
    }

    /// Passes the batches of an epoch to `consume`, in order; the next ones are put together on a
    /// thread of their own meanwhile.
    pub fn epoch(
        &self,
        epoch: usize,
        mut consume: impl FnMut(LabelledBatch) -> Result<(), TrainError>,
    ) -> Result<(), TrainError> {
        let (sender, receiver) = bounded(BATCHES_AHEAD);
        std::thread::scope(|scope| {
            let builder = std::thread::Builder::new().name("train-loader".into());
            let loader = builder.spawn_scoped(scope, || self.produce(epoch, sender));
            let loader = loader.map_err(|error| TrainError::Loader { reason: error.to_string() })?;
            let mut result = Ok(());
            for batch in &receiver {
                result = consume(batch);
                if result.is_err() {
                    break;
                }
            }
            // A loader that waits for room in the channel ends when the receiver is gone.
            drop(receiver);
            let loaded =
                loader.join().map_err(|_| TrainError::Loader { reason: "its thread panicked".into() })?;
            result.and(loaded)
        })
    }

    fn produce(&self, epoch: usize, sender: Sender<LabelledBatch>) -> Result<(), TrainError> {
        let mut rng = StdRng::seed_from_u64(splitmix64(epoch as u64, self.seed));
        match self.store {
            Store::Memory(rows) => {
                self.shuffle_all(rows, &mut rng, &sender);
                Ok(())
            }
            Store::Table { buffer_rows } => self.shuffle_streamed(*buffer_rows, &mut rng, &sender),
        }
    }

    fn shuffle_all(&self, rows: &LabelledBatch, rng: &mut StdRng, sender: &Sender<LabelledBatch>) {
        let mut order: Vec<u32> = (0..rows.labels.len() as u32).collect();
        order.shuffle(rng);
        for rows_of_batch in order.chunks(self.batch_rows) {
            // The training may have failed and gone.
            if sender.send(block::gather(rows, rows_of_batch)).is_err() {
                return;
            }
        }
    }

    /// Fills the buffer; then each further row takes the place of a random one, which goes out.
    fn shuffle_streamed(
        &self,
        buffer_rows: usize,
        rng: &mut StdRng,
        sender: &Sender<LabelledBatch>,
    ) -> Result<(), TrainError> {
        let mut shuffle: Option<ShuffleBuffer<'_>> = None;
        for batch in self.table.batches(Part::Train)? {
            let mut batch = batch?;
            self.targets.apply(&mut batch);
            let shuffle = shuffle
                .get_or_insert_with(|| ShuffleBuffer::new(&batch, buffer_rows, self.batch_rows, sender));
            for row in 0..batch.labels.len() {
                if shuffle.add(&batch, row, rng).is_err() {
                    return Ok(());
                }
            }
        }
        if let Some(shuffle) = shuffle {
            // Gone receivers are the training's own end.
            shuffle.finish(rng).ok();
        }
        Ok(())
    }
}

struct Gone;

struct ShuffleBuffer<'a> {
    rows: LabelledBatch,
    rows_max: usize,
    out: LabelledBatch,
    batch_rows: usize,
    sender: &'a Sender<LabelledBatch>,
}

impl<'a> ShuffleBuffer<'a> {
    fn new(
        like: &LabelledBatch,
        rows_max: usize,
        batch_rows: usize,
        sender: &'a Sender<LabelledBatch>,
    ) -> Self {
        let rows = block::empty_like(like, rows_max);
        Self { rows, rows_max, out: block::empty_like(like, batch_rows), batch_rows, sender }
    }

    fn add(&mut self, from: &LabelledBatch, row: usize, rng: &mut StdRng) -> Result<(), Gone> {
        if self.rows.labels.len() < self.rows_max {
            block::push(&mut self.rows, from, row);
            return Ok(());
        }
        let at = rng.random_range(0..self.rows_max);
        block::push(&mut self.out, &self.rows, at);
        block::replace(&mut self.rows, at, from, row);
        self.send_if(self.batch_rows)
    }

    fn finish(mut self, rng: &mut StdRng) -> Result<(), Gone> {
        let mut order: Vec<u32> = (0..self.rows.labels.len() as u32).collect();
        order.shuffle(rng);
        for row in order {
            block::push(&mut self.out, &self.rows, row as usize);
            self.send_if(self.batch_rows)?;
        }
        self.send_if(1)
    }

    /// Sends what has gathered if it is at least `n_rows`.
    fn send_if(&mut self, n_rows: usize) -> Result<(), Gone> {
        if self.out.labels.len() < n_rows {
            return Ok(());
        }
        let next = block::empty_like(&self.out, self.batch_rows);
        self.sender.send(std::mem::replace(&mut self.out, next)).map_err(|_| Gone)
    }
}

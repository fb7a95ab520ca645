use std::cell::RefCell;

use cupola_datasets::FeatureBatch;
use rayon::prelude::*;

use super::dense::{Dense, Rows};
use super::tile::InstructionSet;
use crate::mlp::{Link, MlpShape, MlpWeights, WeightsError};
use crate::predict::{PredictError, Predictor, Scores, Task};

/// The network on this machine's cores. Exact: a row's scores are the same bits in any batch.
///
/// Nothing is allocated per call but the scores; scratch memory is kept per thread and bounded by
/// `ROWS_PER_CHUNK` times the widest layer.
pub struct CpuMlp {
    shape: MlpShape,
    input_width: usize,
    embeddings: Vec<EmbeddingTable>,
    layers: Vec<Dense>,
    link: Link,
}

/// One vector per code, `[cardinality, width]`.
struct EmbeddingTable {
    width: usize,
    values: Vec<f32>,
}

/// Rows that pass all layers together: their activations stay in the second-level cache. A
/// multiple of the rows of every register tile (8 and 6).
const ROWS_PER_CHUNK: usize = 96;

/// Multiply-adds from which a batch is spread over all cores. Below (about 100 microseconds of
/// one core), waking another costs more than it brings.
const PARALLEL_WORK_MIN: usize = 6_000_000;

thread_local! {
    static SCRATCH: RefCell<[Vec<f32>; 2]> = const { RefCell::new([Vec::new(), Vec::new()]) };
}

impl CpuMlp {
    /// Packs the weights for this processor.
    pub fn new(shape: &MlpShape, weights: &MlpWeights, task: &Task) -> Result<Self, WeightsError> {
        Self::with_instructions(shape, weights, task, InstructionSet::detect())
    }

    pub(super) fn with_instructions(
        shape: &MlpShape,
        weights: &MlpWeights,
        task: &Task,
        set: InstructionSet,
    ) -> Result<Self, WeightsError> {
        weights.check(shape)?;
        let embeddings = (0..shape.cardinalities.len())
            .map(|j| {
                let width = shape.embedding_width(j);
                let tensor =
                    weights.sized(&format!("embedding.{j}.weight"), &[shape.cardinalities[j], width])?;
                Ok(EmbeddingTable { width, values: tensor.values.clone() })
            })
            .collect::<Result<_, WeightsError>>()?;
        let layers = shape
            .dense()
            .iter()
            .map(|layer| Dense::new(layer, weights, set))
            .collect::<Result<_, WeightsError>>()?;
        Ok(Self {
            shape: shape.clone(),
            input_width: shape.input_width(),
            embeddings,
            layers,
            link: Link::new(task, weights.output_scale()),
        })
    }

    fn work_per_row(&self) -> usize {
        self.layers.iter().map(Dense::work_per_row).sum()
    }

    /// Scores the rows from `first` on, as many as `out` has room for.
    fn chunk(&self, batch: &FeatureBatch, first: usize, out: &mut [f32]) {
        SCRATCH.with_borrow_mut(|[current, next]| {
            let n_rows = out.len() / self.shape.n_outputs;
            let widest = self.layers.iter().map(Dense::stride).fold(self.input_width, usize::max);
            for buffer in [&mut *current, &mut *next] {
                if buffer.len() < n_rows * widest {
                    buffer.resize(n_rows * widest, 0.0);
                }
            }
            self.gather(batch, first, n_rows, current);
            let mut stride = self.input_width;
            for layer in &self.layers {
                let input = Rows { values: &current[..n_rows * stride], n_rows, stride };
                layer.forward(input, &mut next[..n_rows * layer.stride()]);
                std::mem::swap(current, next);
                stride = layer.stride();
            }
            for (scores, raw) in out.chunks_exact_mut(self.shape.n_outputs).zip(current.chunks_exact(stride))
            {
                scores.copy_from_slice(&raw[..self.shape.n_outputs]);
            }
        });
        self.link.apply(out, self.shape.n_outputs);
    }

    /// Joins numbers and embeddings into the first layer's input.
    fn gather(&self, batch: &FeatureBatch, first: usize, n_rows: usize, into: &mut [f32]) {
        let n_categorical = self.embeddings.len();
        for (i, x) in into.chunks_exact_mut(self.input_width).take(n_rows).enumerate() {
            let row = first + i;
            let (numbers, mut embedded) = x.split_at_mut(self.shape.n_numeric);
            numbers.copy_from_slice(&batch.numeric[row * self.shape.n_numeric..][..self.shape.n_numeric]);
            let codes = &batch.categorical[row * n_categorical..][..n_categorical];
            for (table, &code) in self.embeddings.iter().zip(codes) {
                let (to, rest) = embedded.split_at_mut(table.width);
                to.copy_from_slice(&table.values[code as usize * table.width..][..table.width]);
                embedded = rest;
            }
        }
    }
}

impl Predictor for CpuMlp {
    fn predict(&self, batch: &FeatureBatch) -> Result<Scores, PredictError> {
        self.shape.check_batch(batch)?;
        let mut values = vec![0.0; batch.n_rows * self.shape.n_outputs];
        let chunk = ROWS_PER_CHUNK * self.shape.n_outputs;
        let score = |(i, out): (usize, &mut [f32])| self.chunk(batch, i * ROWS_PER_CHUNK, out);
        if batch.n_rows * self.work_per_row() < PARALLEL_WORK_MIN {
            values.chunks_mut(chunk).enumerate().for_each(score);
        } else {
            values.par_chunks_mut(chunk).enumerate().for_each(score);
        }
        Ok(Scores { n_outputs: self.shape.n_outputs, values })
    }
}

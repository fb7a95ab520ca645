use std::path::Path;

use cupola_datasets::features::LabelledBatch;
use cupola_models::Task;
use cupola_models::mlp::{MlpShape, MlpWeights, WeightTensor};

use super::adamw::Parameters;
use super::layout::Layout;
use super::loss::loss_and_gradient;
use super::network::Passes;
use crate::split::splitmix64;
use crate::trainer::TrainError;
use crate::trainer::learner::{Learner, Settings};

/// A network that learns on this machine's cores.
pub struct CpuLearner {
    task: Task,
    layout: Layout,
    dropout: f64,
    settings: Settings,
    parameters: Parameters,
    gradient: Vec<f32>,
    passes: Passes,
}

const STATE: &str = "state.safetensors";

impl CpuLearner {
    /// Starts from these weights.
    pub fn new(
        shape: &MlpShape,
        task: &Task,
        weights: &MlpWeights,
        settings: Settings,
    ) -> Result<Self, TrainError> {
        weights.check(shape)?;
        let layout = Layout::new(shape);
        let parameters = Parameters::new(layout.flatten(weights)?);
        Ok(Self {
            task: task.clone(),
            dropout: shape.dropout(),
            settings,
            gradient: vec![0.0; parameters.values.len()],
            layout,
            parameters,
            passes: Passes::default(),
        })
    }

    /// Loss of a batch and the gradient of all parameters.
    pub(super) fn gradient(&mut self, batch: &LabelledBatch, dropout: f64) -> (f64, &[f32]) {
        let key = splitmix64(self.parameters.n_steps, self.settings.seed);
        let values = &self.parameters.values;
        let raw = self.passes.forward(&self.layout, values, &batch.features, Some((dropout, key)));
        let loss = loss_and_gradient(&self.task, raw, batch);
        self.passes.backward(&self.layout, values, &batch.features, &mut self.gradient);
        (loss, &self.gradient)
    }
}

impl Learner for CpuLearner {
    /// Dropout depends on the number of steps alone.
    fn start_epoch(&mut self, _: usize) {}

    fn step(&mut self, batch: &LabelledBatch, rate: f64) -> Result<f64, TrainError> {
        // One entry into the thread pool per step, instead of one per product and pass.
        Ok(rayon::scope(|_| {
            let (loss, _) = self.gradient(batch, self.dropout);
            if loss.is_finite() {
                self.parameters.step(&self.gradient, rate, &self.settings);
            }
            loss
        }))
    }

    fn loss(&mut self, batch: &LabelledBatch) -> Result<f64, TrainError> {
        Ok(rayon::scope(|_| {
            let raw = self.passes.forward(&self.layout, &self.parameters.average, &batch.features, None);
            loss_and_gradient(&self.task, raw, batch)
        }))
    }

    fn weights(&self) -> Result<MlpWeights, TrainError> {
        Ok(self.layout.weights(&self.parameters.average))
    }

    fn save(&self, dir: &Path) -> std::io::Result<()> {
        let p = &self.parameters;
        let mut state = MlpWeights::default();
        for (name, values) in [
            ("values", &p.values),
            ("first", &p.moments[0]),
            ("second", &p.moments[1]),
            ("average", &p.average),
        ] {
            state.insert(name, WeightTensor { shape: vec![values.len()], values: values.clone() });
        }
        // Two halves that f32 holds exactly, up to 2^48 steps.
        let steps = vec![(p.n_steps >> 24) as f32, (p.n_steps & 0xFF_FFFF) as f32];
        state.insert("steps", WeightTensor { shape: vec![2], values: steps });
        let bytes = state.to_safetensors().map_err(std::io::Error::other)?;
        std::fs::write(dir.join(STATE), bytes)
    }

    fn load(&mut self, dir: &Path) -> Option<()> {
        let state = MlpWeights::from_safetensors(&std::fs::read(dir.join(STATE)).ok()?).ok()?;
        let n = self.gradient.len();
        let read = |name: &str, n: usize| {
            state.get(name).map(|tensor| tensor.values.clone()).filter(|values| values.len() == n)
        };
        let steps = read("steps", 2)?;
        self.parameters = Parameters {
            values: read("values", n)?,
            moments: [read("first", n)?, read("second", n)?],
            average: read("average", n)?,
            n_steps: ((steps[0] as u64) << 24) | steps[1] as u64,
        };
        Some(())
    }
}

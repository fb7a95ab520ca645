use std::path::Path;

use burn::backend::Autodiff;
use burn::module::{AutodiffModule, Module};
use burn::optim::adaptor::OptimizerAdaptor;
use burn::optim::{AdamW, AdamWConfig, GradientsParams, Optimizer};
use burn::record::{BinFileRecorder, FullPrecisionSettings, Recorder};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use burn::{Dispatch, DispatchDevice};
use cupola_datasets::features::LabelledBatch;
use cupola_models::mlp::{Mlp, MlpShape, MlpWeights, input_tensors};
use cupola_models::{Device, Task};

use super::{Learner, Settings, averaging_rate, optimiser};
use crate::split::splitmix64;
use crate::trainer::TrainError;
use crate::trainer::loss::loss;

type Training = Autodiff<Dispatch>;
type Files = BinFileRecorder<FullPrecisionSettings>;

/// A network that learns on any Burn device.
pub struct BurnLearner {
    task: Task,
    device: DispatchDevice,
    network: Mlp<Training>,
    average: Mlp<Dispatch>,
    optimiser: OptimizerAdaptor<AdamW, Mlp<Training>, Training>,
    settings: Settings,
    n_steps: u64,
}

impl BurnLearner {
    /// Starts from these weights.
    pub fn new(
        shape: &MlpShape,
        task: &Task,
        weights: &MlpWeights,
        settings: Settings,
        device: Device,
    ) -> Result<Self, TrainError> {
        let device = device.burn();
        let network = Mlp::<Training>::from_weights(shape, weights, &device)?;
        Ok(Self {
            task: task.clone(),
            average: Mlp::from_weights(shape, weights, &device)?,
            network,
            optimiser: adamw(settings.weight_decay),
            settings,
            device,
            n_steps: 0,
        })
    }

    /// Loss of a batch and the gradient of all parameters.
    pub(super) fn gradient(&self, batch: &LabelledBatch) -> (f64, GradientsParams) {
        let (numeric, categorical) = input_tensors::<Training>(&batch.features, &self.device);
        let outputs = self.network.forward(numeric, categorical);
        let loss = loss(&self.task, outputs, batch, &self.device);
        let gradients = GradientsParams::from_grads(loss.backward(), &self.network);
        (scalar(loss), gradients)
    }
}

fn adamw(weight_decay: f64) -> OptimizerAdaptor<AdamW, Mlp<Training>, Training> {
    AdamWConfig::new().with_epsilon(1e-8).with_weight_decay(weight_decay as f32).init()
}

impl Learner for BurnLearner {
    fn start_epoch(&mut self, epoch: usize) {
        <Training as Backend>::seed(&self.device, splitmix64(epoch as u64, self.settings.seed));
    }

    fn step(&mut self, batch: &LabelledBatch, rate: f64) -> Result<f64, TrainError> {
        let (loss, mut gradients) = self.gradient(batch);
        if !loss.is_finite() {
            return Ok(loss);
        }
        optimiser::clip(&self.network, &mut gradients, self.settings.gradient_norm_max);
        self.network = self.optimiser.step(rate, self.network.clone(), gradients);
        self.n_steps += 1;
        let share = averaging_rate(self.settings.averaging_steps, self.n_steps);
        self.average = optimiser::average(self.average.clone(), self.network.valid(), share);
        Ok(loss)
    }

    fn loss(&mut self, batch: &LabelledBatch) -> Result<f64, TrainError> {
        let (numeric, categorical) = input_tensors::<Dispatch>(&batch.features, &self.device);
        let outputs = self.average.forward(numeric, categorical);
        Ok(scalar(loss(&self.task, outputs, batch, &self.device)))
    }

    fn weights(&self) -> Result<MlpWeights, TrainError> {
        Ok(self.average.to_weights()?)
    }

    fn save(&self, dir: &Path) -> std::io::Result<()> {
        let files = Files::new();
        files
            .record(self.network.clone().into_record(), dir.join("network"))
            .map_err(std::io::Error::other)?;
        files
            .record(self.average.clone().into_record(), dir.join("average"))
            .map_err(std::io::Error::other)?;
        files.record(self.optimiser.to_record(), dir.join("optimiser")).map_err(std::io::Error::other)?;
        std::fs::write(dir.join("steps"), self.n_steps.to_string())
    }

    fn load(&mut self, dir: &Path) -> Option<()> {
        let files = Files::new();
        let n_steps = std::fs::read_to_string(dir.join("steps")).ok()?.parse().ok()?;
        let network = files.load(dir.join("network"), &self.device).ok()?;
        let average = files.load(dir.join("average"), &self.device).ok()?;
        let record = files.load(dir.join("optimiser"), &self.device).ok()?;
        self.network = self.network.clone().load_record(network);
        self.average = self.average.clone().load_record(average);
        self.optimiser = adamw(self.settings.weight_decay).load_record(record);
        self.n_steps = n_steps;
        Some(())
    }
}

fn scalar<B: Backend>(tensor: Tensor<B, 1>) -> f64 {
    tensor.into_data().iter::<f64>().next().unwrap_or(f64::NAN)
}

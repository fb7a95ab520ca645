//! What learns: the network with its optimiser. One learner computes on any Burn device, one on
//! this machine's cores; the training loop does not know which it has.

mod burn;
mod cpu;
mod optimiser;

use std::path::Path;

use cupola_datasets::features::LabelledBatch;
use cupola_models::Device;
use cupola_models::mlp::MlpWeights;

use self::burn::BurnLearner;
use self::cpu::CpuLearner;
use super::{TrainError, TrainInput};

/// Settings of every step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Settings {
    /// Decoupled weight decay of AdamW.
    pub weight_decay: f64,
    /// Largest norm of the whole gradient; 0 leaves it.
    pub gradient_norm_max: f64,
    /// Steps that the running mean of the weights reaches back; 0 takes the weights as they are.
    pub averaging_steps: f64,
    /// Seed of dropout.
    pub seed: u64,
}

/// A network that learns from batches whose labels are targets.
pub(super) trait Learner {
    /// Told before each epoch, so that a resumed training draws the same dropout.
    fn start_epoch(&mut self, epoch: usize);

    /// Learns from a batch; returns its mean loss before. A loss that is not finite changes nothing.
    fn step(&mut self, batch: &LabelledBatch, rate: f64) -> Result<f64, TrainError>;

    /// Mean loss of a batch with the averaged weights and without dropout.
    fn loss(&mut self, batch: &LabelledBatch) -> Result<f64, TrainError>;

    /// The averaged weights, without output scale.
    fn weights(&self) -> Result<MlpWeights, TrainError>;

    /// Writes into a folder everything that the next step depends on.
    fn save(&self, dir: &Path) -> std::io::Result<()>;

    /// Goes back to what [`Self::save`] wrote; `None`, and nothing changed, when it cannot be read.
    fn load(&mut self, dir: &Path) -> Option<()>;
}

/// The learner of a device, with these weights to start from.
pub(super) fn learner(
    input: &TrainInput<'_>,
    weights: &MlpWeights,
    settings: Settings,
) -> Result<Box<dyn Learner>, TrainError> {
    Ok(match input.device {
        Device::Cpu => Box::new(CpuLearner::new(input.shape, input.task, weights, settings)?),
        device => Box::new(BurnLearner::new(input.shape, input.task, weights, settings, device)?),
    })
}

/// Share by which the running mean of the weights moves towards them in step `n_steps` (from 1): an
/// exponential mean over `averaging_steps`, and at first one over the few steps there are.
fn averaging_rate(averaging_steps: f64, n_steps: u64) -> f64 {
    if averaging_steps <= 1.0 {
        return 1.0;
    }
    (1.0 / averaging_steps).max(9.0 / (9.0 + n_steps as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_reaches_back_as_far_as_there_are_steps() {
        assert_eq!(averaging_rate(0.0, 5), 1.0);
        assert_eq!(averaging_rate(1.0, 5), 1.0);
        assert_eq!(averaging_rate(100.0, 1), 0.9);
        assert_eq!(averaging_rate(100.0, 9), 0.5);
        assert_eq!(averaging_rate(100.0, 1_000_000), 0.01);
    }
}

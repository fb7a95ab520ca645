//! The plain list of all kinds of models: how each is written into a bundle, and how it
//! is loaded.

use std::path::Path;
use std::sync::Arc;

use cupola_datasets::FittedPlan;
use serde::Deserialize;

use super::{BundleError, MANIFEST, Manifest};
use crate::device::Device;
use crate::mlp::{CpuMlp, DeviceMlp, MlpShape, MlpWeights, WeightsError};
use crate::onnx::export_mlp;
use crate::predict::{Predictor, Task};

/// Kind of the multi-layer perceptron.
pub const MLP: &str = "mlp";

/// All kinds, as they are written in `bundle.json`.
pub const KINDS: &[&str] = &[MLP];

/// What [`Manifest::model`] holds for an MLP.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MlpModel {
    shape: MlpShape,
}

/// A trained model, to be written into a bundle.
#[derive(Clone, Copy)]
pub enum ModelParts<'a> {
    /// A multi-layer perceptron.
    Mlp {
        /// Its shape.
        shape: &'a MlpShape,
        /// Its weights, with the output scale if it is a regression.
        weights: &'a MlpWeights,
    },
}

/// A model as a bundle keeps it.
pub(super) struct Encoded {
    pub kind: &'static str,
    /// [`Manifest::model`].
    pub model: serde_json::Value,
    pub weights: Vec<u8>,
    /// For other runtimes, if the model has such a form.
    pub onnx: Option<Vec<u8>>,
}

impl ModelParts<'_> {
    pub(super) fn encode(&self, task: &Task) -> Result<Encoded, WeightsError> {
        match self {
            Self::Mlp { shape, weights } => Ok(Encoded {
                kind: MLP,
                onnx: Some(export_mlp(shape, weights, task)?),
                weights: weights.to_safetensors()?,
                model: serde_json::json!({ "shape": shape }),
            }),
        }
    }
}

/// Everything of a bundle that a predictor is made of; all digests have been checked.
pub(super) struct Parts<'a> {
    pub dir: &'a Path,
    pub manifest: &'a Manifest,
    pub plan: &'a FittedPlan,
    pub weights: &'a [u8],
}

/// The bundle's model on a device.
pub(super) fn predictor(parts: &Parts<'_>, device: Device) -> Result<Arc<dyn Predictor>, BundleError> {
    match parts.manifest.kind.as_str() {
        MLP => mlp(parts, device),
        other => {
            Err(BundleError::Kind { dir: parts.dir.into(), kind: other.into(), known: KINDS.join(", ") })
        }
    }
}

fn mlp(parts: &Parts<'_>, device: Device) -> Result<Arc<dyn Predictor>, BundleError> {
    let MlpModel { shape } = MlpModel::deserialize(&parts.manifest.model).map_err(|error| {
        let reason = format!("its `model` is no MLP's: {error}");
        BundleError::Content { dir: parts.dir.into(), file: MANIFEST.into(), reason }
    })?;
    let weights = MlpWeights::from_safetensors(parts.weights)?;
    let task = &parts.manifest.signature.task;
    fits(parts, &shape)?;
    Ok(match device {
        Device::Cpu => Arc::new(CpuMlp::new(&shape, &weights, task)?),
        device => Arc::new(DeviceMlp::load(&shape, &weights, task, device)?),
    })
}

/// The network reads what the plan writes, and writes what the task means.
fn fits(parts: &Parts<'_>, shape: &MlpShape) -> Result<(), BundleError> {
    let mismatch = |reason: String| Err(BundleError::Mismatch { dir: parts.dir.into(), reason });
    let (plan, task) = (parts.plan, &parts.manifest.signature.task);
    if plan.numeric.len() != shape.n_numeric {
        let n = plan.numeric.len();
        return mismatch(format!(
            "the plan makes {n} numeric features, the network reads {}",
            shape.n_numeric
        ));
    }
    let cardinalities: Vec<usize> = plan.categorical.iter().map(|feature| feature.cardinality()).collect();
    if cardinalities != shape.cardinalities {
        return mismatch(format!(
            "the plan's categorical features have {cardinalities:?} codes, the network's {:?}",
            shape.cardinalities
        ));
    }
    if task.n_outputs() != shape.n_outputs {
        let n = task.n_outputs();
        return mismatch(format!("the task has {n} scores per row, the network {}", shape.n_outputs));
    }
    Ok(())
}

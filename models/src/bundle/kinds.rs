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
use crate::trees::{CpuForest, DeviceForest, Forest, ForestError, ForestShape};

/// Kind of the multi-layer perceptron.
pub const MLP: &str = "mlp";

/// Kind of the boosted trees.
pub const GBDT: &str = "gbdt";

/// All kinds, as they are written in `bundle.json`.
pub const KINDS: &[&str] = &[MLP, GBDT];

/// What [`Manifest::model`] holds for an MLP.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MlpModel {
    shape: MlpShape,
}

/// What [`Manifest::model`] holds for boosted trees.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GbdtModel {
    shape: ForestShape,
}

/// Why a trained model cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// A network's weights.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// Trees.
    #[error(transparent)]
    Forest(#[from] ForestError),
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
    /// Boosted trees.
    Gbdt {
        /// The trees.
        forest: &'a Forest,
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
    /// What scores rows as the bundle's predictor on the CPU will.
    pub fn predictor(&self, task: &Task) -> Result<Box<dyn Predictor>, ModelError> {
        Ok(match self {
            Self::Mlp { shape, weights } => Box::new(CpuMlp::new(shape, weights, task)?),
            Self::Gbdt { forest } => Box::new(CpuForest::new(forest)?),
        })
    }

    pub(super) fn encode(&self, task: &Task) -> Result<Encoded, ModelError> {
        match self {
            Self::Mlp { shape, weights } => Ok(Encoded {
                kind: MLP,
                onnx: Some(export_mlp(shape, weights, task)?),
                weights: weights.to_safetensors()?,
                model: serde_json::json!({ "shape": shape }),
            }),
            Self::Gbdt { forest } => Ok(Encoded {
                kind: GBDT,
                onnx: None,
                weights: forest.to_safetensors()?,
                model: serde_json::json!({ "shape": forest.shape }),
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
        GBDT => gbdt(parts, device),
        other => {
            Err(BundleError::Kind { dir: parts.dir.into(), kind: other.into(), known: KINDS.join(", ") })
        }
    }
}

fn mlp(parts: &Parts<'_>, device: Device) -> Result<Arc<dyn Predictor>, BundleError> {
    let MlpModel { shape } = described(parts)?;
    let weights = MlpWeights::from_safetensors(parts.weights)?;
    let task = &parts.manifest.signature.task;
    fits(parts, (shape.n_numeric, &shape.cardinalities), shape.n_outputs)?;
    Ok(match device {
        Device::Cpu => Arc::new(CpuMlp::new(&shape, &weights, task)?),
        device => Arc::new(DeviceMlp::load(&shape, &weights, task, device)?),
    })
}

fn gbdt(parts: &Parts<'_>, device: Device) -> Result<Arc<dyn Predictor>, BundleError> {
    Ok(Arc::new(DeviceForest::new(&forest(parts)?, device)?))
}

/// The bundle's trees.
pub(super) fn forest(parts: &Parts<'_>) -> Result<Forest, BundleError> {
    if parts.manifest.kind != GBDT {
        let kind = parts.manifest.kind.clone();
        return Err(BundleError::Kind { dir: parts.dir.into(), kind, known: GBDT.into() });
    }
    let GbdtModel { shape } = described(parts)?;
    fits(parts, (shape.n_numeric, &shape.cardinalities), shape.n_outputs)?;
    Ok(Forest::from_safetensors(shape, parts.weights)?)
}

/// The kind's own part of the manifest.
fn described<'de, T: Deserialize<'de>>(parts: &Parts<'de>) -> Result<T, BundleError> {
    T::deserialize(&parts.manifest.model).map_err(|error| {
        let reason = format!("its `model` is no {}'s: {error}", parts.manifest.kind);
        BundleError::Content { dir: parts.dir.into(), file: MANIFEST.into(), reason }
    })
}

/// The model reads what the plan writes, and writes what the task means.
fn fits(parts: &Parts<'_>, reads: (usize, &[usize]), n_outputs: usize) -> Result<(), BundleError> {
    let mismatch = |reason: String| Err(BundleError::Mismatch { dir: parts.dir.into(), reason });
    let (plan, task) = (parts.plan, &parts.manifest.signature.task);
    let (n_numeric, cardinalities) = reads;
    if plan.numeric.len() != n_numeric {
        let n = plan.numeric.len();
        return mismatch(format!("the plan makes {n} numeric features, the model reads {n_numeric}"));
    }
    if plan.cardinalities() != cardinalities {
        let made = plan.cardinalities();
        return mismatch(format!(
            "the plan's categorical features have {made:?} codes, the model's {cardinalities:?}"
        ));
    }
    if task.n_outputs() != n_outputs {
        let n = task.n_outputs();
        return mismatch(format!("the task has {n} scores per row, the model {n_outputs}"));
    }
    Ok(())
}

use std::path::PathBuf;

use cupola_models::mlp::{MlpShape, MlpWeights};
use cupola_training::trainer::{self, LakeRows, Progress, TrainInput};
use serde::{Deserialize, Serialize};

use super::error::RunError;
use super::features::Featured;
use super::observer::Stage;
use super::run::Context;
use super::store::{address, write};
use crate::pipeline::ModelConfig;

/// Result of the train stage.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Trained {
    /// The network's shape.
    pub shape: MlpShape,
    /// Its weights, a safetensors file.
    pub weights: PathBuf,
    /// Epochs with their losses.
    pub history: Vec<trainer::Epoch>,
    /// One line for a person.
    pub summary: String,
}

/// Trains the model on the feature table. A killed training goes on from its last checkpoint.
pub fn run(context: &Context<'_>, featured: &Featured) -> Result<(Trained, bool), RunError> {
    let p = &context.pipeline;
    let address =
        address(&(&featured.features, &featured.plan, &featured.task, &p.model, &p.train, context.device))?;
    if let Some(result) = context.store.get::<Trained>(Stage::Train, &address).filter(|t| t.weights.exists())
    {
        return Ok((result, true));
    }
    context.allow(Stage::Train)?;
    let ModelConfig::Mlp(config) = &p.model;
    let shape = MlpShape {
        n_numeric: featured.plan.numeric.len(),
        cardinalities: featured.plan.categorical.iter().map(|feature| feature.cardinality()).collect(),
        config: config.clone(),
        n_outputs: featured.task.n_outputs(),
    };
    let folder = context.store.folder(Stage::Train, &address)?;
    let rows =
        LakeRows::open(&context.lake, &featured.features, &featured.plan).map_err(RunError::training)?;
    let progress = |at: Progress| {
        let note = format!("epoch {}, loss {:.5}", at.epoch, at.loss);
        context.observer.progress(Stage::Train, at.rows_done, Some(at.rows_total), "rows", &note);
    };
    let trained = trainer::train(TrainInput {
        shape: &shape,
        task: &featured.task,
        table: &rows,
        config: &p.train,
        device: context.device,
        checkpoint_dir: Some(&folder),
        tracker: context.tracker,
        progress: &progress,
    })
    .map_err(RunError::training)?;
    let weights = folder.join("weights.safetensors");
    write(&weights, &trained.weights.to_safetensors().map_err(RunError::training)?)?;
    let summary = format!("{} epochs on {}, {}", trained.history.len(), context.device, trained.stopped);
    let result = Trained { shape, weights, history: trained.history, summary };
    context.store.put(Stage::Train, &address, &result)?;
    Ok((result, false))
}

/// Reads the weights a train stage left.
pub fn weights(trained: &Trained) -> Result<MlpWeights, RunError> {
    let bytes = std::fs::read(&trained.weights)
        .map_err(|source| RunError::Io { path: trained.weights.clone(), source })?;
    MlpWeights::from_safetensors(&bytes).map_err(RunError::training)
}

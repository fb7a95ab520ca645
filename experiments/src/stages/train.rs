use std::path::{Path, PathBuf};

use cupola_models::bundle::ModelParts;
use cupola_models::mlp::{MlpConfig, MlpShape, MlpWeights};
use cupola_models::trees::{Forest, ForestShape, GbdtConfig};
use cupola_training::boosting::{self, BoostInput};
use cupola_training::trainer::{self, Epoch, LakeRows, Progress, TrainInput};
use serde::{Deserialize, Serialize};

use super::continued::Continued;
use super::error::RunError;
use super::features::Featured;
use super::observer::Stage;
use super::run::Context;
use super::store::{address, write};
use crate::pipeline::ModelConfig;

/// Result of the train stage.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Trained {
    /// The model's shape.
    pub shape: Shape,
    /// Its weights, a safetensors file.
    pub weights: PathBuf,
    /// Epochs or rounds with their losses.
    pub history: Vec<Epoch>,
    /// One line for a person.
    pub summary: String,
}

/// What a kind of model needs beside its weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Shape {
    /// A network.
    Mlp(MlpShape),
    /// Boosted trees.
    Gbdt(ForestShape),
}

/// A trained model in memory.
pub enum Model {
    /// A network.
    Mlp(MlpShape, MlpWeights),
    /// Boosted trees.
    Gbdt(Forest),
}

impl Model {
    /// Reads the model that a train stage left.
    pub fn load(trained: &Trained) -> Result<Self, RunError> {
        let bytes = std::fs::read(&trained.weights)
            .map_err(|source| RunError::Io { path: trained.weights.clone(), source })?;
        Ok(match &trained.shape {
            Shape::Mlp(shape) => {
                Self::Mlp(shape.clone(), MlpWeights::from_safetensors(&bytes).map_err(RunError::training)?)
            }
            Shape::Gbdt(shape) => {
                Self::Gbdt(Forest::from_safetensors(shape.clone(), &bytes).map_err(RunError::training)?)
            }
        })
    }

    /// As a bundle takes it.
    pub fn parts(&self) -> ModelParts<'_> {
        match self {
            Self::Mlp(shape, weights) => ModelParts::Mlp { shape, weights },
            Self::Gbdt(forest) => ModelParts::Gbdt { forest },
        }
    }
}

/// Trains the model on the feature table. A killed training goes on from its last checkpoint.
pub fn run(context: &Context<'_>, featured: &Featured) -> Result<(Trained, bool), RunError> {
    let p = &context.pipeline;
    let continued = Continued::load(context)?;
    let from = continued.as_ref().map(|from| &from.dir);
    let inputs = (&featured.features, &featured.plan, &featured.task, &p.model, &p.train, context.device);
    let address = address(&(inputs, from))?;
    if let Some(result) = context.store.get::<Trained>(Stage::Train, &address).filter(|t| t.weights.exists())
    {
        return Ok((result, true));
    }
    context.allow(Stage::Train)?;
    let folder = context.store.folder(Stage::Train, &address)?;
    let rows =
        LakeRows::open(&context.lake, &featured.features, &featured.plan).map_err(RunError::training)?;
    let stage = TrainStage { context, featured, rows: &rows, folder: &folder };
    let result = match &p.model {
        ModelConfig::Mlp(config) => stage.mlp(config)?,
        ModelConfig::Gbdt(config) => stage.gbdt(config, continued)?,
    };
    context.store.put(Stage::Train, &address, &result)?;
    Ok((result, false))
}

struct TrainStage<'a> {
    context: &'a Context<'a>,
    featured: &'a Featured,
    rows: &'a LakeRows<'a>,
    folder: &'a Path,
}

impl TrainStage<'_> {
    fn mlp(&self, config: &MlpConfig) -> Result<Trained, RunError> {
        let Self { context, featured, .. } = self;
        let shape = MlpShape {
            n_numeric: featured.plan.numeric.len(),
            cardinalities: featured.plan.cardinalities(),
            config: config.clone(),
            n_outputs: featured.task.n_outputs(),
        };
        let trained = trainer::train(TrainInput {
            shape: &shape,
            task: &featured.task,
            table: self.rows,
            config: &context.pipeline.train,
            device: context.device,
            checkpoint_dir: Some(self.folder),
            tracker: context.tracker,
            progress: &|at| self.progress(at, "epoch"),
        })
        .map_err(RunError::training)?;
        let weights = self.write(&trained.weights.to_safetensors().map_err(RunError::training)?)?;
        let summary = format!("{} epochs on {}, {}", trained.history.len(), context.device, trained.stopped);
        Ok(Trained { shape: Shape::Mlp(trained.shape), weights, history: trained.history, summary })
    }

    fn gbdt(&self, config: &GbdtConfig, continued: Option<Continued>) -> Result<Trained, RunError> {
        let Self { context, featured, .. } = self;
        let plan = &featured.plan;
        let numeric: Vec<&str> = plan.numeric.iter().map(|feature| feature.name.as_str()).collect();
        let categorical: Vec<&str> = plan.categorical.iter().map(|feature| feature.name.as_str()).collect();
        let boosted = boosting::boost(&BoostInput {
            config,
            task: &featured.task,
            features: boosting::Features {
                numeric: &numeric,
                categorical: &categorical,
                cardinalities: &plan.cardinalities(),
            },
            table: self.rows,
            device: context.device,
            class_weights: context.pipeline.train.class_weights,
            seed: context.pipeline.train.seed,
            evaluate: &context.pipeline.evaluate,
            continued: continued.as_ref().map(|from| &from.forest),
            checkpoint_dir: Some(self.folder),
            tracker: context.tracker,
            progress: &|at| self.progress(at, "round"),
        })
        .map_err(RunError::training)?;
        let weights = self.write(&boosted.forest.to_safetensors().map_err(RunError::training)?)?;
        let summary = format!(
            "{} rounds, {} trees kept, {}",
            boosted.history.len(),
            boosted.forest.n_trees(),
            boosted.stopped
        );
        Ok(Trained { shape: Shape::Gbdt(boosted.forest.shape), weights, history: boosted.history, summary })
    }

    fn progress(&self, at: Progress, step: &str) {
        let note = format!("{step} {}, loss {:.5}", at.epoch, at.loss);
        self.context.observer.progress(Stage::Train, at.rows_done, Some(at.rows_total), "rows", &note);
    }

    fn write(&self, content: &[u8]) -> Result<PathBuf, RunError> {
        let path = self.folder.join("weights.safetensors");
        write(&path, content)?;
        Ok(path)
    }
}

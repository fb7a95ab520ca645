use std::path::PathBuf;

use cupola_datasets::FittedPlan;
use cupola_models::bundle::Bundle;
use cupola_models::trees::Forest;

use super::error::RunError;
use super::run::Context;
use crate::pipeline::ModelConfig;

/// The version that a training goes on from: its folder, plan and trees.
pub struct Continued {
    pub dir: PathBuf,
    pub plan: FittedPlan,
    pub forest: Forest,
}

impl Continued {
    /// The version that `model.continue_from` names, if it names one.
    pub fn load(context: &Context<'_>) -> Result<Option<Self>, RunError> {
        let ModelConfig::Gbdt(config) = &context.pipeline.model else { return Ok(None) };
        let Some(version) = &config.continue_from else { return Ok(None) };
        let found = context.registry.resolve(&context.pipeline.name, &version.clone().into())?;
        let (plan, forest) = Bundle::load_forest(&found.dir)?;
        if config.objective.is_some_and(|objective| objective != forest.shape.objective) {
            return Err(RunError::Settings(format!(
                "version {} was trained for `{}`; model.continue_from keeps the objective, leave `objective` out",
                found.version,
                forest.shape.objective.name()
            )));
        }
        Ok(Some(Self { dir: found.dir, plan, forest }))
    }
}

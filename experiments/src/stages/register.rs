use cupola_models::registry::ModelInfo;
use serde::{Deserialize, Serialize};

use super::error::RunError;
use super::evaluate::Evaluated;
use super::observer::Stage;
use super::run::Context;
use super::store::address;

/// Result of the register stage.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Registered {
    /// Model name.
    pub name: String,
    /// The new version.
    pub version: u64,
    /// Alias that points at it.
    pub alias: Option<String>,
}

impl Registered {
    /// One line for a person.
    pub fn text(&self) -> String {
        match &self.alias {
            Some(alias) => format!("{} version {} is {alias}", self.name, self.version),
            None => format!(
                "{} version {}; `cupola models promote {}@{}` makes it champion",
                self.name, self.version, self.name, self.version
            ),
        }
    }
}

/// Gives the bundle a version. The first version becomes champion; later ones are promoted by
/// a person or a guard.
pub fn run(context: &Context<'_>, evaluated: &Evaluated) -> Result<(Registered, bool), RunError> {
    let address = address(&(&evaluated.bundle, &evaluated.evaluation.values))?;
    let is_there = |known: &Registered| {
        let version = cupola_models::VersionRef::Number(known.version);
        context.registry.resolve(&known.name, &version).is_ok()
    };
    if let Some(known) = context.store.get::<Registered>(Stage::Register, &address).filter(is_there) {
        // Aliases may have moved since.
        let model = model(context)?;
        let alias = model.and_then(|model| Some((*model.aliases_of(known.version).first()?).to_owned()));
        return Ok((Registered { alias, ..known }, true));
    }
    context.allow(Stage::Register)?;
    let name = &context.pipeline.name;
    let info = context.registry.register(name, &evaluated.bundle)?;
    let has_champion = model(context)?.is_some_and(|model| model.aliases.contains_key("champion"));
    let alias = (!has_champion).then(|| "champion".to_owned());
    if let Some(alias) = &alias {
        context.registry.set_alias(name, alias, Some(info.version))?;
    }
    let result = Registered { name: name.clone(), version: info.version, alias };
    context.store.put(Stage::Register, &address, &result)?;
    Ok((result, false))
}

/// The pipeline's model as the registry has it.
fn model(context: &Context<'_>) -> Result<Option<ModelInfo>, RunError> {
    Ok(context.registry.models()?.into_iter().find(|model| model.name == context.pipeline.name))
}

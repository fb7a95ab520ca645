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
    if let Some(result) = context.store.get::<Registered>(Stage::Register, &address).filter(is_there) {
        return Ok((result, true));
    }
    context.allow(Stage::Register)?;
    let name = &context.pipeline.name;
    let info = context.registry.register(name, &evaluated.bundle)?;
    let models = context.registry.models()?;
    let has_champion =
        models.iter().any(|model| &model.name == name && model.aliases.contains_key("champion"));
    let alias = if has_champion { None } else { Some("champion".to_owned()) };
    if let Some(alias) = &alias {
        context.registry.set_alias(name, alias, Some(info.version))?;
    }
    let result = Registered { name: name.clone(), version: info.version, alias };
    context.store.put(Stage::Register, &address, &result)?;
    Ok((result, false))
}

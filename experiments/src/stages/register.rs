use std::collections::BTreeMap;

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
        let aliases = aliases(context)?;
        let mut here =
            aliases.iter().filter(|(_, version)| **version == known.version).map(|(alias, _)| alias);
        let is_champion = aliases.get("champion") == Some(&known.version);
        let alias = if is_champion { Some("champion".to_owned()) } else { here.next().cloned() };
        return Ok((Registered { alias, ..known }, true));
    }
    context.allow(Stage::Register)?;
    let name = &context.pipeline.name;
    let info = context.registry.register(name, &evaluated.bundle)?;
    let alias = if aliases(context)?.contains_key("champion") { None } else { Some("champion".to_owned()) };
    if let Some(alias) = &alias {
        context.registry.set_alias(name, alias, Some(info.version))?;
    }
    let result = Registered { name: name.clone(), version: info.version, alias };
    context.store.put(Stage::Register, &address, &result)?;
    Ok((result, false))
}

/// Aliases of the pipeline's model, each with the version it points at.
fn aliases(context: &Context<'_>) -> Result<BTreeMap<String, u64>, RunError> {
    let models = context.registry.models()?;
    let model = models.into_iter().find(|model| model.name == context.pipeline.name);
    Ok(model.map(|model| model.aliases.into_iter().collect()).unwrap_or_default())
}

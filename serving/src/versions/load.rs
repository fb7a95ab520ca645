use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cupola_models::registry::ModelInfo;
use cupola_models::{Device, Registry, VersionRef};

use super::error::ServeError;
use super::loaded::LoadedVersion;
use super::table::{ServedModel, Table};
use crate::config::ServeConfig;
use crate::routing::Router;
use crate::telemetry::Metrics;

/// Turns the state of the registry into a table. Every version that has an alias or that the route
/// names is loaded; the others cost no memory.
pub struct Loader {
    /// Where versions come from.
    pub registry: Arc<dyn Registry>,
    /// Models to serve; empty: all that the route fits.
    pub names: Vec<String>,
    /// Limits and route.
    pub config: ServeConfig,
    /// Device that scores.
    pub device: Device,
    /// What is counted.
    pub metrics: Metrics,
}

impl Loader {
    /// The first table. A model that was asked for by name must be there and load.
    pub fn load(&self) -> Result<Table, ServeError> {
        let mut table = Table::new();
        for info in self.wanted()? {
            match self.load_model(&info, None) {
                Ok(model) => table.insert(info.name, Arc::new(model)).map_or((), drop),
                Err(error) if !self.names.is_empty() => return Err(error),
                Err(error) => tracing::warn!(model = info.name, %error, "not served"),
            }
        }
        if table.is_empty() { Err(ServeError::NoModel) } else { Ok(table) }
    }

    /// The table after a change, reusing what is loaded and warming what is new. A model that cannot
    /// be loaded stays as it was; the errors say why. A registry without any model is an error: it
    /// has rather lost them, such as a volume that is no longer mounted, than nobody wants them.
    pub fn reload(&self, before: &Table) -> Result<(Table, Vec<ServeError>), ServeError> {
        let mut table = Table::new();
        let mut errors = Vec::new();
        for info in self.wanted()? {
            let known = before.get(&info.name);
            let loaded = self.load_model(&info, known.map(|model| &**model));
            let warmed = loaded.and_then(|model| {
                let new = model.versions.values().filter(|version| {
                    known.is_none_or(|k| !k.versions.values().any(|old| Arc::ptr_eq(old, version)))
                });
                new.map(|version| version.warm()).collect::<Result<Vec<_>, _>>()?;
                Ok(Arc::new(model))
            });
            match (warmed, known) {
                (Ok(model), _) => table.insert(info.name, model).map_or((), drop),
                // A model without, say, a champion was never asked for.
                (Err(ServeError::Route { .. }), None) if self.names.is_empty() => {}
                (Err(error), known) => {
                    errors.push(error);
                    table.extend(known.map(|model| (info.name, model.clone())));
                }
            }
        }
        if table.is_empty() { Err(ServeError::NoModel) } else { Ok((table, errors)) }
    }

    fn wanted(&self) -> Result<Vec<ModelInfo>, ServeError> {
        for name in &self.names {
            // Says which models there are if this one is not.
            self.known_model(name)?;
        }
        let wanted = |info: &ModelInfo| self.names.is_empty() || self.names.contains(&info.name);
        Ok(self.registry.models()?.into_iter().filter(wanted).collect())
    }

    fn known_model(&self, name: &str) -> Result<(), ServeError> {
        if self.registry.models()?.iter().any(|info| info.name == name) {
            return Ok(());
        }
        // Its own error says where it looked and what is there.
        self.registry.resolve(name, &VersionRef::default())?;
        Ok(())
    }

    fn load_model(&self, info: &ModelInfo, before: Option<&ServedModel>) -> Result<ServedModel, ServeError> {
        let mut wanted: BTreeSet<u64> = info.aliases.values().copied().collect();
        for version in self.config.route.versions() {
            wanted.insert(number(info, &version)?);
        }
        let mut versions = BTreeMap::new();
        for number in wanted {
            let loaded = before.and_then(|model| model.versions.get(&number)).cloned();
            let loaded = loaded.map_or_else(|| self.load_version(&info.name, number), Ok)?;
            versions.insert(number, loaded);
        }
        let router = Router::resolve(&self.config.route, |version| {
            versions.get(&number(info, version)?).cloned().ok_or_else(|| unknown(info, version))
        })?;
        Ok(ServedModel { name: info.name.clone(), versions, aliases: info.aliases.clone(), router })
    }

    fn load_version(&self, name: &str, number: u64) -> Result<Arc<LoadedVersion>, ServeError> {
        let at = self.registry.resolve(name, &VersionRef::Number(number))?;
        LoadedVersion::load(&at, self.device, &self.config, &self.metrics).map(Arc::new)
    }
}

fn number(info: &ModelInfo, version: &VersionRef) -> Result<u64, ServeError> {
    let number = match version {
        VersionRef::Number(number) => info.versions.iter().any(|v| v.version == *number).then_some(*number),
        VersionRef::Alias(alias) => info.aliases.get(alias).copied(),
    };
    number.ok_or_else(|| unknown(info, version))
}

fn unknown(info: &ModelInfo, version: &VersionRef) -> ServeError {
    let versions = info.versions.iter().map(|v| v.version.to_string());
    let known: Vec<String> = versions.chain(info.aliases.keys().cloned()).collect();
    ServeError::Route {
        model: info.name.clone(),
        version: version.clone(),
        known: if known.is_empty() { "none".into() } else { known.join(", ") },
    }
}

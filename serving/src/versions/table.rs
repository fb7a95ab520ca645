use std::collections::BTreeMap;
use std::sync::Arc;

use cupola_models::VersionRef;
use indexmap::IndexMap;

use super::loaded::LoadedVersion;
use crate::routing::Router;

/// Models by name, as one consistent state.
pub type Table = IndexMap<String, Arc<ServedModel>>;

/// A model with its loaded versions and the rule that picks one.
pub struct ServedModel {
    /// Model name.
    pub name: String,
    /// Loaded versions by number.
    pub versions: BTreeMap<u64, Arc<LoadedVersion>>,
    /// Version by alias.
    pub aliases: IndexMap<String, u64>,
    /// The rule for requests that name no version.
    pub router: Router<Arc<LoadedVersion>>,
}

impl ServedModel {
    /// The loaded version that a reference means.
    pub fn find(&self, version: &VersionRef) -> Option<&Arc<LoadedVersion>> {
        let number = match version {
            VersionRef::Number(number) => number,
            VersionRef::Alias(alias) => self.aliases.get(alias)?,
        };
        self.versions.get(number)
    }

    /// Loaded versions and aliases, for messages: `1, 2 (champion)`.
    pub fn known(&self) -> String {
        let texts: Vec<String> = self.versions.keys().map(|number| self.with_aliases(*number)).collect();
        texts.join(", ")
    }

    /// Aliases that point at a version.
    pub fn aliases_of(&self, version: u64) -> Vec<&str> {
        let pointing = self.aliases.iter().filter(|(_, number)| **number == version);
        pointing.map(|(alias, _)| alias.as_str()).collect()
    }

    /// The version that answers when the rule has one answer for all; else the first of its versions.
    pub fn default_version(&self) -> Option<&Arc<LoadedVersion>> {
        match &self.router {
            Router::Pinned(version) | Router::Shadow { answer: version, .. } => Some(version),
            Router::Ab(split) => Some(split.first()),
        }
    }

    fn with_aliases(&self, version: u64) -> String {
        let aliases = self.aliases_of(version);
        if aliases.is_empty() { version.to_string() } else { format!("{version} ({})", aliases.join(", ")) }
    }
}

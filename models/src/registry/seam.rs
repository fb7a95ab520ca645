use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::bundle::BundleError;

/// Where versions live. Implemented by the local folder and by MLflow's model registry.
pub trait Registry: Send + Sync {
    /// Stores a copy of the bundle as the next version; whole or not at all.
    fn register(&self, name: &str, bundle: &Path) -> Result<VersionInfo, RegistryError>;

    /// All models with their versions and aliases.
    fn models(&self) -> Result<Vec<ModelInfo>, RegistryError>;

    /// The version a reference means, with its bundle on the local disk.
    fn resolve(&self, name: &str, version: &VersionRef) -> Result<ResolvedVersion, RegistryError>;

    /// Points an alias at a version; `None` removes it. Returns where it pointed before.
    fn set_alias(&self, name: &str, alias: &str, version: Option<u64>) -> Result<Option<u64>, RegistryError>;

    /// Points an alias back to the version it had before its present one, and returns that. Called
    /// again, it goes one step further back.
    fn rollback(&self, name: &str, alias: &str) -> Result<u64, RegistryError> {
        let reason = "this registry keeps no history of aliases".into();
        Err(RegistryError::NoRollback { name: name.into(), alias: alias.into(), reason })
    }

    /// Changes whenever an alias or a version does; cheap enough to poll.
    fn revision(&self) -> Result<String, RegistryError>;
}

/// How a user names a version: `MODEL`, `MODEL@3`, `MODEL@champion`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum VersionRef {
    /// By number.
    Number(u64),
    /// By alias.
    Alias(String),
}

impl Default for VersionRef {
    fn default() -> Self {
        Self::Alias("champion".into())
    }
}

impl FromStr for VersionRef {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(text.parse().map(Self::Number).unwrap_or_else(|_| Self::Alias(text.into())))
    }
}

impl From<String> for VersionRef {
    fn from(text: String) -> Self {
        text.parse().map(Self::Number).unwrap_or(Self::Alias(text))
    }
}

impl From<VersionRef> for String {
    fn from(version: VersionRef) -> Self {
        version.to_string()
    }
}

impl fmt::Display for VersionRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Alias(alias) => f.write_str(alias),
        }
    }
}

/// A model in a registry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelInfo {
    /// Model name.
    pub name: String,
    /// Its versions, ascending.
    pub versions: Vec<VersionInfo>,
    /// Version by alias.
    pub aliases: IndexMap<String, u64>,
}

impl ModelInfo {
    /// Aliases that point at a version, `champion` first.
    pub fn aliases_of(&self, version: u64) -> Vec<&str> {
        let here = self.aliases.iter().filter(|(_, at)| **at == version);
        let mut aliases: Vec<&str> = here.map(|(alias, _)| alias.as_str()).collect();
        aliases.sort_unstable_by_key(|alias| (*alias != "champion", *alias));
        aliases
    }
}

/// A version in a registry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VersionInfo {
    /// Model name.
    pub name: String,
    /// Number, from 1.
    pub version: u64,
    /// Registration time, RFC 3339 in UTC.
    pub created: String,
    /// Run that made it.
    pub run_id: String,
}

/// A version whose bundle is on the local disk.
#[derive(Clone, Debug, PartialEq)]
pub struct ResolvedVersion {
    /// Model name.
    pub name: String,
    /// Number.
    pub version: u64,
    /// Folder of the bundle.
    pub dir: PathBuf,
}

/// What can go wrong with a registry.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// No such model.
    #[error("no model {name:?} in {registry}; known models: {known}")]
    UnknownModel {
        /// Name asked for.
        name: String,
        /// Where it was looked for, and how to look elsewhere.
        registry: String,
        /// Names that are there.
        known: String,
    },
    /// No such version or alias.
    #[error("model {name} has no version or alias {version}; known: {known}")]
    UnknownVersion {
        /// Model.
        name: String,
        /// Version asked for.
        version: VersionRef,
        /// Versions and aliases that are there.
        known: String,
    },
    /// A model name that cannot be a folder, a URL segment and an MLflow name.
    #[error(
        "invalid model name {name:?}; use letters, digits, `_`, `-` and `.`, starting with none of `.` and `-`, 200 at most"
    )]
    InvalidName {
        /// Name as given.
        name: String,
    },
    /// An alias that could be mistaken for a version.
    #[error(
        "invalid alias {alias:?}; use letters, digits, `_` and `-`, but no number, no `latest` and no `v` with a number"
    )]
    InvalidAlias {
        /// Alias as given.
        alias: String,
    },
    /// The bundle to register is not whole.
    #[error("the bundle cannot be registered: {0}")]
    Bundle(#[from] BundleError),
    /// There is nothing to go back to.
    #[error("alias {alias} of model {name} cannot be rolled back: {reason}; set it to a version instead")]
    NoRollback {
        /// Model.
        name: String,
        /// Alias.
        alias: String,
        /// Why not.
        reason: String,
    },
    /// A file of the registry cannot be understood.
    #[error("registry file {path} is damaged: {reason}; restore it, or remove it and set the aliases again")]
    Damaged {
        /// File at fault.
        path: PathBuf,
        /// What the reader said.
        reason: String,
    },
    /// Reading or writing failed.
    #[error("registry {registry}: {reason}")]
    Io {
        /// Registry at fault.
        registry: String,
        /// What failed and what to do.
        reason: String,
    },
}

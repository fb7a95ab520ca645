use cupola_models::VersionRef;
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The `[serve.route]` table: which version answers a request that names none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum RouteConfig {
    /// One version answers everything.
    Pinned {
        /// Version number or alias.
        #[serde(default)]
        #[schemars(with = "String")]
        version: VersionRef,
    },
    /// Versions share the requests by weight. The same key always gets the same version, as long as
    /// weights and salt stay; without a key each request is drawn anew.
    Ab {
        /// Record field that is the key, such as a customer number. Each record of a request is
        /// routed on its own field.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
        /// Request header that is the key. All records of a request go the same way.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by_header: Option<String>,
        /// Share of each version number or alias, relative to the sum.
        weights: IndexMap<String, u32>,
        /// Text that is hashed with the key: another salt is another assignment.
        #[serde(default)]
        salt: String,
    },
    /// One version answers; another scores the same records, is compared in the metrics, and
    /// never delays or changes the answer.
    Shadow {
        /// Version number or alias that answers.
        #[serde(default)]
        #[schemars(with = "String")]
        answer: VersionRef,
        /// Version number or alias that only scores.
        #[schemars(with = "String")]
        shadow: VersionRef,
    },
}

impl Default for RouteConfig {
    fn default() -> Self {
        Self::Pinned { version: VersionRef::default() }
    }
}

/// What makes no sense in a [`RouteConfig`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// Nothing could answer.
    #[error("weights sum to 0; give at least one version a weight, such as champion = 90, challenger = 10")]
    NoWeight,
    /// Two keys.
    #[error("`by` and `by_header` are both set; choose one key")]
    TwoKeys,
    /// A header that cannot exist.
    #[error("by_header {name:?} is not a header name; use letters, digits and hyphens")]
    HeaderName {
        /// Name as given.
        name: String,
    },
    /// Compared with itself.
    #[error("`shadow` and `answer` are both {version}; name two versions")]
    SameVersion {
        /// The version.
        version: VersionRef,
    },
}

impl RouteConfig {
    /// Checks the rule; does no I/O.
    pub fn validate(&self) -> Result<(), RouteError> {
        match self {
            Self::Pinned { .. } => Ok(()),
            Self::Ab { weights, .. } if weights.values().all(|w| *w == 0) => Err(RouteError::NoWeight),
            Self::Ab { by: Some(_), by_header: Some(_), .. } => Err(RouteError::TwoKeys),
            Self::Ab { by_header: Some(name), .. } if !is_header_name(name) => {
                Err(RouteError::HeaderName { name: name.clone() })
            }
            Self::Ab { .. } => Ok(()),
            Self::Shadow { answer, shadow } if answer == shadow => {
                Err(RouteError::SameVersion { version: answer.clone() })
            }
            Self::Shadow { .. } => Ok(()),
        }
    }

    /// Versions the rule needs.
    pub fn versions(&self) -> Vec<VersionRef> {
        match self {
            Self::Pinned { version } => vec![version.clone()],
            Self::Ab { weights, .. } => {
                let weighted = weights.iter().filter(|(_, weight)| **weight > 0);
                weighted.map(|(name, _)| VersionRef::from(name.clone())).collect()
            }
            Self::Shadow { answer, shadow } => vec![answer.clone(), shadow.clone()],
        }
    }
}

fn is_header_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

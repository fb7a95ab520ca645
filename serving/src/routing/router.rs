use cupola_models::VersionRef;

use super::config::RouteConfig;
use super::key::bucket;

/// A [`RouteConfig`] with its versions in hand. Generic over what a version is.
#[derive(Debug)]
pub enum Router<V> {
    /// One version answers.
    Pinned(V),
    /// Several share the requests.
    Ab(Split<V>),
    /// One answers, one only scores.
    Shadow {
        /// Answers.
        answer: V,
        /// Only scores.
        shadow: V,
    },
}

/// Versions that share the requests by weight.
#[derive(Debug)]
pub struct Split<V> {
    by: RouteBy,
    salt: String,
    /// Each version with the first bucket that is not its own, ascending.
    ends: Vec<(u64, V)>,
}

/// What sticks to a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouteBy {
    /// A field of each record.
    Field(String),
    /// A header of the request.
    Header(String),
    /// Nothing: each request is drawn anew, by its id.
    Request,
}

impl<V> Router<V> {
    /// Looks up each version the rule names.
    pub fn resolve<E>(
        config: &RouteConfig,
        mut version: impl FnMut(&VersionRef) -> Result<V, E>,
    ) -> Result<Self, E> {
        Ok(match config {
            RouteConfig::Pinned { version: pinned } => Self::Pinned(version(pinned)?),
            RouteConfig::Shadow { answer, shadow } => {
                Self::Shadow { answer: version(answer)?, shadow: version(shadow)? }
            }
            RouteConfig::Ab { by, by_header, weights, salt } => {
                let by = match (by, by_header) {
                    (Some(field), _) => RouteBy::Field(field.clone()),
                    (None, Some(header)) => RouteBy::Header(header.clone()),
                    (None, None) => RouteBy::Request,
                };
                let mut ends = Vec::with_capacity(weights.len());
                let mut end = 0;
                for (name, weight) in weights.iter().filter(|(_, weight)| **weight > 0) {
                    end += u64::from(*weight);
                    ends.push((end, version(&VersionRef::from(name.clone()))?));
                }
                Self::Ab(Split { by, salt: salt.clone(), ends })
            }
        })
    }

    /// Name of the rule, as in the configuration.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Pinned(_) => "pinned",
            Self::Ab(_) => "ab",
            Self::Shadow { .. } => "shadow",
        }
    }
}

impl<V> Split<V> {
    /// What the key is taken from.
    pub fn by(&self) -> &RouteBy {
        &self.by
    }

    /// The version with the first share.
    pub fn first(&self) -> &V {
        &self.ends[0].1
    }

    /// The version of a key.
    pub fn pick(&self, key: &[u8]) -> &V {
        let n = self.ends.last().map_or(1, |(end, _)| *end);
        let bucket = bucket(&self.salt, key, n);
        let at = self.ends.partition_point(|(end, _)| *end <= bucket);
        &self.ends[at].1
    }
}

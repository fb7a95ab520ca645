//! The `[serve]` table of the pipeline file.

use std::fmt;

use cupola_models::DeviceChoice;
use cupola_monitoring::drift::DriftConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::batching::BatchLimits;
use crate::routing::{RouteConfig, RouteError};

/// The `[serve]` table: how models are served.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ServeConfig {
    /// Address and port to listen on. Only this machine can reach the default.
    pub bind: String,
    /// Device that scores.
    pub device: DeviceChoice,
    /// Which version answers a request that names none.
    pub route: RouteConfig,
    /// Threads that read requests and write answers. Without it: half the cores, at least one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_workers: Option<usize>,
    /// Threads per version that score batches too long for the reading threads.
    pub workers: usize,
    /// Rows that are scored together at most.
    pub batch_rows_max: usize,
    /// Bytes of request bodies that are scored together at most.
    pub batch_mib_max: usize,
    /// A batch expected to take at most this long is scored by the thread that read it, which
    /// spares two thread switches; 0 hands every batch over. Applies to the CPU.
    pub inline_us_max: u64,
    /// Rows that may wait per version; what comes on top is refused with 429.
    pub queue_rows_max: usize,
    /// Largest request body; a larger one is refused with 413.
    pub body_mib_max: usize,
    /// Bytes that the bodies of all requests under way may have together; what comes on top is
    /// refused with 503.
    pub bodies_mib_max: usize,
    /// Time a client has to send a body; a slower one is refused with 408.
    pub body_seconds_max: u64,
    /// Records in one request at most.
    pub records_max: usize,
    /// Open connections at most.
    pub connections_max: usize,
    /// How often the registry is asked whether an alias has moved.
    pub reload_interval_ms: u64,
    /// How long a stopping server waits for the requests it has admitted.
    pub drain_seconds_max: u64,
    /// How drift from the training data is measured, for each version.
    pub drift: DriftConfig,
    /// Bearer token that inference asks for. Comes from `CUPOLA_SERVE_TOKEN`, never from a file.
    #[serde(skip)]
    #[schemars(skip)]
    pub token: Option<Token>,
}

impl Default for ServeConfig {
    fn default() -> Self {
        Self {
            bind: "127.0.0.1:8080".into(),
            device: DeviceChoice::Auto,
            route: RouteConfig::default(),
            http_workers: None,
            workers: 1,
            batch_rows_max: 4_096,
            batch_mib_max: 16,
            inline_us_max: 1_000,
            queue_rows_max: 8_192,
            body_mib_max: 8,
            bodies_mib_max: 256,
            body_seconds_max: 30,
            records_max: 4_096,
            connections_max: 10_000,
            reload_interval_ms: 1_000,
            drain_seconds_max: 30,
            drift: DriftConfig::default(),
            token: None,
        }
    }
}

/// What contradicts itself in a [`ServeConfig`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A limit that must be at least one.
    #[error("serve.{key} is 0; it must be at least 1")]
    Zero {
        /// Key at fault.
        key: &'static str,
    },
    /// A request could be larger than a batch.
    #[error(
        "serve.{key} is {value}, more than serve.{limit} ({limit_value}); raise the latter or lower the former"
    )]
    Above {
        /// Key at fault.
        key: &'static str,
        /// Its value.
        value: usize,
        /// Key of the limit.
        limit: &'static str,
        /// Value of the limit.
        limit_value: usize,
    },
    /// The route makes no sense.
    #[error("serve.route: {0}")]
    Route(#[from] RouteError),
    /// A token that cannot be sent in a header.
    #[error("CUPOLA_SERVE_TOKEN is empty or has characters other than visible ASCII; choose another token")]
    Token,
}

impl ServeConfig {
    /// Checks the values against each other; does no I/O.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let at_least_one = [
            ("workers", self.workers),
            ("http_workers", self.http_workers.unwrap_or(1)),
            ("batch_rows_max", self.batch_rows_max),
            ("batch_mib_max", self.batch_mib_max),
            ("queue_rows_max", self.queue_rows_max),
            ("body_mib_max", self.body_mib_max),
            ("body_seconds_max", self.body_seconds_max as usize),
            ("records_max", self.records_max),
            ("connections_max", self.connections_max),
            ("reload_interval_ms", self.reload_interval_ms as usize),
        ];
        if let Some((key, _)) = at_least_one.into_iter().find(|(_, value)| *value == 0) {
            return Err(ConfigError::Zero { key });
        }
        let below = [
            ("records_max", self.records_max, "batch_rows_max", self.batch_rows_max),
            ("records_max", self.records_max, "queue_rows_max", self.queue_rows_max),
            ("body_mib_max", self.body_mib_max, "batch_mib_max", self.batch_mib_max),
            ("body_mib_max", self.body_mib_max, "bodies_mib_max", self.bodies_mib_max),
        ];
        if let Some((key, value, limit, limit_value)) = below.into_iter().find(|(_, v, _, max)| v > max) {
            return Err(ConfigError::Above { key, value, limit, limit_value });
        }
        self.token.as_ref().map_or(Ok(()), Token::validate)?;
        Ok(self.route.validate()?)
    }

    pub(crate) fn batch_limits(&self) -> BatchLimits {
        BatchLimits {
            rows: self.batch_rows_max,
            bytes: self.batch_mib_max << 20,
            waiting_rows: self.queue_rows_max,
            inline_us: self.inline_us_max,
        }
    }

    /// Half the cores: on a full machine the other half scores, prepares and serves the system.
    pub(crate) fn http_workers(&self) -> usize {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        self.http_workers.unwrap_or((cores / 2).max(1)).min(512)
    }
}

/// A secret that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// Takes the secret as it is.
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }

    fn validate(&self) -> Result<(), ConfigError> {
        let sendable = !self.0.is_empty() && self.0.bytes().all(|b| b.is_ascii_graphic());
        if sendable { Ok(()) } else { Err(ConfigError::Token) }
    }

    /// Compares without telling by its duration how much was right.
    pub(crate) fn matches(&self, given: &[u8]) -> bool {
        let secret = self.0.as_bytes();
        let differing = secret.iter().zip(given).fold(0, |all, (a, b)| all | (a ^ b));
        secret.len() == given.len() && differing == 0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_valid_and_listens_on_loopback() {
        let config = ServeConfig::default();
        assert_eq!(config.validate(), Ok(()));
        assert!(config.bind.starts_with("127.0.0.1:"));
    }

    #[test]
    fn limits_that_contradict_each_other_are_named() {
        let config = ServeConfig { records_max: 5_000, ..ServeConfig::default() };
        let message = config.validate().unwrap_err().to_string();
        assert_eq!(
            message,
            "serve.records_max is 5000, more than serve.batch_rows_max (4096); raise the latter or lower the former"
        );
        let config = ServeConfig { queue_rows_max: 0, ..ServeConfig::default() };
        assert_eq!(config.validate(), Err(ConfigError::Zero { key: "queue_rows_max" }));
    }

    #[test]
    fn a_token_is_compared_whole_and_not_printed() {
        let token = Token::new("s3cret");
        assert!(token.matches(b"s3cret"));
        assert!(!token.matches(b"s3cre") && !token.matches(b"s3cret2") && !token.matches(b"s3creT"));
        let config = ServeConfig { token: Some(token), ..ServeConfig::default() };
        assert!(!format!("{config:?}").contains("s3cret"));
        assert!(!serde_json::to_string(&config).unwrap().contains("s3cret"));
        let config = ServeConfig { token: Some(Token::new("two words")), ..ServeConfig::default() };
        assert_eq!(config.validate(), Err(ConfigError::Token));
    }
}

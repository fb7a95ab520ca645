use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use super::error::MlflowError;

/// How to reach an MLflow server, from MLflow's own environment variables.
#[derive(Clone, Debug)]
pub struct MlflowConfig {
    /// Address of the server.
    pub server: Url,
    /// `MLFLOW_TRACKING_TOKEN`, sent as a bearer token.
    pub token: Option<Secret>,
    /// `MLFLOW_TRACKING_USERNAME` and `MLFLOW_TRACKING_PASSWORD`; they win over the token.
    pub login: Option<(String, Secret)>,
    /// `MLFLOW_WORKSPACE`: workspace on a server that has several.
    pub workspace: Option<String>,
    /// `MLFLOW_EXPERIMENT_NAME`: instead of the pipeline's name.
    pub experiment: Option<String>,
    /// `MLFLOW_HTTP_REQUEST_TIMEOUT`: longest wait for an answer.
    pub timeout: Duration,
    /// `MLFLOW_HTTP_REQUEST_MAX_RETRIES`: further attempts before `runs sync` and the registry
    /// give up. A live run never gives up.
    pub retries: u32,
    /// Wait before the second attempt; doubles with each further one.
    pub backoff_first: Duration,
    /// Longest wait between attempts.
    pub backoff_max: Duration,
    /// Seed of the random part of those waits; it differs between processes by default.
    pub jitter_seed: u64,
    /// How often a live run's journal is looked at.
    pub poll_interval: Duration,
    /// `MLFLOW_TRACKING_INSECURE_TLS`: do not check the server's certificate.
    pub insecure_tls: bool,
    /// `MLFLOW_TRACKING_SERVER_CERT_PATH`: further certificates to trust, PEM.
    pub certificates: Option<PathBuf>,
}

/// A text that never shows in a message.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

const TRACKING_URI: &str = "MLFLOW_TRACKING_URI";
const REGISTRY_URI: &str = "MLFLOW_REGISTRY_URI";

impl MlflowConfig {
    /// A server with all defaults.
    pub fn new(server: Url) -> Self {
        Self {
            server,
            token: None,
            login: None,
            workspace: None,
            experiment: None,
            timeout: Duration::from_secs(120),
            retries: 5,
            backoff_first: Duration::from_millis(500),
            backoff_max: Duration::from_secs(30),
            jitter_seed: uuid::Uuid::new_v4().as_u64_pair().0,
            poll_interval: Duration::from_secs(1),
            insecure_tls: false,
            certificates: None,
        }
    }

    /// The tracking server; `None` when `MLFLOW_TRACKING_URI` is not set.
    ///
    /// # Errors
    /// A variable with a value that cannot be used.
    pub fn tracking(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, MlflowError> {
        Self::read(&[TRACKING_URI], variable)
    }

    /// The registry's server: `MLFLOW_REGISTRY_URI`, else the tracking server.
    ///
    /// # Errors
    /// A variable with a value that cannot be used.
    pub fn registry(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, MlflowError> {
        Self::read(&[REGISTRY_URI, TRACKING_URI], variable)
    }

    fn read(
        addresses: &[&'static str],
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>, MlflowError> {
        let set = |name: &str| {
            variable(name).map(|value| value.trim().to_string()).filter(|value| !value.is_empty())
        };
        let Some((name, address)) = addresses.iter().find_map(|&name| Some((name, set(name)?))) else {
            return Ok(None);
        };
        let mut config = Self::new(server(name, &address)?);
        config.token = set("MLFLOW_TRACKING_TOKEN").map(Secret);
        config.login = login(set("MLFLOW_TRACKING_USERNAME"), set("MLFLOW_TRACKING_PASSWORD"))?;
        config.workspace = set("MLFLOW_WORKSPACE");
        config.experiment = set("MLFLOW_EXPERIMENT_NAME");
        if let Some(seconds) = number("MLFLOW_HTTP_REQUEST_TIMEOUT", &set)? {
            config.timeout = Duration::from_secs(u64::from(seconds.max(1)));
        }
        if let Some(retries) = number("MLFLOW_HTTP_REQUEST_MAX_RETRIES", &set)? {
            config.retries = retries;
        }
        config.insecure_tls = set("MLFLOW_TRACKING_INSECURE_TLS")
            .is_some_and(|value| value.eq_ignore_ascii_case("true") || value == "1");
        config.certificates = set("MLFLOW_TRACKING_SERVER_CERT_PATH").map(PathBuf::from);
        Ok(Some(config))
    }
}

/// A variable of this process, for [`MlflowConfig::tracking`] and [`MlflowConfig::registry`].
impl MlflowConfig {
    /// Looks a variable up in the environment.
    pub fn env(name: &str) -> Option<String> {
        std::env::var(name).ok()
    }
}

fn server(variable: &'static str, address: &str) -> Result<Url, MlflowError> {
    let error = |reason| Err(MlflowError::Config { variable, reason });
    match Url::parse(address) {
        Ok(mut url) if matches!(url.scheme(), "http" | "https") && url.has_host() => {
            // Paths are appended; a trailing slash would double.
            let path = url.path().trim_end_matches('/').to_string();
            url.set_path(&path);
            url.set_query(None);
            url.set_fragment(None);
            Ok(url)
        }
        Ok(url) => error(format!(
            "{}: addresses are not supported, only a server's http:// or https://; start one with `mlflow server` and set its address, or unset the variable",
            url.scheme()
        )),
        Err(reason) => {
            error(format!("{address:?} is not an address ({reason}); write it as http://HOST:PORT"))
        }
    }
}

fn login(
    username: Option<String>,
    password: Option<String>,
) -> Result<Option<(String, Secret)>, MlflowError> {
    match (username, password) {
        (Some(username), Some(password)) => Ok(Some((username, Secret(password)))),
        (None, None) => Ok(None),
        (Some(_), None) => Err(MlflowError::Config {
            variable: "MLFLOW_TRACKING_PASSWORD",
            reason: "is not set while MLFLOW_TRACKING_USERNAME is; set both or none".into(),
        }),
        (None, Some(_)) => Err(MlflowError::Config {
            variable: "MLFLOW_TRACKING_USERNAME",
            reason: "is not set while MLFLOW_TRACKING_PASSWORD is; set both or none".into(),
        }),
    }
}

fn number(variable: &'static str, set: &impl Fn(&str) -> Option<String>) -> Result<Option<u32>, MlflowError> {
    set(variable)
        .map(|text| {
            text.parse().map_err(|_| MlflowError::Config {
                variable,
                reason: format!("{text:?} is not a whole number; set one or unset it"),
            })
        })
        .transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(set: &'static [(&str, &str)]) -> impl Fn(&str) -> Option<String> {
        move |name| set.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_string())
    }

    #[test]
    fn nothing_set_means_no_server() {
        assert!(MlflowConfig::tracking(variables(&[])).unwrap().is_none());
        assert!(MlflowConfig::tracking(variables(&[("MLFLOW_TRACKING_URI", " ")])).unwrap().is_none());
    }

    #[test]
    fn variables_of_mlflow_are_understood() {
        let config = MlflowConfig::tracking(variables(&[
            ("MLFLOW_TRACKING_URI", "https://example.org/mlflow/"),
            ("MLFLOW_TRACKING_USERNAME", "ann"),
            ("MLFLOW_TRACKING_PASSWORD", "hunter2"),
            ("MLFLOW_HTTP_REQUEST_TIMEOUT", "7"),
            ("MLFLOW_TRACKING_INSECURE_TLS", "true"),
        ]))
        .unwrap()
        .unwrap();
        assert_eq!(config.server.as_str(), "https://example.org/mlflow");
        assert_eq!(config.timeout, Duration::from_secs(7));
        assert!(config.insecure_tls);
        assert!(!format!("{config:?}").contains("hunter2"), "a secret shows in {config:?}");
    }

    #[test]
    fn the_registry_has_its_own_address_if_it_is_set() {
        let set = variables(&[("MLFLOW_TRACKING_URI", "http://a:1"), ("MLFLOW_REGISTRY_URI", "http://b:2")]);
        assert_eq!(MlflowConfig::registry(&set).unwrap().unwrap().server.as_str(), "http://b:2/");
        assert_eq!(MlflowConfig::tracking(&set).unwrap().unwrap().server.as_str(), "http://a:1/");
    }

    #[test]
    fn a_value_that_cannot_be_used_says_what_to_do() {
        for (name, value, said) in [
            ("MLFLOW_TRACKING_URI", "sqlite:///mlflow.db", "start one with `mlflow server`"),
            ("MLFLOW_TRACKING_URI", "localhost", "http://HOST:PORT"),
        ] {
            let error =
                MlflowConfig::tracking(|key| (key == name).then(|| value.into())).unwrap_err().to_string();
            assert!(error.starts_with(name) && error.contains(said), "{error}");
        }
        let error = MlflowConfig::tracking(variables(&[
            ("MLFLOW_TRACKING_URI", "http://a"),
            ("MLFLOW_HTTP_REQUEST_TIMEOUT", "soon"),
        ]));
        assert!(error.unwrap_err().to_string().contains("whole number"));
    }
}

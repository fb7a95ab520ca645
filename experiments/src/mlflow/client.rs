use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use reqwest::blocking::{Body, RequestBuilder, Response};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Certificate, Method};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use url::Url;

use super::backoff::Backoff;
use super::config::{MlflowConfig, Secret};
use super::error::MlflowError;

/// One attempt at one call of an MLflow server. Calls block; reqwest works on a thread of its own.
pub struct Client {
    http: reqwest::blocking::Client,
    config: MlflowConfig,
    server: String,
}

/// What a server says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerInfo {
    /// Version of MLflow.
    pub version: String,
}

/// Much more than any answer without a file; a limit so that a wrong address cannot fill memory.
const REPLY_BYTES_MAX: u64 = 64 << 20;
const MESSAGE_CHARS_MAX: usize = 500;
/// Slowest transfer of a file that is waited for.
const TRANSFER_BYTES_PER_SECOND_MIN: u64 = 256 << 10;

impl Client {
    /// Prepares to talk to a server; does not talk yet.
    ///
    /// # Errors
    /// A secret that HTTP cannot carry, or certificates that cannot be read.
    pub fn new(config: MlflowConfig) -> Result<Self, MlflowError> {
        let mut builder = reqwest::blocking::Client::builder()
            .user_agent(concat!("cupola/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers(&config)?)
            .timeout(config.timeout)
            .connect_timeout(config.timeout.min(Duration::from_secs(10)))
            .danger_accept_invalid_certs(config.insecure_tls);
        if is_loopback(&config.server) {
            // A proxy of the network cannot reach this machine's own server.
            builder = builder.no_proxy();
        }
        if let Some(path) = &config.certificates {
            let pem = std::fs::read(path).map_err(|source| MlflowError::file("read", path, source))?;
            let certificates = Certificate::from_pem_bundle(&pem).map_err(|reason| MlflowError::Config {
                variable: "MLFLOW_TRACKING_SERVER_CERT_PATH",
                reason: format!("{} holds no PEM certificates: {reason}", path.display()),
            })?;
            builder = certificates
                .into_iter()
                .fold(builder, |builder, certificate| builder.add_root_certificate(certificate));
        }
        let http = builder.build().map_err(|reason| MlflowError::Config {
            variable: "MLFLOW_TRACKING_URI",
            reason: format!("no HTTP client: {reason}"),
        })?;
        let mut shown = config.server.clone();
        // Both fail only for addresses that cannot have a login.
        let _ = shown.set_username("");
        let _ = shown.set_password(None);
        Ok(Self { http, server: shown.as_str().trim_end_matches('/').into(), config })
    }

    /// Its settings.
    pub fn config(&self) -> &MlflowConfig {
        &self.config
    }

    /// The server's address, without secrets.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// Asks the server for its version: whether it is there and is MLflow.
    ///
    /// # Errors
    /// No answer, or one that is not MLflow's.
    pub fn server_info(&self) -> Result<ServerInfo, MlflowError> {
        let call = Call::new(Method::GET, "/version");
        let text = self.text(self.send(&call, self.request(&call))?, &call)?;
        let version = text.trim();
        if version.starts_with(|c: char| c.is_ascii_digit()) && version.len() < 40 {
            Ok(ServerInfo { version: version.into() })
        } else {
            Err(self.unexpected(&call, "no version number".into()))
        }
    }

    /// Repeats a call that may be repeated until it succeeds, fails for good, or has been tried
    /// often enough.
    pub(super) fn retrying<T>(
        &self,
        mut call: impl FnMut() -> Result<T, MlflowError>,
    ) -> Result<T, MlflowError> {
        let mut backoff = Backoff::new(&self.config);
        let mut left = self.config.retries;
        loop {
            match call() {
                Err(error) if error.is_transient() && left > 0 => {
                    left -= 1;
                    std::thread::sleep(backoff.next());
                }
                result => return result,
            }
        }
    }

    pub(super) fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<T, MlflowError> {
        let call = Call::new(Method::GET, path);
        self.json(self.send(&call, self.request(&call).query(query))?, &call)
    }

    pub(super) fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, MlflowError> {
        self.with_body(Method::POST, path, body)
    }

    /// A call with a JSON body whose answer holds nothing of interest.
    pub(super) fn tell(&self, method: Method, path: &str, body: &impl Serialize) -> Result<(), MlflowError> {
        self.with_body::<serde::de::IgnoredAny>(method, path, body).map(|_| ())
    }

    fn with_body<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, MlflowError> {
        let call = Call::new(method, path);
        self.json(self.send(&call, self.request(&call).json(body))?, &call)
    }

    /// Streams a file to a path.
    pub(super) fn put_file(&self, path: &str, local: &Path) -> Result<(), MlflowError> {
        let read = |source| MlflowError::file("read", local, source);
        let file = File::open(local).map_err(read)?;
        let len = file.metadata().map_err(read)?.len();
        self.put(path, Body::sized(file, len), len, content_type(local))
    }

    /// Sends a text as a file to a path.
    pub(super) fn put_text(&self, path: &str, text: String) -> Result<(), MlflowError> {
        let (len, kind) = (text.len() as u64, content_type(Path::new(path)));
        self.put(path, Body::from(text), len, kind)
    }

    fn put(&self, path: &str, body: Body, len: u64, content_type: &'static str) -> Result<(), MlflowError> {
        let call = Call::new(Method::PUT, path);
        let request = self
            .request(&call)
            .timeout(self.transfer_timeout(len))
            .header(CONTENT_TYPE, content_type)
            .body(body);
        self.send(&call, request).map(|_| ())
    }

    /// Streams what is at a path into a file that is made or replaced.
    pub(super) fn get_file(&self, path: &str, local: &Path) -> Result<(), MlflowError> {
        let call = Call::new(Method::GET, path);
        // The length is not known yet; a file of 10 GiB at the slowest pace.
        let mut response = self.send(&call, self.request(&call).timeout(self.transfer_timeout(10 << 30)))?;
        let mut file = File::create(local).map_err(|source| MlflowError::file("create", local, source))?;
        let mut buffer = vec![0; 256 << 10];
        loop {
            let n =
                response.read(&mut buffer).map_err(|reason| self.no_answer(&call, &reason.to_string()))?;
            if n == 0 {
                break;
            }
            std::io::Write::write_all(&mut file, &buffer[..n])
                .map_err(|source| MlflowError::file("write", local, source))?;
        }
        file.sync_all().map_err(|source| MlflowError::file("sync", local, source))
    }

    fn transfer_timeout(&self, len: u64) -> Duration {
        self.config.timeout + Duration::from_secs(len / TRANSFER_BYTES_PER_SECOND_MIN)
    }

    fn request(&self, call: &Call) -> RequestBuilder {
        let mut url = self.config.server.clone();
        let base = url.path().trim_end_matches('/').to_string();
        url.set_path(&format!("{base}{}", call.path));
        let request = self.http.request(call.method.clone(), url);
        match (&self.config.login, &self.config.token) {
            (Some((username, Secret(password))), _) => request.basic_auth(username, Some(password)),
            (None, Some(Secret(token))) => request.bearer_auth(token),
            (None, None) => request,
        }
    }

    fn send(&self, call: &Call, request: RequestBuilder) -> Result<Response, MlflowError> {
        let response = request.send().map_err(|error| self.no_answer(call, &causes(&error)))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let text = self.text(response, call).unwrap_or_default();
        let said: ErrorReply = serde_json::from_str(&text).unwrap_or_default();
        let message = said.message.unwrap_or(text).trim().chars().take(MESSAGE_CHARS_MAX).collect();
        let (server, call, status) = (self.server.clone(), call.to_string(), status.as_u16());
        Err(match status {
            401 | 403 => MlflowError::Unauthorized { server, call, status, message },
            408 | 429 | 500..=599 => MlflowError::Busy { server, call, status, message },
            _ => MlflowError::Refused {
                server,
                call,
                status,
                code: said.error_code.unwrap_or_default(),
                message,
            },
        })
    }

    fn text(&self, response: Response, call: &Call) -> Result<String, MlflowError> {
        let mut bytes = Vec::new();
        response
            .take(REPLY_BYTES_MAX)
            .read_to_end(&mut bytes)
            .map_err(|reason| self.no_answer(call, &reason.to_string()))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn json<T: DeserializeOwned>(&self, response: Response, call: &Call) -> Result<T, MlflowError> {
        let text = self.text(response, call)?;
        serde_json::from_str(&text).map_err(|reason| self.unexpected(call, reason.to_string()))
    }

    fn no_answer(&self, call: &Call, reason: &str) -> MlflowError {
        MlflowError::NoAnswer { server: self.server.clone(), call: call.to_string(), reason: reason.into() }
    }

    fn unexpected(&self, call: &Call, reason: String) -> MlflowError {
        MlflowError::Reply { server: self.server.clone(), call: call.to_string(), reason }
    }
}

struct Call {
    method: Method,
    path: String,
}

impl Call {
    /// `path` is absolute, or relative to `/api/2.0/mlflow/`.
    fn new(method: Method, path: &str) -> Self {
        let path = if path.starts_with('/') { path.into() } else { format!("/api/2.0/mlflow/{path}") };
        Self { method, path }
    }
}

impl std::fmt::Display for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

#[derive(Default, Deserialize)]
struct ErrorReply {
    error_code: Option<String>,
    message: Option<String>,
}

fn headers(config: &MlflowConfig) -> Result<HeaderMap, MlflowError> {
    let mut headers = HeaderMap::new();
    if let Some(workspace) = &config.workspace {
        let value = HeaderValue::from_str(workspace).map_err(|_| MlflowError::Config {
            variable: "MLFLOW_WORKSPACE",
            reason: "holds characters that a header cannot carry; set it again".into(),
        })?;
        headers.insert(HeaderName::from_static("x-mlflow-workspace"), value);
    }
    Ok(headers)
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// An error of the connection with all its causes but without the address, which may hold a
/// login.
fn causes(error: &reqwest::Error) -> String {
    let mut text = if error.is_timeout() { "timed out".to_string() } else { "request failed".to_string() };
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

fn content_type(path: &Path) -> &'static str {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("json") => "application/json",
        Some("html") => "text/html",
        Some("txt" | "log" | "toml" | "yaml" | "md" | "csv") => "text/plain",
        Some("png") => "image/png",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_loopback() {
        let loopback = |text: &str| Url::parse(text).is_ok_and(|url| is_loopback(&url));
        assert!(
            loopback("http://127.0.0.1:5000")
                && loopback("http://localhost:5000")
                && loopback("http://[::1]:5000")
        );
        assert!(!loopback("http://10.0.0.1:5000") && !loopback("https://localhost.example.org"));
    }
}

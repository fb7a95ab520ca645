use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpResponse, HttpResponseBuilder};
use serde::Serialize;

use super::request_id;
use crate::batching::Overloaded;
use crate::records::BodyError;
use crate::scoring::{JobError, RecordError};
use crate::telemetry::Metrics;

/// Everything a request can be refused for. The table of statuses and stable codes is
/// [`ApiError::status`] and [`ApiError::code`].
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    #[error("no model {name:?} is served; served models: {known}")]
    UnknownModel { name: String, known: String },
    #[error(
        "version {version} of {model} is not served; served versions: {known}; give a version an alias to have it served"
    )]
    UnknownVersion { model: String, version: String, known: String },
    #[error("no such path; see /openapi.json for those that are there")]
    NotFound,
    #[error("{method} is not possible here; use {allow}")]
    Method { method: String, allow: &'static str },
    #[error("a body of type {found:?} cannot be read; send Content-Type: application/json")]
    MediaType { found: String },
    #[error("the body is larger than {mib_max} MiB; send fewer records at once, or raise serve.body_mib_max")]
    BodyTooLarge { mib_max: usize },
    #[error(
        "{found} records are more than the {max} that fit in a request; send fewer at once, or raise serve.records_max"
    )]
    TooManyRecords { found: usize, max: usize },
    #[error("the body was not there within {seconds} s; send it faster, or raise serve.body_seconds_max")]
    BodyTimeout { seconds: u64 },
    #[error(
        "the requests under way fill the {mib_max} MiB that their bodies may have together; try again later"
    )]
    BodiesFull { mib_max: usize },
    #[error("the connection broke before the whole body was there")]
    BodyIncomplete,
    #[error(transparent)]
    Body(#[from] BodyError),
    #[error("{n_records} of the records cannot be scored; see `fields`")]
    InvalidRecord { n_records: usize, fields: Vec<RecordError> },
    #[error(transparent)]
    Overloaded(#[from] Overloaded),
    #[error("a bearer token is needed: Authorization: Bearer TOKEN")]
    Unauthorized,
    #[error("the server is starting; try again in a moment")]
    Warming,
    #[error("the server is stopping; use another one")]
    Draining,
    #[error(
        "the records could not be scored because of a fault of the server or the model; its log has the reason under this request_id"
    )]
    Failed { reason: String },
}

impl From<JobError> for ApiError {
    fn from(error: JobError) -> Self {
        match error {
            JobError::Invalid { n_records, fields } => Self::InvalidRecord { n_records, fields },
            JobError::Body(error) => Self::Body(error),
            JobError::Failed(error) => Self::Failed { reason: error.to_string() },
        }
    }
}

impl ApiError {
    /// The error's HTTP status.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Body(_) | Self::BodyIncomplete => StatusCode::BAD_REQUEST,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::UnknownModel { .. } | Self::UnknownVersion { .. } | Self::NotFound => StatusCode::NOT_FOUND,
            Self::Method { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::BodyTooLarge { .. } | Self::TooManyRecords { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::MediaType { .. } => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::InvalidRecord { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Overloaded(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Failed { .. } => StatusCode::INTERNAL_SERVER_ERROR,
            Self::BodyTimeout { .. } => StatusCode::REQUEST_TIMEOUT,
            Self::BodiesFull { .. } | Self::Warming | Self::Draining => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The error's stable name.
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnknownModel { .. } => "unknown_model",
            Self::UnknownVersion { .. } => "unknown_version",
            Self::NotFound => "not_found",
            Self::Method { .. } => "method_not_allowed",
            Self::MediaType { .. } => "unsupported_media_type",
            Self::BodyTooLarge { .. } => "body_too_large",
            Self::TooManyRecords { .. } => "too_many_records",
            Self::BodyIncomplete => "body_incomplete",
            Self::BodyTimeout { .. } => "body_timeout",
            Self::BodiesFull { .. } => "bodies_full",
            Self::Body(BodyError::Malformed { .. }) => "malformed_json",
            Self::Body(BodyError::NotAnObject) => "not_an_object",
            Self::Body(BodyError::NoRecords) => "no_records",
            Self::InvalidRecord { .. } => "invalid_record",
            Self::Overloaded(_) => "overloaded",
            Self::Unauthorized => "unauthorized",
            Self::Warming => "warming",
            Self::Draining => "draining",
            Self::Failed { .. } => "internal",
        }
    }

    /// The reply, counted, and logged if it is the server's fault.
    pub fn reply(&self, request_id: &str, metrics: &Metrics) -> HttpResponse {
        let status = self.status();
        metrics.count_error(self.code(), status.as_u16());
        if let Self::Failed { reason } = self {
            tracing::error!(request_id, reason, "a request failed");
        }
        let mut response = HttpResponse::build(status);
        response.insert_header((CONTENT_TYPE, "application/json"));
        response.insert_header((request_id::HEADER, request_id));
        self.add_headers(&mut response);
        let fields = match self {
            Self::InvalidRecord { fields, .. } => fields.iter().map(Field::from).collect(),
            _ => Vec::new(),
        };
        let error = Body { code: self.code(), message: self.to_string(), request_id, fields };
        response.body(serde_json::json!({ "error": error }).to_string())
    }

    fn add_headers(&self, response: &mut HttpResponseBuilder) {
        match self {
            Self::Overloaded(_) | Self::BodiesFull { .. } | Self::Warming => {
                response.insert_header((RETRY_AFTER, "1"))
            }
            Self::Draining => response.insert_header((RETRY_AFTER, "1")).force_close(),
            Self::Unauthorized => response.insert_header((WWW_AUTHENTICATE, "Bearer")),
            Self::Method { allow, .. } => response.insert_header((ALLOW, *allow)),
            _ => response,
        };
    }
}

#[derive(Serialize)]
struct Body<'a> {
    code: &'a str,
    message: String,
    request_id: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fields: Vec<Field<'a>>,
}

#[derive(Serialize)]
struct Field<'a> {
    record: usize,
    column: &'a str,
    code: &'a cupola_datasets::records::FieldErrorCode,
    message: &'a str,
}

impl<'a> From<&'a RecordError> for Field<'a> {
    fn from(broken: &'a RecordError) -> Self {
        let RecordError { record, error } = broken;
        Self { record: *record, column: &error.column, code: &error.code, message: &error.message }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header<'a>(response: &'a HttpResponse, name: &str) -> Option<&'a str> {
        response.headers().get(name).map(|value| value.to_str().unwrap())
    }

    #[test]
    fn what_passes_by_itself_says_when_to_try_again() {
        let metrics = Metrics::new().unwrap();
        let retried = [
            (ApiError::Warming, 503),
            (ApiError::Draining, 503),
            (ApiError::BodiesFull { mib_max: 1 }, 503),
            (ApiError::Overloaded(Overloaded { waiting_rows_max: 7 }), 429),
        ];
        for (error, status) in retried {
            let reply = error.reply("id-1", &metrics);
            assert_eq!(
                (reply.status().as_u16(), header(&reply, "retry-after")),
                (status, Some("1")),
                "{error:?}"
            );
            assert_eq!(header(&reply, "x-request-id"), Some("id-1"));
        }
        let lasting = ApiError::TooManyRecords { found: 2, max: 1 }.reply("id-2", &metrics);
        assert_eq!((lasting.status().as_u16(), header(&lasting, "retry-after")), (413, None));
    }

    #[test]
    fn a_fault_of_the_server_does_not_tell_its_reason() {
        let error = ApiError::Failed { reason: "/etc/secret is missing".into() };
        assert_eq!((error.status().as_u16(), error.code()), (500, "internal"));
        assert!(!error.to_string().contains("secret"));
    }
}

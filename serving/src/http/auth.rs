use actix_web::HttpRequest;
use actix_web::http::header::AUTHORIZATION;

use super::errors::ApiError;
use super::state::AppState;

/// Passes requests that carry the token, and all where none is configured.
pub fn check(request: &HttpRequest, app: &AppState) -> Result<(), ApiError> {
    let Some(token) = &app.config.token else {
        return Ok(());
    };
    let given = request.headers().get(AUTHORIZATION).map(|value| value.as_bytes());
    let given = given.and_then(|value| value.split_at_checked("Bearer ".len()));
    match given {
        Some((scheme, given)) if scheme.eq_ignore_ascii_case(b"Bearer ") && token.matches(given) => Ok(()),
        _ => Err(ApiError::Unauthorized),
    }
}

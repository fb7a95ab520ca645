use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use actix_web::web::Payload;
use bytes::{Bytes, BytesMut};
use futures::StreamExt;

use super::body_budget::Reserved;
use super::errors::ApiError;
use super::state::AppState;

/// The whole body of a JSON request. A body that says it is too large, or for which there is no room
/// now, is refused before any of it is read; one that does not say, when it gets there.
pub async fn json(request: &HttpRequest, payload: Payload, app: &AppState) -> Result<Bytes, ApiError> {
    check_type(request)?;
    let max = app.config.body_mib_max << 20;
    let declared = request.headers().get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse().ok());
    if declared.is_some_and(|length: u64| length > max as u64) {
        return Err(too_large(app));
    }
    let declared = declared.unwrap_or(0) as usize;
    let reserved = app.bodies.reserve(declared).ok_or_else(|| full(app))?;
    let seconds = app.config.body_seconds_max;
    let read = read(payload, app, declared, reserved);
    let read = actix_web::rt::time::timeout(Duration::from_secs(seconds), read).await;
    read.unwrap_or(Err(ApiError::BodyTimeout { seconds }))
}

fn too_large(app: &AppState) -> ApiError {
    ApiError::BodyTooLarge { mib_max: app.config.body_mib_max }
}

fn full(app: &AppState) -> ApiError {
    ApiError::BodiesFull { mib_max: app.config.bodies_mib_max }
}

async fn read(
    mut payload: Payload,
    app: &AppState,
    declared: usize,
    mut reserved: Reserved,
) -> Result<Bytes, ApiError> {
    let mut next = async || payload.next().await.transpose().map_err(|_| ApiError::BodyIncomplete);
    let max = app.config.body_mib_max << 20;
    let mut fits = |len: usize| match len {
        len if len > max => Err(too_large(app)),
        len if !reserved.grow_to(len) => Err(full(app)),
        _ => Ok(()),
    };
    // Nearly every body arrives in one piece, which is used as it is.
    let first = next().await?.unwrap_or_default();
    fits(first.len())?;
    let Some(second) = next().await? else { return Ok(reserved.hold(first)) };
    let mut whole = BytesMut::with_capacity(declared.max(first.len() + second.len()));
    whole.extend_from_slice(&first);
    let mut piece = Some(second);
    while let Some(more) = piece {
        fits(whole.len() + more.len())?;
        whole.extend_from_slice(&more);
        piece = next().await?;
    }
    Ok(reserved.hold(whole.freeze()))
}

/// JSON, or nothing said.
fn check_type(request: &HttpRequest) -> Result<(), ApiError> {
    let Some(found) = request.headers().get(CONTENT_TYPE) else { return Ok(()) };
    if found == "application/json" {
        return Ok(());
    }
    let text = String::from_utf8_lossy(found.as_bytes());
    let essence = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_json =
        essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"));
    if is_json { Ok(()) } else { Err(ApiError::MediaType { found: text.into_owned() }) }
}

//! Answers in the forms of the servers that are played.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::request::Faults;

/// The error of the Public API (`ErrorResponseModel`): `errors` is null when there are no details.
pub(crate) fn public_error(status: StatusCode, message: &str, errors: Option<&Faults>) -> Response {
    (status, Json(json!({ "object": "error", "message": message, "errors": errors }))).into_response()
}

/// What everything unforeseen becomes.
pub(crate) fn unhandled() -> Response {
    public_error(StatusCode::INTERNAL_SERVER_ERROR, "An unhandled server error has occurred.", None)
}

/// The identity server's refusal.
pub(crate) fn oauth_error(error: &str) -> Response {
    (StatusCode::BAD_REQUEST, Json(json!({ "error": error }))).into_response()
}

/// The rate limiter's refusal (`CustomIpRateLimitMiddleware`).
pub(crate) fn too_many(seconds: u64) -> Response {
    let unit = if seconds >= 60 { "1m".to_owned() } else { format!("{seconds}s") };
    let body = json!({
        "message": format!("Slow down! Too many requests. Try again in {unit}."),
        "validationErrors": null, "exceptionMessage": null, "exceptionStackTrace": null,
        "innerExceptionMessage": null, "object": "error",
    });
    let mut response = (StatusCode::TOO_MANY_REQUESTS, Json(body)).into_response();
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    response
}

/// No or no good token, on the official server: no body.
pub(crate) fn unauthorized() -> Response {
    (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Bearer error=\"invalid_token\"")]).into_response()
}

/// Vaultwarden's own errors (its `error.rs`).
pub(crate) fn vaultwarden_error(message: &str) -> Response {
    let body = json!({
        "message": message, "error": "", "error_description": "",
        "validationErrors": { "": [message] }, "errorModel": { "message": message, "object": "error" },
        "exceptionMessage": null, "exceptionStackTrace": null, "innerExceptionMessage": null, "object": "error",
    });
    (StatusCode::BAD_REQUEST, Json(body)).into_response()
}

/// Vaultwarden's web framework answers in HTML.
pub(crate) fn html(status: StatusCode) -> Response {
    let title = format!("{} {}", status.as_u16(), status.canonical_reason().unwrap_or_default());
    let page = format!(
        "<!DOCTYPE html><html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>"
    );
    (status, [(header::CONTENT_TYPE, "text/html; charset=utf-8")], page).into_response()
}

/// A list of the Public API.
pub(crate) fn list(data: Vec<Value>) -> Response {
    Json(json!({ "object": "list", "data": data })).into_response()
}

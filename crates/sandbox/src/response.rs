//! Answers in the formats of the simulated servers.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::request::Faults;

/// Error of the Public API (`ErrorResponseModel`): `errors` is null if there are no details.
pub(crate) fn public_error(status: StatusCode, message: &str, errors: Option<&Faults>) -> Response {
    (status, Json(json!({ "object": "error", "message": message, "errors": errors }))).into_response()
}

/// Answer to every unforeseen error.
pub(crate) fn unhandled() -> Response {
    public_error(StatusCode::INTERNAL_SERVER_ERROR, "An unhandled server error has occurred.", None)
}

/// Refusal of the identity server.
pub(crate) fn oauth_error(error: &str) -> Response {
    (StatusCode::BAD_REQUEST, Json(json!({ "error": error }))).into_response()
}

/// Refusal of the rate limiter (`CustomIpRateLimitMiddleware`).
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

/// Answer of the official server to a missing or invalid token: no body.
pub(crate) fn unauthorized() -> Response {
    (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Bearer error=\"invalid_token\"")]).into_response()
}

/// Error in Vaultwarden's format (its `error.rs`).
pub(crate) fn vaultwarden_error(message: &str) -> Response {
    let body = json!({
        "message": message, "error": "", "error_description": "",
        "validationErrors": { "": [message] }, "errorModel": { "message": message, "object": "error" },
        "exceptionMessage": null, "exceptionStackTrace": null, "innerExceptionMessage": null, "object": "error",
    });
    (StatusCode::BAD_REQUEST, Json(body)).into_response()
}

/// Error of Vaultwarden's web framework, in HTML.
pub(crate) fn html(status: StatusCode) -> Response {
    let title = format!("{} {}", status.as_u16(), status.canonical_reason().unwrap_or_default());
    let page = format!(
        "<!DOCTYPE html><html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>"
    );
    (status, [(header::CONTENT_TYPE, "text/html; charset=utf-8")], page).into_response()
}

/// List of the Public API.
pub(crate) fn list(data: Vec<Value>) -> Response {
    Json(json!({ "object": "list", "data": data })).into_response()
}

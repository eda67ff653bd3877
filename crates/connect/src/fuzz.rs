//! Shared code of the fuzz targets: answers in the form others write them, and properties of every error about them.

use bytes::Bytes;
use proptest::prelude::*;
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use crate::Error;
use crate::http::Response;

/// Statuses with and without a special meaning.
pub(crate) fn status() -> impl Strategy<Value = u16> {
    prop::sample::select(vec![
        200, 201, 204, 302, 400, 401, 403, 404, 405, 408, 409, 410, 413, 425, 429, 500, 501, 502, 503, 504,
        599, 999,
    ])
}

/// Answer with this body.
pub(crate) fn answer(status: u16, body: impl Into<Bytes>) -> Response {
    let status = StatusCode::from_u16(status).unwrap();
    Response { status, headers: HeaderMap::new(), body: body.into() }
}

/// Answer with this header, if HTTP allows it at all.
pub(crate) fn with_header(mut response: Response, name: &'static str, value: &[u8]) -> Response {
    if let Ok(value) = HeaderValue::from_bytes(value) {
        response.headers.append(HeaderName::from_static(name), value);
    }
    response
}

/// Fails if an error is much longer than the input, or if its next step, which is shown unchanged, is endless or contains
/// anything that controls a terminal.
pub(crate) fn harmless(error: &Error, read: usize) -> Result<(), TestCaseError> {
    prop_assert!(error.to_string().len() <= 8 * read + 2_000, "{} of {read} octets", error.to_string().len());
    let hint = error.next_step().unwrap_or_default();
    prop_assert!(!hint.contains(char::is_control), "{hint:?}");
    prop_assert!(hint.len() < 1_000, "{} octets: {hint}", hint.len());
    Ok(())
}

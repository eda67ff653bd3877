//! What the fuzz targets share: answers as others write them, and what must hold for every error that tells of them.

use bytes::Bytes;
use proptest::prelude::*;
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use crate::Error;
use crate::http::Response;

/// Statuses that mean something somewhere, and some that mean nothing.
pub(crate) fn status() -> impl Strategy<Value = u16> {
    prop::sample::select(vec![
        200, 201, 204, 302, 400, 401, 403, 404, 405, 408, 409, 410, 413, 425, 429, 500, 501, 502, 503, 504,
        599, 999,
    ])
}

/// An answer with this body.
pub(crate) fn answer(status: u16, body: impl Into<Bytes>) -> Response {
    let status = StatusCode::from_u16(status).unwrap();
    Response { status, headers: HeaderMap::new(), body: body.into() }
}

/// An answer with this header, if HTTP lets it through at all.
pub(crate) fn with_header(mut response: Response, name: &'static str, value: &[u8]) -> Response {
    if let Ok(value) = HeaderValue::from_bytes(value) {
        response.headers.append(HeaderName::from_static(name), value);
    }
    response
}

/// Fails where an error says more than a bearable multiple of what was read, or where its next step, which is shown as it is, has
/// anything in it that moves a terminal or is endless.
pub(crate) fn harmless(error: &Error, read: usize) -> Result<(), TestCaseError> {
    prop_assert!(error.to_string().len() <= 8 * read + 2_000, "{} of {read} octets", error.to_string().len());
    let hint = error.next_step().unwrap_or_default();
    prop_assert!(!hint.contains(char::is_control), "{hint:?}");
    prop_assert!(hint.len() < 1_000, "{} octets: {hint}", hint.len());
    Ok(())
}

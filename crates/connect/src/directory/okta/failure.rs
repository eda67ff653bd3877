//! Refusals of Okta, and what to do about them.

use reqwest::header::WWW_AUTHENTICATE;
use serde::Deserialize;

use crate::directory::lists::or_default;
use crate::http::Response;
use crate::{Error, ErrorKind};

/// Body of Okta's refusals.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Refusal {
    error_code: String,
    #[serde(default, deserialize_with = "or_default")]
    error_summary: String,
    error_id: Option<String>,
}

/// Error for a refusal. `of_credentials` is the advice if they are not accepted.
pub(super) fn refused(attempted: &str, response: &Response, of_credentials: &'static str) -> Error {
    let status = response.status.as_u16();
    let told = match serde_json::from_slice::<Refusal>(&response.body) {
        Ok(Refusal { error_code, error_summary, error_id }) => {
            let id = error_id.as_deref().or(response.request_id()).unwrap_or("without an id");
            format!("HTTP {status}, {error_code}: {error_summary} (request {id})")
        }
        Err(_) => format!("HTTP {status}"),
    };
    let (kind, hint) = match status {
        401 => (ErrorKind::Credentials, of_credentials),
        403 => {
            let hint = match missing_scope(response) {
                Some(scope) => format!("Grant the application the scope {scope}, on its page Okta API Scopes."),
                None => "The token's account, or the application, may not read this: give it the role Read-Only Administrator."
                    .to_owned(),
            };
            return Error::new(ErrorKind::Credentials, attempted, told).hint(hint);
        }
        400 => (
            ErrorKind::Configuration,
            "Check the query after the `|` in sync.userFilter and sync.groupFilter.",
        ),
        404 => (
            ErrorKind::Configuration,
            "Check okta.orgUrl: it is the organization's own address, without /admin.",
        ),
        429 => (
            ErrorKind::Unreachable,
            "Okta's limit is used up by others; try again at another time, or have it raised.",
        ),
        300..=399 => (ErrorKind::Configuration, "Check okta.orgUrl: the server redirects elsewhere."),
        _ => (ErrorKind::Refused, "Check status.okta.com. Nothing was imported."),
    };
    Error::new(kind, attempted, told).hint(hint)
}

/// Longest name of a scope; Okta's own are a third as long. Next steps are not cut when they are shown.
const LONGEST_SCOPE: usize = 100;

/// Scope that an application's token lacks, as named in the answer (RFC 6750, section 3).
pub(super) fn missing_scope(response: &Response) -> Option<&str> {
    let header = response.headers.get(WWW_AUTHENTICATE)?.to_str().ok()?;
    let quoted = |name: &str| header.split_once(name)?.1.split_once('"').map(|(value, _)| value);
    let is_one = |scope: &&str| {
        scope.len() <= LONGEST_SCOPE && scope.bytes().all(|octet| octet == b' ' || octet.is_ascii_graphic())
    };
    (quoted("error=\"") == Some("insufficient_scope")).then(|| quoted("scope=\"")).flatten().filter(is_one)
}

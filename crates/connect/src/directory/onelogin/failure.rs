//! Refusals of OneLogin, and what to do about them.

use serde_json::Value;

use crate::http::{RateLimit, Response, short_json};
use crate::{Error, ErrorKind};

/// Refusal by OneLogin: with a matching status, or within a 200.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// HTTP status.
    pub(super) code: u16,
    /// OneLogin's own text.
    pub(super) words: String,
}

/// Reads OneLogin's several formats: `{"status":{"error":true,"code":401,"type":"Unauthorized","message":"Authentication Failure"}}`,
/// `{"message":"Unauthorized","statusCode":401,"name":"UnauthorizedError"}` and
/// `{"status":400,"error":"BadRequestError","description":"Invalid pagination cursor"}`.
impl Refusal {
    pub(super) fn of(response: &Response) -> Option<Self> {
        let status = response.status.as_u16();
        let told = Self::parse(&response.body);
        match told {
            Some(refusal) if status == 200 => Some(refusal),
            Some(refusal) => Some(Self { code: status, ..refusal }),
            None if status == 200 => None,
            None => Some(Self { code: status, words: String::new() }),
        }
    }

    pub(super) fn parse(body: &[u8]) -> Option<Self> {
        // Lists are long, and not refusals.
        if !body.trim_ascii_start().starts_with(b"{") {
            return None;
        }
        let told = short_json(body)?;
        let inner = told.get("status").filter(|status| status.is_object()).unwrap_or(&told);
        let first_of =
            |names: &[&str]| names.iter().find_map(|name| inner.get(name).filter(|v| !v.is_null()));
        let code = first_of(&["code", "statusCode", "status"])?.as_u64()?;
        let code = u16::try_from(code).ok().filter(|code| *code >= 300)?;
        let kind = first_of(&["type", "name", "error"]).and_then(Value::as_str).unwrap_or_default();
        let message = first_of(&["message", "description"]).map(|message| match message {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        });
        let words = [kind, message.as_deref().unwrap_or_default()];
        let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
        Some(Self { code, words: words.join(": ") })
    }

    fn error(&self, kind: ErrorKind, attempted: &str, response: &Response) -> Error {
        let Self { code, words } = self;
        let words = if words.is_empty() { String::new() } else { format!(", {words}") };
        let id = response.request_id().map_or(String::new(), |id| format!(" (request {id})"));
        Error::new(kind, attempted, format!("HTTP {code}{words}{id}"))
    }

    pub(super) fn at_login(&self, attempted: &str, response: &Response) -> Error {
        let (kind, hint) = match self.code {
            400 | 401 | 403 => (
                ErrorKind::Credentials,
                "Check onelogin.clientId and onelogin.secret, and onelogin.region: the credential pairs of an account are valid in \
                its own region only, and at its own address (onelogin.url).",
            ),
            500 => (
                ErrorKind::Refused,
                "OneLogin also gives this answer when the user who created the credential pair was deleted: then create a new one.",
            ),
            code => return self.otherwise(code, attempted, response),
        };
        self.error(kind, attempted, response).hint(hint)
    }

    pub(super) fn of_list(&self, attempted: &str, response: &Response) -> Error {
        let (kind, hint) = match self.code {
            401 | 403 => (
                ErrorKind::Credentials,
                "The credential pair may have been deleted, or may not read this: it needs the scope Read Users (or Read All).",
            ),
            code => return self.otherwise(code, attempted, response),
        };
        self.error(kind, attempted, response).hint(hint)
    }

    fn otherwise(&self, code: u16, attempted: &str, response: &Response) -> Error {
        let hint = match code {
            429 => {
                let renewed = RateLimit::from_headers(&response.headers)
                    .map_or("hourly".to_owned(), |limit| {
                        format!("in {} minutes", limit.renewed_in.as_secs().div_ceil(60))
                    });
                let hint = format!(
                    "The account's limit on calls is used up, perhaps by others; it is renewed {renewed}."
                );
                return self.error(ErrorKind::Unreachable, attempted, response).hint(hint);
            }
            404 => {
                "Check onelogin.url, or BWDC_ONELOGIN_API_URL if it is set: it must end before /api and /auth."
            }
            300..=399 => {
                "Check onelogin.url, or BWDC_ONELOGIN_API_URL if it is set: the server redirects elsewhere."
            }
            _ => "Check status.onelogin.com. Nothing was imported.",
        };
        let kind = if code < 500 { ErrorKind::Configuration } else { ErrorKind::Refused };
        self.error(kind, attempted, response).hint(hint)
    }
}

/// Limit or temporary server failure reported within a 200.
pub(super) fn may_pass(response: &Response) -> bool {
    response.status.is_success()
        && Refusal::parse(&response.body)
            .is_some_and(|Refusal { code, .. }| matches!(code, 429 | 500 | 502 | 503 | 504))
}

//! Requests to the Public API besides the import, with the meaning of their refusals.

use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, StatusCode, Url};
use serde_json::Value;

use super::{Client, KNOWN, Token, bearer, message, refused, url};
use crate::http::{HttpRequest, Repeat, Response};
use crate::{Error, ErrorKind, Result};

/// Time limit for one answer. All members of a large organization are a single answer.
const TIMEOUT: Duration = Duration::from_secs(120);

/// Advice if it is not known whether a change was made.
pub(super) const UNCLEAR: &str = "It may have been done, or the server may still be working on it, so it was not sent a second time. The next run compares.";

impl Client {
    /// Reads something of the organization. Any answer is returned, whatever its status.
    pub(super) async fn read(&self, token: &Token, attempted: &str, path: &[&str]) -> Result<Response> {
        let mut request = HttpRequest::get(self.place(path)?, TIMEOUT);
        request.headers.insert(AUTHORIZATION, bearer(token, attempted)?);
        self.reads.send(attempted, &request).await
    }

    /// Requests a change, again only if the first request has certainly done nothing. Any answer is returned, whatever its status.
    pub(super) async fn ask(
        &self,
        token: &Token,
        attempted: &str,
        (method, path): (Method, &[&str]),
        body: Option<&Value>,
    ) -> Result<Response> {
        let mut headers = HeaderMap::new();
        let bearer = bearer(token, attempted);
        headers.insert(AUTHORIZATION, bearer.map_err(|error| Error::new(ErrorKind::Credentials, "", error))?);
        if body.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        let request = HttpRequest {
            method,
            url: self.place(path)?,
            headers,
            body: body.map(|body| body.to_string().into()),
            timeout: TIMEOUT,
            repeat: Repeat::IfNotBegun,
        };
        self.http.send(attempted, &request).await
    }

    /// Address of a resource. Ids are encoded, so none can lead elsewhere.
    fn place(&self, path: &[&str]) -> Result<Url> {
        let mut place = url(self.api_url(), "/public")?;
        if let Ok(mut segments) = place.path_segments_mut() {
            segments.extend(path);
        }
        Ok(place)
    }
}

/// Request to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CallPurpose {
    ToTell,
    ToChange,
}

/// Error for an answer that is not a success, with advice where known.
pub(super) fn not_done(asked: CallPurpose, attempted: String, response: &Response) -> Error {
    if response.status.is_redirection() {
        return refused(attempted, response, None);
    }
    let told = message::of(response, None);
    let (kind, default) = match response.status.as_u16() {
        401 | 403 => (
            ErrorKind::Credentials,
            "The server does not accept the login: run `bwdc logout` and `bwdc login`. A firewall in between may also answer so.",
        ),
        404 => (ErrorKind::Refused, "Somebody else may have removed it meanwhile. The next run compares."),
        429 => {
            (ErrorKind::Refused, "Too many requests: schedule syncs further apart. The next run tries again.")
        }
        408 | 500 | 502 | 504.. if asked == CallPurpose::ToChange => (ErrorKind::Unclear, UNCLEAR),
        408 | 500.. => (ErrorKind::Refused, "The server failed: try again later. Its log has details."),
        _ => (ErrorKind::Refused, "The server's log may have details."),
    };
    let known = KNOWN.iter().find(|(text, _)| told.contains(text)).map(|(_, hint)| *hint);
    Error::new(kind, attempted, told).hint(known.unwrap_or(default))
}

/// Error for an answer that is not the requested list or object.
pub(super) fn odd(attempted: &str, response: &Response, reason: &str) -> Error {
    let status = response.status.as_u16();
    let id = response.request_id().map_or(String::new(), |id| format!(" [request {id}]"));
    Error::new(
        ErrorKind::Data,
        attempted,
        format!("HTTP {status}: the answer is not what a Bitwarden server sends: {reason}{id}"),
    )
    .hint(
        "Something in front of the server (a sign-in page, a firewall, a maintenance page) may have answered instead: let this machine \
        through.",
    )
}

/// Whether Bitwarden's server, and nothing in front of it, says that nothing has that id: it does so without a body.
pub(super) fn is_gone(response: &Response) -> bool {
    response.status == StatusCode::NOT_FOUND && response.body.trim_ascii().is_empty()
}

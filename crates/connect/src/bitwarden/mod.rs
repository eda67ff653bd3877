//! The Bitwarden organization: a token for its API key, the import, what it holds, and changes to single members and groups.
//!
//! Facts about the server: bitwarden/server `OrganizationController` (Public) and
//! `ImportOrganizationUsersAndGroupsCommand`; about Vaultwarden: its `api/core/public.rs` and `api/identity.rs`.

mod call;
mod edit;
mod endpoints;
mod message;
mod roster;
mod token;

use std::time::Duration;

use bwdc_core::import::{ImportGroup, ImportMember, ImportRequest};
use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, DATE, HeaderMap, HeaderName, HeaderValue, LOCATION, USER_AGENT,
};
use reqwest::{Method, StatusCode, Url};
use serde_json::Value;

pub use self::edit::{EditEffect, EditOutcome, Invitation};
pub use self::endpoints::Endpoints;
pub use self::roster::{GroupMemberships, Offered, RosterAnswer, ServerDescription, Within};
pub use self::token::{ApiKey, Token};
use crate::http::failure::UNCLEAR;
use crate::http::{
    Earlier, Http, HttpRequest, HttpSettings, Network, Pace, Repeat, Response, seconds, short_json,
};
use crate::{Error, ErrorKind, Result};

/// Time limit for a token.
const TOKEN_TIMEOUT: Duration = Duration::from_secs(60);
/// Time limit for the server to process an import.
const IMPORT_TIMEOUT: Duration = Duration::from_secs(600);
/// Rate limit: the cloud allows 60 POSTs a minute and 5 a second (bitwarden/server `appsettings.json`); one request a second
/// with bursts of 5 stays within both.
const CLOUD_BURST: u32 = 5;
const CLOUD_INTERVAL: Duration = Duration::from_secs(1);
/// The cloud allows 200 GETs a minute: 80 at once, and 120 a minute after that.
const CLOUD_READS: u32 = 80;
const CLOUD_READ_INTERVAL: Duration = Duration::from_millis(500);

/// Settings for talking to one organization's servers.
#[derive(Clone, Debug)]
pub struct Config {
    /// Addresses of the servers.
    pub endpoints: Endpoints,
    /// Trust and time limits.
    pub network: Network,
    /// Our version, sent to the server.
    pub client_version: String,
    /// Id of this installation, a UUID.
    pub device_id: String,
}

/// Client of one organization's servers.
#[derive(Clone, Debug)]
pub struct Client {
    http: Http,
    /// For what the organization holds.
    reads: Http,
    endpoints: Endpoints,
    device_id: String,
}

/// Kind of server at the other end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerKind {
    /// Bitwarden's own server.
    Official,
    /// Vaultwarden.
    Vaultwarden,
    /// Another server, by the name it gives itself.
    Other(String),
}

/// Platform as sent to the server: `deviceType` and `deviceName` (bitwarden/server `DeviceType.cs`).
const PLATFORM: (&str, &str) = if cfg!(windows) {
    ("6", "windows")
} else if cfg!(target_os = "macos") {
    ("7", "macos")
} else {
    ("8", "linux")
};

impl Client {
    /// Makes a client without connecting.
    pub fn new(config: Config) -> Result<Self> {
        let (pace, of_reads) = if config.endpoints.is_cloud() {
            let of_reads = Pace::new(CLOUD_READS, CLOUD_READ_INTERVAL, |_, _| 1);
            (Pace::of_changes(CLOUD_BURST, CLOUD_INTERVAL), of_reads)
        } else {
            Default::default()
        };
        let headers = headers(&config.client_version)?;
        let settings = HttpSettings { network: config.network, headers, pace, ..HttpSettings::default() };
        let http = Http::new(settings)?;
        let reads = http.paced(of_reads);
        Ok(Self { http, reads, endpoints: config.endpoints, device_id: config.device_id })
    }

    /// Base URL of the API.
    pub fn api_url(&self) -> &str {
        self.endpoints.api_url()
    }

    /// Exchanges the API key for a token. There is no refresh token: a renewal is another exchange.
    pub async fn token(&self, credentials: &ApiKey) -> Result<Token> {
        let identity = self.endpoints.identity_url();
        let attempted = format!("Logging in to {identity} as {}", credentials.client_id);
        // All fields, in the order of the existing connector: Vaultwarden refuses a request without the device.
        let fields = [
            ("scope", "api.organization"),
            ("client_id", &credentials.client_id),
            ("deviceType", PLATFORM.0),
            ("deviceIdentifier", &self.device_id),
            ("deviceName", PLATFORM.1),
            ("grant_type", "client_credentials"),
            ("client_secret", credentials.client_secret.reveal()),
        ];
        let mut request = HttpRequest::post_form(url(identity, "/connect/token")?, &fields, TOKEN_TIMEOUT);
        request.headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        let response = self.http.send(&attempted, &request).await?;
        if !response.status.is_success() {
            return Err(refused(attempted, &response, None));
        }
        issued(&response).ok_or_else(|| {
            Error::new(
                ErrorKind::Data,
                attempted,
                format!("HTTP {} without a token", response.status.as_u16()),
            )
            .hint("Check the server's URL: something other than a Bitwarden server may be answering there.")
        })
    }

    /// Sends one request of an import, never a second time while the first may still be running. Any 2xx with an empty body or
    /// JSON is success, whatever the JSON contains. `body` is the import's.
    pub async fn import(&self, token: &Token, import: &ImportRequest, body: &ImportBody) -> Result<()> {
        let attempted = format!(
            "Importing {} users and {} groups into {}",
            import.members.len(),
            import.groups.len(),
            self.api_url()
        );
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(AUTHORIZATION, bearer(token, &attempted)?);
        let request = HttpRequest {
            method: Method::POST,
            url: url(self.api_url(), "/public/organization/import")?,
            headers,
            body: Some(body.0.clone()),
            timeout: IMPORT_TIMEOUT,
            repeat: Repeat::OnceOver,
        };
        let (result, earlier) = self.http.send_telling(&attempted, &request).await;
        let told = |error: Error| match (earlier, error.kind()) {
            (Earlier::Nothing, _) | (_, ErrorKind::Unclear) => error,
            // The last attempt did nothing; one before it may have.
            (Earlier::Something, _) => error.of_kind(ErrorKind::Refused),
        };
        let response = result.map_err(told)?;
        if !response.status.is_success() {
            return Err(told(refused(attempted, &response, Some(import))));
        }
        if is_an_answer(&response) { Ok(()) } else { Err(no_answer(attempted, &response)) }
    }

    /// Measures how far this machine's clock is ahead of the server's, by the `Date` of an answer (RFC 9110, section 6.6.1).
    pub async fn clock_ahead(&self) -> Result<Option<SignedDuration>> {
        let response = self.config(&format!("Asking {} for the time", self.api_url())).await?;
        let date = response.headers.get(DATE).and_then(|date| date.to_str().ok());
        let date = date.and_then(|date| jiff::fmt::rfc2822::parse(date).ok());
        Ok(date.map(|date| Timestamp::now().duration_since(date.timestamp())))
    }

    async fn config(&self, attempted: &str) -> Result<Response> {
        let request = HttpRequest {
            method: Method::GET,
            url: url(self.api_url(), "/config")?,
            headers: HeaderMap::new(),
            body: None,
            timeout: TOKEN_TIMEOUT,
            repeat: Repeat::Always,
        };
        self.http.send(attempted, &request).await
    }

    /// Asks which server answers. A server that does not say counts as Bitwarden's own.
    pub async fn server_kind(&self) -> Result<ServerKind> {
        let attempted = format!("Asking {} what it is", self.api_url());
        let response = self.config(&attempted).await?;
        if !response.status.is_success() {
            return Err(refused(attempted, &response, None));
        }
        let config = short_json(&response.body).unwrap_or(Value::Null);
        Ok(ServerKind::of(&config))
    }
}

impl ServerKind {
    /// Kind of server, by its own description.
    fn of(config: &Value) -> Self {
        match config.pointer("/server/name").and_then(Value::as_str) {
            None => Self::Official,
            Some(name) if name.eq_ignore_ascii_case("vaultwarden") => Self::Vaultwarden,
            Some(name) => Self::Other(name.to_owned()),
        }
    }
}

fn headers(version: &str) -> Result<HeaderMap> {
    let agent = format!("Bitwarden_DC/{version} ({})", PLATFORM.1.to_uppercase());
    let mut headers = HeaderMap::new();
    for (name, text) in [
        (HeaderName::from_static("device-type"), PLATFORM.0),
        (HeaderName::from_static("bitwarden-client-name"), "connector"),
        (HeaderName::from_static("bitwarden-client-version"), version),
        (USER_AGENT, agent.as_str()),
    ] {
        let value = HeaderValue::from_str(text)
            .map_err(|error| Error::new(ErrorKind::Configuration, "Setting up HTTP headers", error))?;
        headers.insert(name, value);
    }
    Ok(headers)
}

fn bearer(token: &Token, attempted: &str) -> Result<HeaderValue> {
    let mut value = HeaderValue::from_str(&format!("Bearer {}", token.reveal())).map_err(|_| {
        Error::new(ErrorKind::Data, attempted, "the stored access token has characters that cannot be sent")
    })?;
    value.set_sensitive(true);
    Ok(value)
}

fn url(base: &str, path: &str) -> Result<Url> {
    Url::parse(&format!("{base}{path}")).map_err(|error| {
        Error::new(ErrorKind::Configuration, format!("Reading the server URL `{base}`"), error)
    })
}

fn issued(response: &Response) -> Option<Token> {
    let body = short_json(&response.body)?;
    let token = body.get("access_token")?.as_str().filter(|token| !token.is_empty())?;
    let lasts = seconds(body.get("expires_in").and_then(Value::as_u64).unwrap_or(0));
    Some(Token::issued(token.to_owned(), lasts))
}

/// An import as it is sent: JSON.
pub struct ImportBody(Bytes);

impl ImportBody {
    /// Writes an import.
    ///
    /// # Errors
    /// It cannot be written as JSON.
    pub fn of(import: &ImportRequest) -> Result<Self> {
        let body = written(import).map_err(|error| {
            let (users, groups) = (import.members.len(), import.groups.len());
            let attempted = format!("Writing an import of {users} users and {groups} groups");
            Error::new(ErrorKind::Data, attempted, error)
        })?;
        Ok(Self(body.into()))
    }
}

/// An import as it is sent. In a function of this crate, which is compiled for speed: asynchronous code is compiled with what awaits it.
#[inline(never)]
fn written(import: &ImportRequest) -> serde_json::Result<Vec<u8>> {
    // Thousands of groups are megabytes, and twice as much where a text grows as it is written.
    let mut body = Vec::with_capacity(length(import));
    serde_json::to_writer(&mut body, import)?;
    Ok(body)
}

/// Length of an import as it is sent, if nothing in it needs an escape: within a few bytes.
fn length(import: &ImportRequest) -> usize {
    let ImportRequest { groups, members, .. } = import;
    let groups = groups.iter().map(|ImportGroup { name, external_id, member_external_ids }| {
        let members = member_external_ids.iter().map(|id| id.as_str().len() + r#""","#.len());
        let members: usize = members.sum();
        let rest = r#"{"name":"","externalId":"","memberExternalIds":[]},"#.len();
        name.len() + external_id.as_str().len() + members + rest
    });
    let members = members.iter().map(|ImportMember { email, external_id, .. }| {
        let email = email.as_ref().map_or("null".len(), |email| email.as_str().len() + r#""""#.len());
        email + external_id.as_str().len() + r#"{"email":,"externalId":"","deleted":false},"#.len()
    });
    let rest = r#"{"groups":[],"members":[],"overwriteExisting":false,"largeImport":false,"inviteUsersAfterProvisioning":false}"#;
    groups.sum::<usize>() + members.sum::<usize>() + rest.len()
}

/// Whether the answer is that of a successful Bitwarden server: empty, or JSON without an error.
fn is_an_answer(response: &Response) -> bool {
    const TROUBLE: [&str; 5] = ["error", "errors", "message", "errorModel", "validationErrors"];
    let body = response.body.trim_ascii();
    let tells_of_trouble = |value: &Value| match value {
        Value::Object(object) => {
            let is_trouble = |key: &String| TROUBLE.iter().any(|word| word.eq_ignore_ascii_case(key));
            object.iter().any(|(key, value)| is_trouble(key) && !value.is_null())
                || object.get("object").is_some_and(|kind| kind == "error")
        }
        _ => false,
    };
    body.is_empty() || serde_json::from_slice(body).is_ok_and(|value| !tells_of_trouble(&value))
}

/// Error for a page in place of an answer: a sign-in page, a maintenance notice, a firewall's message.
fn no_answer(attempted: String, response: &Response) -> Error {
    let told = message::of(response, None);
    Error::new(ErrorKind::Data, attempted, format!("{told}: this is not an answer from a Bitwarden server")).hint(
        "Something in front of the server (a sign-in page, a firewall, a maintenance page) answered instead: let this machine through. \
        The import does not count as done.",
    )
}

/// Error for an answer that is not a success, with advice where known.
fn refused(attempted: String, response: &Response, import: Option<&ImportRequest>) -> Error {
    let told = message::of(response, import);
    if response.status.is_redirection() {
        let place =
            response.headers.get(LOCATION).and_then(|place| place.to_str().ok()).unwrap_or("elsewhere");
        let place = place.split(['?', '#']).next().unwrap_or(place);
        return Error::new(ErrorKind::Configuration, attempted, format!("{told}: the server redirects to {place}"))
            .hint("Redirects are not followed, because the request carries a secret. Set the server's URL to the right one (https, not http?).");
    }
    let (kind, hint) = meaning(&told, response.status, import);
    let kind = match import {
        Some(import) if kind == ErrorKind::Refused && is_rejected(response, &told, import) => {
            ErrorKind::Rejected
        }
        _ => kind,
    };
    Error::new(kind, attempted, told).hint(hint)
}

/// Whether an answer proves that nothing of an import was done. Bitwarden's server checks all of it first, and names what is wrong.
/// Vaultwarden goes through the people in their order and stops at an error: only an error about the only one leaves nothing done.
fn is_rejected(response: &Response, told: &str, import: &ImportRequest) -> bool {
    match response.status.as_u16() {
        413 | 415 | 422 | 429 => true,
        400 => match short_json(&response.body) {
            None => true,
            Some(body) if body.get("errorModel").is_some_and(|model| !model.is_null()) => {
                let is_about_a_person = ABOUT_A_PERSON.iter().any(|text| told.contains(text));
                is_about_a_person && import.members.len() == 1
            }
            Some(body) => body.get("errors").is_some_and(|errors| !errors.is_null()),
        },
        _ => false,
    }
}

/// Errors of Vaultwarden about one person, who is then as before.
const ABOUT_A_PERSON: [&str; 2] = ["Error sending invite", "is not a valid email address"];

/// Messages that the server is known to send, with advice for each.
const KNOWN: [(&str, &str); 11] = [
    (
        "invalid_client",
        "The server does not say which: the client id or the API key is wrong (or rotated), the organization is \
        disabled, its plan has no API access, or the key belongs to another region's cloud (see `bwdc config server`).",
    ),
    ("Incorrect client_secret", "The API key is wrong or was rotated: copy it again from the web vault."),
    ("Invalid client_id", "This server has no such organization, or the organization has no API key yet."),
    ("Too many login requests", "Wait a minute; the server limits logins."),
    ("You cannot import this much data at once", "Set sync.largeImport to true."),
    ("cannot use directory syncing", "The organization's plan or licence has no directory sync."),
    (
        "cannot use groups",
        "The organization's plan has no groups: switch off sync.groups. People were processed.",
    ),
    ("at least one confirmed owner", "Confirm an owner of the organization first."),
    (
        "Remove and re-add users",
        "Somebody who would be removed has no master password: switch off sync.overwriteExisting.",
    ),
    (
        "autoscale on self-hosted",
        "The licence has too few seats: nobody was invited. Add seats or narrow the filters.",
    ),
    (
        "eat limit has been reached",
        "There are too few seats: nobody was invited. Add seats or narrow the filters.",
    ),
];

fn meaning(told: &str, status: StatusCode, import: Option<&ImportRequest>) -> (ErrorKind, String) {
    let known = KNOWN.iter().find(|(text, _)| told.contains(text)).map(|(_, hint)| *hint);
    let is_login = import.is_none();
    let (kind, default) = match status.as_u16() {
        401 | 403 => (
            ErrorKind::Credentials,
            "The server does not accept the login: run `bwdc logout` and `bwdc login`. A firewall in between may also \
            give this answer.",
        ),
        400 if is_login => (ErrorKind::Credentials, "Check the client id, the API key and the server's URL."),
        404 => (
            ErrorKind::Configuration,
            "There is no Bitwarden server at this URL: check `bwdc config server`.",
        ),
        413 => (
            ErrorKind::Refused,
            "The import is too large for the server or a proxy in front of it: set sync.largeImport to true.",
        ),
        429 => {
            (ErrorKind::Refused, "Too many requests: schedule syncs further apart. The next run tries again.")
        }
        500..=599 if is_login => {
            (ErrorKind::Refused, "The server failed: try again later. Its log has details.")
        }
        408 | 502 | 504 if !is_login => (ErrorKind::Unclear, UNCLEAR),
        500..=599 => (
            ErrorKind::Refused,
            "The server failed and may have processed a part. The next run repeats the import, which is safe. The \
            server's log has details.",
        ),
        _ => (ErrorKind::Refused, "The server gave no further details; its log may have some."),
    };
    let kind = if is_login && known.is_some() { ErrorKind::Credentials } else { kind };
    (kind, known.unwrap_or(default).to_owned())
}

#[cfg(test)]
mod tests {
    use bwdc_core::entry::{Email, ExternalId};
    use bwdc_testkit::{damaged, damaged_text, few};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_import_is_written_into_the_room_that_it_needs() {
        let id = |number: usize| ExternalId::from(format!("person-{number}").as_str());
        let member = |number| ImportMember {
            email: (number % 2 == 0).then(|| Email::parse(&format!("p{number}@example.org")).unwrap()),
            external_id: id(number),
            deleted: number % 3 == 0,
        };
        let group = |number| ImportGroup {
            name: format!("Group {number}"),
            external_id: id(number),
            member_external_ids: (0..number).map(id).collect(),
        };
        let import = ImportRequest {
            groups: (0..40).map(group).collect(),
            members: (0..400).map(member).collect(),
            overwrite_existing: false,
            large_import: true,
            invite_users_after_provisioning: true,
        };
        let body = written(&import).unwrap();
        assert_eq!(body, serde_json::to_vec(&import).unwrap());
        assert_eq!(body.capacity(), length(&import), "{} bytes", body.len());
        assert!(body.capacity() - body.len() < body.len() / 20, "{} of {}", body.len(), body.capacity());
    }

    proptest! {
        #![proptest_config(few())]

        #[test]
        fn fuzz_answers_of_bitwarden(
            body in damaged([r#"{"access_token":"e30.e30.c","expires_in":3600,"token_type":"Bearer"}"#, "", "{}", "<html>"]),
            place in damaged(["https://example.org/path?secret=1#x", "/login"]),
            status in crate::fuzz::status(),
        ) {
            let answer = crate::fuzz::with_header(crate::fuzz::answer(status, body.clone()), "location", &place);
            if let Some(token) = issued(&answer) {
                prop_assert!(!token.reveal().is_empty());
                prop_assert!(bearer(&token, "Importing").map_or_else(|error| !error.to_string().contains(token.reveal()), |header| header.is_sensitive()));
            }
            let read = body.len() + place.len();
            crate::fuzz::harmless(&refused("Importing".to_owned(), &answer, None), read)?;
            if !is_an_answer(&answer) {
                crate::fuzz::harmless(&no_answer("Importing".to_owned(), &answer), read)?;
            }
        }

        /// An accepted answer is accepted again with the same result.
        #[test]
        fn fuzz_server_addresses(text in damaged_text(["https://vault.bitwarden.eu", "bitwarden.example.com:8443/sub/", "http://localhost:8000", "https://[::1]"])) {
            match Endpoints::resolve(Some(&text), None, None) {
                Ok(endpoints) => {
                    let (api, identity) = (endpoints.api_url(), endpoints.identity_url());
                    let again = Endpoints::resolve(None, Some(api), Some(identity)).unwrap();
                    prop_assert_eq!((again.api_url(), again.identity_url()), (api, identity));
                    prop_assert!(url(api, "/config").is_ok());
                }
                Err(error) => crate::fuzz::harmless(&error, text.len())?,
            }
        }
    }
}

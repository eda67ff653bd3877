//! The wire: the login, and one page of a list.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use reqwest::Url;
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::config::Config;
use crate::directory::Progress;
use crate::directory::lists::or_default;
use crate::http::{
    AccessToken, Allowance, Authorized, Concurrency, Http, Limit, Passing, Request, Response, Settings,
    TokenSource, Vendor,
};
use crate::{Error, Kind, Result, Secret};

const ONELOGIN: Vendor = Vendor { name: "OneLogin", address: "onelogin.region" };

/// How long one page may take.
const TIMEOUT: Duration = Duration::from_secs(60);

/// OneLogin limits the calls in an hour and says nothing of calls at once; so not too many.
const FIRST_AT_ONCE: u32 = 10;
const MOST_AT_ONCE: u32 = 20;

/// How long a token is used at least, whatever its end is said to be.
const SHORTEST_USE: Duration = Duration::from_secs(60);

/// A list of OneLogin's API, version 2.
#[derive(Debug)]
pub(super) struct List {
    /// For messages and in the path.
    pub(super) name: &'static str,
    fields: &'static str,
    /// The largest page.
    limit: &'static str,
}

/// What a list is made of.
pub(super) trait Record: DeserializeOwned + Send {
    const LIST: List;
    /// Unique in its list.
    fn id(&self) -> u64;
    /// Where it is known.
    fn created_at(&self) -> Option<Timestamp>;
}

/// A person (OneLogin API 2, "User Resource").
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct UserRecord {
    pub(super) id: u64,
    pub(super) email: Option<String>,
    pub(super) username: Option<String>,
    pub(super) status: Option<i64>,
    #[serde(default)]
    pub(super) role_ids: RoleIds,
    #[serde(default, deserialize_with = "moment")]
    pub(super) created_at: Option<Timestamp>,
}

/// The roles of a person.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum RoleIds {
    /// The answer does not speak of them.
    #[default]
    Untold,
    /// These; none where it says `null`.
    Told(Vec<u64>),
}

impl<'de> Deserialize<'de> for RoleIds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let ids = Option::<Vec<u64>>::deserialize(deserializer)?;
        Ok(Self::Told(ids.unwrap_or_default()))
    }
}

/// Such as `2021-04-28T21:10:57.210Z`.
fn moment<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Option<Timestamp>, D::Error> {
    let value = Value::deserialize(deserializer)?;
    Ok(value.as_str().and_then(|text| text.parse().ok()))
}

/// A role (OneLogin API 2, "Roles").
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct RoleRecord {
    pub(super) id: u64,
    /// Empty where there is none.
    #[serde(default, deserialize_with = "or_default")]
    pub(super) name: String,
}

impl Record for UserRecord {
    /// The vendor's description of the API allows 100, its page "List Users" tells of 50: which it is shows in the answer.
    const LIST: List =
        List { name: "users", fields: "id,email,username,status,role_ids,created_at", limit: "100" };

    fn id(&self) -> u64 {
        self.id
    }

    fn created_at(&self) -> Option<Timestamp> {
        self.created_at
    }
}

impl Record for RoleRecord {
    /// "Max page limit is 650" (OneLogin API 2, "List Roles").
    const LIST: List = List { name: "roles", fields: "id,name", limit: "650" };

    fn id(&self) -> u64 {
        self.id
    }

    fn created_at(&self) -> Option<Timestamp> {
        None
    }
}

/// One page of a list, with what its headers say (OneLogin API 2, "Using Query Parameters", "Pagination").
#[derive(Debug)]
pub(super) struct Page<T> {
    pub(super) records: Vec<T>,
    /// How many there are in the whole list.
    pub(super) total: usize,
    /// On how many pages.
    pub(super) pages: usize,
    /// Whether another page is said to follow.
    pub(super) is_followed: bool,
    /// Not later than the answer was made, by OneLogin's clock.
    pub(super) asked_at: Timestamp,
    /// What is left of the calls of this hour.
    pub(super) calls: Option<Limit>,
}

/// What the token endpoint answers (OneLogin API 2, "Generate Tokens").
#[derive(Deserialize)]
struct Token {
    access_token: String,
    /// When it was made: the same one is given to everybody who asks until it expires.
    #[serde(default, deserialize_with = "moment")]
    created_at: Option<Timestamp>,
    /// Seconds from then on.
    expires_in: u64,
}

/// The credential pair, and where it gets tokens.
#[derive(Debug)]
struct CredentialPair {
    token_url: Url,
    client_id: String,
    client_secret: Secret,
}

impl CredentialPair {
    fn authorization(&self) -> Result<HeaderValue> {
        let pair = Secret::from(format!("{}:{}", self.client_id, self.client_secret.reveal()));
        let header = HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(pair.reveal())));
        let mut header = header.map_err(|error| Error::new(Kind::Configuration, "Logging in", error))?;
        header.set_sensitive(true);
        Ok(header)
    }
}

impl TokenSource for CredentialPair {
    async fn new_token(&self, http: &Http) -> Result<AccessToken> {
        let attempted = format!("Logging in at {}", self.token_url.origin().ascii_serialization());
        let mut request = Request::post_json(
            self.token_url.clone(),
            &json!({ "grant_type": "client_credentials" }),
            TIMEOUT,
        );
        request.headers.insert(AUTHORIZATION, self.authorization()?);
        let response = http.send(&attempted, &request).await?;
        if let Some(refusal) = Refusal::of(&response) {
            return Err(refusal.at_login(&attempted, &response));
        }
        let token: Token = ONELOGIN.decode(&attempted, &response)?;
        let now = response.time();
        let end = token.created_at.unwrap_or(now).as_second().saturating_add_unsigned(token.expires_in);
        let left = u64::try_from(end.saturating_sub(now.as_second())).unwrap_or(0);
        // Before its end there is no other one to be had.
        let renew_at = Instant::now().checked_add(Duration::from_secs(left).max(SHORTEST_USE));
        AccessToken::new("bearer", &Secret::from(token.access_token), renew_at)
    }
}

#[derive(Debug)]
pub(super) struct Client {
    api: Authorized<CredentialPair>,
    api_url: Url,
}

impl Client {
    pub(super) fn new(config: &Config) -> Result<Self> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        let http = Http::new(Settings {
            network: config.network.clone(),
            headers,
            allowance: Allowance::told(limit_of),
            concurrency: Concurrency::adaptive(FIRST_AT_ONCE, MOST_AT_ONCE),
            passing: Passing(may_pass),
            ..Settings::default()
        })?;
        let pair = CredentialPair {
            token_url: below(&config.api_url, &["auth", "oauth2", "v2", "token"])?,
            client_id: config.client_id.clone(),
            client_secret: config.client_secret.clone(),
        };
        Ok(Self { api: Authorized::new(http, pair), api_url: config.api_url.clone() })
    }

    /// Asks for a token, to see whether that works.
    pub(super) async fn log_in(&self) -> Result<()> {
        self.api.log_in().await
    }

    /// Page `number` of a list, from 1 on.
    pub(super) async fn page<T: Record>(&self, number: usize, progress: &Progress) -> Result<Page<T>> {
        let List { name, fields, limit } = T::LIST;
        let attempted = format!("Reading {name} from {} (page {number})", self.place());
        let mut url = below(&self.api_url, &["api", "2", name])?;
        url.query_pairs_mut()
            .append_pair("fields", fields)
            .append_pair("limit", limit)
            .append_pair("page", &number.to_string());
        let began = Instant::now();
        let response = self.api.send(&attempted, Request::get(url, TIMEOUT)).await?;
        progress.request();
        if let Some(refusal) = Refusal::of(&response) {
            return Err(refusal.of_list(&attempted, &response));
        }
        let count = |header| count(&attempted, &response, header);
        Ok(Page {
            records: ONELOGIN.decode(&attempted, &response)?,
            total: count("total-count")?,
            pages: count("total-pages")?,
            is_followed: response.headers.get("after-cursor").is_some_and(|cursor| !cursor.is_empty()),
            asked_at: earlier(response.time(), began.elapsed()),
            calls: Limit::told(&response.headers),
        })
    }

    pub(super) fn place(&self) -> String {
        self.api_url.origin().ascii_serialization()
    }
}

/// The clock of an answer is told in whole seconds.
fn earlier(time: Timestamp, by: Duration) -> Timestamp {
    let seconds = i64::try_from(by.as_secs() + 1).unwrap_or(i64::MAX);
    Timestamp::from_second(time.as_second().saturating_sub(seconds)).unwrap_or(Timestamp::MIN)
}

fn below(base: &Url, path: &[&str]) -> Result<Url> {
    let mut url = base.clone();
    url.path_segments_mut()
        .map_err(|()| {
            Error::new(Kind::Configuration, "Reading from OneLogin", "the API's URL is no base URL")
        })?
        .pop_if_empty()
        .extend(path);
    Ok(url)
}

/// All calls count against the account's one limit, but for logins.
fn limit_of(url: &Url) -> &'static str {
    if url.path().ends_with("/token") { "logins" } else { "calls" }
}

/// Without these counts a short list cannot be told from a complete one.
fn count(attempted: &str, response: &Response, header: &str) -> Result<usize> {
    let text = response.headers.get(header).and_then(|value| value.to_str().ok());
    text.and_then(|text| text.trim().parse().ok()).ok_or_else(|| {
        Error::new(Kind::Data, attempted, format!("the answer does not say how many there are ({header})"))
            .hint("A proxy may take the header away. Nothing was imported.")
    })
}

/// What OneLogin says when it says no: with the status that fits, or within a 200.
#[derive(Debug, PartialEq, Eq)]
struct Refusal {
    /// As an HTTP status.
    code: u16,
    /// In OneLogin's own words.
    words: String,
}

/// OneLogin has several forms: `{"status":{"error":true,"code":401,"type":"Unauthorized","message":"Authentication Failure"}}`,
/// `{"message":"Unauthorized","statusCode":401,"name":"UnauthorizedError"}` and
/// `{"status":400,"error":"BadRequestError","description":"Invalid pagination cursor"}`.
impl Refusal {
    fn of(response: &Response) -> Option<Self> {
        let status = response.status.as_u16();
        let told = Self::told(&response.body);
        match told {
            Some(refusal) if status == 200 => Some(refusal),
            Some(refusal) => Some(Self { code: status, ..refusal }),
            None if status == 200 => None,
            None => Some(Self { code: status, words: String::new() }),
        }
    }

    fn told(body: &[u8]) -> Option<Self> {
        // Lists are long, and no refusals.
        if !body.trim_ascii_start().starts_with(b"{") {
            return None;
        }
        let told: Value = serde_json::from_slice(body).ok()?;
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

    fn error(&self, kind: Kind, attempted: &str, response: &Response) -> Error {
        let Self { code, words } = self;
        let words = if words.is_empty() { String::new() } else { format!(", {words}") };
        let id = response.request_id().map_or(String::new(), |id| format!(" (request {id})"));
        Error::new(kind, attempted, format!("HTTP {code}{words}{id}"))
    }

    fn at_login(&self, attempted: &str, response: &Response) -> Error {
        let (kind, hint) = match self.code {
            400 | 401 | 403 => (
                Kind::Credentials,
                "Check onelogin.clientId and onelogin.secret, and onelogin.region: the credential pairs of an account are known in \
                 its own region only.",
            ),
            500 => (
                Kind::Refused,
                "OneLogin also says this when the user who made the credential pair was deleted: then make a new one.",
            ),
            code => return self.otherwise(code, attempted, response),
        };
        self.error(kind, attempted, response).hint(hint)
    }

    fn of_list(&self, attempted: &str, response: &Response) -> Error {
        let (kind, hint) = match self.code {
            401 | 403 => (
                Kind::Credentials,
                "The credential pair may have been deleted, or may not read this: it needs the scope Read Users (or Read All).",
            ),
            code => return self.otherwise(code, attempted, response),
        };
        self.error(kind, attempted, response).hint(hint)
    }

    fn otherwise(&self, code: u16, attempted: &str, response: &Response) -> Error {
        let hint = match code {
            429 => {
                let renewed = Limit::told(&response.headers).map_or("hourly".to_owned(), |limit| {
                    format!("in {} minutes", limit.renewed_in.as_secs().div_ceil(60))
                });
                let hint = format!(
                    "The account's limit on calls is used up, perhaps by others; it is renewed {renewed}."
                );
                return self.error(Kind::Unreachable, attempted, response).hint(hint);
            }
            404 => "Check BWDC_ONELOGIN_API_URL, if it is set: it ends before /api and /auth.",
            300..=399 => "Check BWDC_ONELOGIN_API_URL, if it is set: the server sends us elsewhere.",
            _ => "See status.onelogin.com. Nothing was imported.",
        };
        let kind = if code < 500 { Kind::Configuration } else { Kind::Refused };
        self.error(kind, attempted, response).hint(hint)
    }
}

/// A limit or a trouble of the server's own that is told within a 200.
fn may_pass(response: &Response) -> bool {
    response.status.is_success()
        && Refusal::told(&response.body)
            .is_some_and(|Refusal { code, .. }| matches!(code, 429 | 500 | 502 | 503 | 504))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_told_in_onelogins_words() {
        let told = |body: &str| Refusal::told(body.as_bytes()).map(|Refusal { code, words }| (code, words));
        for (body, code, words) in [
            (
                r#"{"status":{"error":true,"code":401,"type":"Unauthorized","message":"Authentication Failure"}}"#,
                401,
                "Unauthorized: Authentication Failure",
            ),
            (
                r#"{"status":{"error":true,"code":400,"type":"bad request","message":{"description":"no"}}}"#,
                400,
                r#"bad request: {"description":"no"}"#,
            ),
            (
                r#" {"message":"Unauthorized","statusCode":401,"name":"UnauthorizedError"}"#,
                401,
                "UnauthorizedError: Unauthorized",
            ),
            (
                r#"{"status":400,"error":"BadRequestError","description":"Invalid pagination cursor"}"#,
                400,
                "BadRequestError: Invalid pagination cursor",
            ),
            (r#"{"statusCode":429}"#, 429, ""),
        ] {
            assert_eq!(told(body), Some((code, words.to_owned())), "{body}");
        }
        for none in [
            "[]",
            "",
            "{",
            "{}",
            r#"{"access_token":"x"}"#,
            r#"{"status":{"error":false,"code":200,"type":"success","message":"Success"}}"#,
        ] {
            assert_eq!(told(none), None, "{none}");
        }
    }

    #[test]
    fn roles_that_are_not_told_are_no_empty_list() {
        let roles = |text: &str| serde_json::from_str::<UserRecord>(text).unwrap().role_ids;
        assert_eq!(roles(r#"{"id":1}"#), RoleIds::Untold);
        assert_eq!(roles(r#"{"id":1,"role_ids":null}"#), RoleIds::Told(vec![]));
        assert_eq!(roles(r#"{"id":1,"role_ids":[1,11]}"#), RoleIds::Told(vec![1, 11]));
        assert!(serde_json::from_str::<UserRecord>(r#"{"id":1,"role_ids":"1;11"}"#).is_err());
    }
}

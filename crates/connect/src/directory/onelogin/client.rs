//! Requests to OneLogin: the login, and single pages of a list.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use reqwest::Url;
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue};
use serde::Deserialize;
use serde_json::json;
use tokio::time::Instant;

use super::config::Config;
use super::failure::{Refusal, may_pass};
use super::record::{Record, RoleRecord, moment};
use crate::directory::Progress;
use crate::directory::lists::keep;
use crate::http::{
    self, AccessToken, Allowance, Authorized, Concurrency, Http, HttpRequest, HttpSettings, Passing,
    RateLimit, TokenSource, Vendor,
};
use crate::{Error, ErrorKind, Result, mask};
use bwdc_core::Secret;

const ONELOGIN: Vendor = Vendor { name: "OneLogin", address: "onelogin.url or onelogin.region" };

/// Time limit for one page.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Limit on concurrent requests. OneLogin limits the calls in an hour and documents no limit on concurrent ones, so not too many.
const FIRST_AT_ONCE: u32 = 10;
const MOST_AT_ONCE: u32 = 20;

/// Shortest time a token is used, whatever its expiry time.
const SHORTEST_USE: Duration = Duration::from_secs(60);

/// List of OneLogin's API, version 2.
#[derive(Debug)]
pub(super) struct List {
    /// Name for messages, such as "users".
    pub(super) what: String,
    /// Path below `/api/2`.
    path: Vec<String>,
    fields: Option<&'static str>,
    /// Property that all of its entries have.
    only: Option<(&'static str, String)>,
    /// Largest page.
    limit: &'static str,
    /// Whether its owner may be deleted before it is read.
    may_go: bool,
}

impl List {
    /// List of everybody. The vendor's description of the API allows pages of 100, its page "List Users" mentions 50: the answer
    /// shows which applies.
    pub(super) fn users() -> Self {
        Self {
            what: "users".to_owned(),
            path: vec!["users".to_owned()],
            fields: Some("id,email,username,status,role_ids,created_at"),
            only: None,
            limit: "100",
            may_go: false,
        }
    }

    /// List of all roles. "Max page limit is 650" (OneLogin API 2, "List Roles").
    pub(super) fn roles() -> Self {
        Self {
            what: "roles".to_owned(),
            path: vec!["roles".to_owned()],
            fields: Some("id,name"),
            only: None,
            limit: "650",
            may_go: false,
        }
    }

    /// The part of a list that has this value of a property (OneLogin API 2, "List Users", "List Roles").
    pub(super) fn of(self, property: &'static str, value: &str) -> Self {
        Self { only: Some((property, value.to_owned())), ..self }
    }

    /// List of people with a role (OneLogin API 2, "Get Role Users").
    pub(super) fn holders_of(role: &RoleRecord) -> Self {
        Self {
            what: format!("users of the role {} ({})", role.name, role.id),
            path: vec!["roles".to_owned(), role.id.to_string(), "users".to_owned()],
            fields: None,
            only: None,
            limit: "100",
            may_go: true,
        }
    }
}

/// Page of a list, with the contents of its headers (OneLogin API 2, "Using Query Parameters", "Pagination").
#[derive(Debug)]
pub(super) struct Page<T> {
    pub(super) records: Vec<T>,
    /// Number of entries in the whole list.
    pub(super) total: Option<usize>,
    /// Number of pages.
    pub(super) pages: Option<usize>,
    /// Cursor of the following page.
    pub(super) cursor: Option<String>,
    /// Time by OneLogin's clock, not later than the answer.
    pub(super) asked_at: Timestamp,
    /// Remaining calls of this hour.
    pub(super) calls: Option<RateLimit>,
}

/// Position of a page in a list.
#[derive(Clone, Copy, Debug)]
pub(super) enum At<'a> {
    /// By number, starting at 1.
    Number(usize),
    /// By the cursor of the page before it.
    Cursor(&'a str),
}

/// Answer of the token endpoint (OneLogin API 2, "Generate Tokens").
#[derive(Deserialize)]
struct Token {
    access_token: String,
    /// Creation time: everybody who asks gets the same token until it expires.
    #[serde(default, deserialize_with = "moment")]
    created_at: Option<Timestamp>,
    /// Lifetime in seconds.
    expires_in: u64,
}

impl Token {
    /// Time at which to request another: there is no other token before this one expires. `None` if that is never.
    fn renew_at(&self, now: Timestamp) -> Option<Instant> {
        let end = self.created_at.unwrap_or(now).as_second().saturating_add_unsigned(self.expires_in);
        let left = u64::try_from(end.saturating_sub(now.as_second())).unwrap_or(0);
        Instant::now().checked_add(Duration::from_secs(left).max(SHORTEST_USE))
    }
}

/// Credential pair, and the endpoint that issues tokens for it.
#[derive(Debug)]
struct CredentialPair {
    token_url: Url,
    client_id: String,
    client_secret: Secret,
}

impl CredentialPair {
    fn authorization(&self) -> Result<HeaderValue> {
        mask::sent(self.client_secret.reveal());
        let pair = Secret::from(format!("{}:{}", self.client_id, self.client_secret.reveal()));
        let header = HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(pair.reveal())));
        let mut header = header.map_err(|error| Error::new(ErrorKind::Configuration, "Logging in", error))?;
        header.set_sensitive(true);
        Ok(header)
    }
}

impl TokenSource for CredentialPair {
    async fn new_token(&self, http: &Http) -> Result<AccessToken> {
        let attempted = format!("Logging in at {}", self.token_url.origin().ascii_serialization());
        let mut request = HttpRequest::post_json(
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
        let renew_at = token.renew_at(response.time());
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
        let http = Http::new(HttpSettings {
            network: config.network.clone(),
            headers,
            allowance: Allowance::of(limit_of),
            concurrency: Concurrency::adaptive(FIRST_AT_ONCE, MOST_AT_ONCE),
            passing: Passing(may_pass),
            ..HttpSettings::default()
        })?;
        let pair = CredentialPair {
            token_url: below(&config.api_url, &["auth", "oauth2", "v2", "token"])?,
            client_id: config.client_id.clone(),
            client_secret: config.client_secret.clone(),
        };
        Ok(Self { api: Authorized::new(http, pair), api_url: config.api_url.clone() })
    }

    /// Requests a token, to see whether that works.
    pub(super) async fn log_in(&self) -> Result<()> {
        self.api.log_in().await
    }

    /// Reads one page of a list; `None` if the list's owner was deleted.
    pub(super) async fn page<T: Record>(
        &self,
        list: &List,
        at: At<'_>,
        progress: &Progress,
    ) -> Result<Option<Page<T>>> {
        let which = match at {
            At::Number(number) => format!("page {number}"),
            At::Cursor(cursor) => format!("the page at cursor {cursor}"),
        };
        let attempted = format!("Reading {} from {} ({which})", list.what, self.place());
        let url = self.url(list, at)?;
        let began = Instant::now();
        let response = self.api.send(&attempted, HttpRequest::get(url, TIMEOUT)).await?;
        progress.request();
        if let Some(refusal) = Refusal::of(&response) {
            if list.may_go && refusal.code == 404 {
                return Ok(None);
            }
            return Err(refusal.of_list(&attempted, &response));
        }
        let mut records: Vec<T> = ONELOGIN.decode(&attempted, &response)?;
        keep(&records, progress)?;
        T::compare(&mut records);
        let header = |name| response.headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
        let count = |name| header(name).and_then(|text| text.parse().ok());
        Ok(Some(Page {
            records,
            total: count("total-count"),
            pages: count("total-pages"),
            cursor: header("after-cursor").filter(|cursor| !cursor.is_empty()).map(str::to_owned),
            asked_at: earlier(response.time(), began.elapsed()),
            calls: RateLimit::from_headers(&response.headers),
        }))
    }

    fn url(&self, list: &List, at: At<'_>) -> Result<Url> {
        let path: Vec<&str> = ["api", "2"].into_iter().chain(list.path.iter().map(String::as_str)).collect();
        let mut url = below(&self.api_url, &path)?;
        if let Some(fields) = list.fields {
            url.query_pairs_mut().append_pair("fields", fields);
        }
        if let Some((property, value)) = &list.only {
            url.query_pairs_mut().append_pair(property, value);
        }
        match at {
            At::Number(number) => {
                url.query_pairs_mut()
                    .append_pair("limit", list.limit)
                    .append_pair("page", &number.to_string());
            }
            // "Requests can only have cursor xor pagination arguments."
            At::Cursor(cursor) => add_cursor(&mut url, cursor),
        }
        Ok(url)
    }

    pub(super) fn place(&self) -> String {
        self.api_url.origin().ascii_serialization()
    }
}

/// Rounds down: the clock of an answer has whole seconds.
fn earlier(time: Timestamp, by: Duration) -> Timestamp {
    let seconds = i64::try_from(by.as_secs() + 1).unwrap_or(i64::MAX);
    Timestamp::from_second(time.as_second().saturating_sub(seconds)).unwrap_or(Timestamp::MIN)
}

fn below(base: &Url, path: &[&str]) -> Result<Url> {
    http::below(base, path.iter().copied(), ("Reading from OneLogin", "the API's URL is not a base URL"))
}

/// Group of requests with a limit of its own: all calls count towards the account's one limit, except logins.
fn limit_of(url: &Url) -> &'static str {
    if url.path().ends_with("/token") { "logins" } else { "calls" }
}

/// Normalises a cursor, which may come percent-encoded (`%3D` for `=`) or plain.
fn add_cursor(url: &mut Url, cursor: &str) {
    if cursor.contains('%') && !cursor.contains('&') {
        let others = url.query().map_or(String::new(), |others| format!("{others}&"));
        url.set_query(Some(&format!("{others}cursor={cursor}")));
    } else {
        url.query_pairs_mut().append_pair("cursor", cursor);
    }
}

#[cfg(test)]
mod tests {
    use bwdc_testkit::{damaged, damaged_text, few};
    use proptest::prelude::*;

    use super::super::record::UserRecord;
    use super::*;

    #[test]
    fn refusals_are_shown_with_onelogins_text() {
        let told = |body: &str| Refusal::parse(body.as_bytes()).map(|Refusal { code, words }| (code, words));
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
    fn missing_roles_mean_none_only_if_others_have_some() {
        let roles = |page: &str| {
            let mut page: Vec<UserRecord> = serde_json::from_str(page).unwrap();
            UserRecord::compare(&mut page);
            page.into_iter().map(|user| user.role_ids).collect::<Vec<_>>()
        };
        assert_eq!(
            roles(r#"[{"id":1},{"id":2,"role_ids":null},{"id":3,"role_ids":[1,11]},{"id":4,"role_ids":[]}]"#),
            [Some(vec![]), Some(vec![]), Some(vec![1, 11]), Some(vec![])]
        );
        assert_eq!(roles(r#"[{"id":1},{"id":2,"role_ids":[]}]"#), [Some(vec![]), Some(vec![])]);
        assert_eq!(roles(r#"[{"id":1},{"id":2,"role_ids":null}]"#), [None, None]);
        assert!(serde_json::from_str::<UserRecord>(r#"{"id":1,"role_ids":"1;11"}"#).is_err());
    }

    #[test]
    fn cursors_are_sent_back_unchanged() {
        let with = |cursor: &str, query: &str| {
            let mut url = Url::parse(&format!("https://example.org/users{query}")).unwrap();
            add_cursor(&mut url, cursor);
            url.query().unwrap_or_default().to_owned()
        };
        assert_eq!(with("bGltaXQ%3D", "?fields=id"), "fields=id&cursor=bGltaXQ%3D");
        assert_eq!(with("bGltaXQ=", "?fields=id"), "fields=id&cursor=bGltaXQ%3D");
        assert_eq!(with("a+/#", ""), "cursor=a%2B%2F%23");
        assert_eq!(with("%3D&page=1", ""), "cursor=%253D%26page%3D1");
        assert_eq!(with("%#", ""), "cursor=%%23");
    }

    const SAMPLES: [&str; 7] = [
        r#"{"status":{"error":true,"code":401,"type":"Unauthorized","message":"Authentication Failure"}}"#,
        r#"{"status":{"error":true,"code":400,"type":"bad request","message":{"description":"no"}}}"#,
        r#"{"message":"Unauthorized","statusCode":401,"name":"UnauthorizedError"}"#,
        r#"{"status":429,"error":"BadRequestError","description":"Invalid pagination cursor"}"#,
        r#"{"access_token":"x","created_at":"2021-04-28T21:10:57.210Z","expires_in":36000,"token_type":"bearer"}"#,
        r#"[{"id":1,"email":"a@example.org","username":"a","status":1,"role_ids":[1,11],"created_at":"2021-04-28T21:10:57.210Z"},{"id":2,"role_ids":null}]"#,
        r#"[{"id":1,"name":"Role 1"},{"id":2,"name":null}]"#,
    ];

    proptest! {
        #![proptest_config(few())]

        #[test]
        fn fuzz_answers_of_onelogin(
            body in damaged(SAMPLES),
            status in crate::fuzz::status(),
            reset in damaged(["832", "3000"]),
            date in damaged(["Wed, 21 Oct 2015 07:28:00 GMT", "Fri, 31 Dec 9999 23:59:59 GMT", "Mon, 01 Jan 0001 00:00:00 +2359"]),
        ) {
            let mut answer = crate::fuzz::answer(status, body.clone());
            for (name, value) in [("x-ratelimit-reset", &reset), ("x-ratelimit-remaining", &reset), ("total-count", &reset), ("date", &date)] {
                answer = crate::fuzz::with_header(answer, name, value);
            }
            let _ = may_pass(&answer);
            if let Some(refusal) = Refusal::of(&answer) {
                crate::fuzz::harmless(&refusal.at_login("Logging in", &answer), body.len())?;
                crate::fuzz::harmless(&refusal.of_list("Reading users", &answer), body.len())?;
            }
            let _ = earlier(answer.time(), TIMEOUT);
            if let Ok(token) = ONELOGIN.decode::<Token>("", &answer) {
                prop_assert!(token.renew_at(answer.time()).is_none_or(|at| at > Instant::now()));
            }
            let mut users: Vec<UserRecord> = ONELOGIN.decode("", &answer).unwrap_or_default();
            UserRecord::compare(&mut users);
            users.iter().for_each(|record| drop(super::super::convert::user(record, Some("@example.org"))));
            match ONELOGIN.decode::<Vec<RoleRecord>>("", &answer) {
                Ok(roles) => {
                    let count = roles.len();
                    prop_assert_eq!(super::super::convert::groups(roles, &users).len(), count);
                }
                Err(error) => crate::fuzz::harmless(&error, body.len())?,
            }
        }

        /// A cursor cannot add anything else to the query.
        #[test]
        fn fuzz_cursors_of_onelogin(cursor in damaged_text(["bGltaXQ%3D", "a+/=", "%3D;page=1"])) {
            let mut url = Url::parse("https://api.us.onelogin.com/api/2/users?fields=id").unwrap();
            add_cursor(&mut url, &cursor);
            let names: Vec<_> = url.query_pairs().map(|(name, _)| name.into_owned()).collect();
            prop_assert_eq!(names, ["fields", "cursor"]);
            prop_assert_eq!(url.path(), "/api/2/users");
            prop_assert_eq!(url.fragment(), None);
        }
    }
}

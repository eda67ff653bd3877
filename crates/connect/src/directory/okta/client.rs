//! Requests to Okta: lists, page after page to the last, or an error.

use bwdc_core::organization::Moment;
use reqwest::Url;
use reqwest::header::{ACCEPT, HeaderMap, HeaderValue, LINK};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::config::{Config, Credentials};
use super::failure::refused;
use super::login::Login;
use super::{OKTA, TIMEOUT};
use crate::Result;
use crate::directory::Progress;
use crate::directory::lists::{Listed, SizeInMemory, keep, length, moment, or_default};
use crate::http::{self, Allowance, Authorized, Concurrency, Http, HttpRequest, HttpSettings, Pages};

/// Initial limit on concurrent requests. Okta answers 35 to 75 at once, depending on the organization (Okta, "Concurrent rate limits"), shared by all clients.
const FIRST_AT_ONCE: u32 = 10;
const MOST_AT_ONCE: u32 = 25;

/// Person (Okta API, "User").
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct UserRecord {
    pub(super) id: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) status: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) profile: UserProfile,
    #[serde(default, deserialize_with = "moment")]
    pub(super) created: Option<Moment>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub(super) struct UserProfile {
    pub(super) email: Option<String>,
    pub(super) login: Option<String>,
}

/// Group (Okta API, "Group").
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct GroupRecord {
    pub(super) id: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) profile: GroupProfile,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub(super) struct GroupProfile {
    /// Empty if there is none.
    #[serde(default, deserialize_with = "or_default")]
    pub(super) name: String,
}

/// Member, of whom only the id matters.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct MemberRecord {
    pub(super) id: String,
}

impl SizeInMemory for UserRecord {
    fn beside(&self) -> usize {
        self.id.len() + self.status.len() + length(&self.profile.email) + length(&self.profile.login)
    }
}

impl SizeInMemory for GroupRecord {
    fn beside(&self) -> usize {
        self.id.len() + self.profile.name.len()
    }
}

impl SizeInMemory for MemberRecord {
    fn beside(&self) -> usize {
        self.id.len()
    }
}

#[derive(Debug)]
pub(super) struct Client {
    api: Authorized<Login>,
    org_url: Url,
    /// Advice if the credentials are refused.
    refused_hint: &'static str,
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
            ..HttpSettings::default()
        })?;
        let token_url = below(&config.org_url, &["oauth2", "v1", "token"])?;
        let api = Authorized::new(http, Login::new(&config.credentials, token_url));
        let refused_hint = match config.credentials {
            Credentials::Token(_) => {
                "Check okta.token: tokens expire when they are not used for 30 days, or with the account that created them."
            }
            Credentials::Application { .. } => "Check that the application of okta.clientId is still active.",
        };
        Ok(Self { api, org_url: config.org_url.clone(), refused_hint })
    }

    /// Requests a token, to see whether that works.
    pub(super) async fn log_in(&self) -> Result<()> {
        self.api.log_in().await
    }

    /// Reads all entries of a list. `what` is for messages.
    pub(super) async fn list<T: DeserializeOwned + SizeInMemory>(
        &self,
        what: &str,
        path: &[&str],
        query: &[(&str, &str)],
        progress: &Progress,
    ) -> Result<Listed<T>> {
        let mut pages = Pages::of(OKTA, what, self.url(path, query)?);
        let mut entries = Vec::new();
        while let Some(turn) = pages.turn() {
            let request = HttpRequest::get(turn.url.clone(), TIMEOUT);
            let response = self.api.send(&turn.attempted, request).await?;
            progress.request();
            match response.status.as_u16() {
                200 => {}
                404 => return Ok(Listed::Gone),
                _ if pages.begin_again(&turn, response.status) => {
                    entries.clear();
                    continue;
                }
                _ => return Err(refused(&turn.attempted, &response, self.refused_hint)),
            }
            let page: Vec<T> = OKTA.decode(&turn.attempted, &response)?;
            keep(&page, progress)?;
            entries.extend(page);
            let links = response.headers.get_all(LINK).iter().filter_map(|value| value.to_str().ok());
            pages.link(&turn, links.into_iter().find_map(next_link))?;
        }
        Ok(Listed::All(entries))
    }

    fn url(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Url> {
        let mut url = below(&below(&self.org_url, &["api", "v1"])?, path)?;
        url.query_pairs_mut().extend_pairs(query);
        Ok(url)
    }

    pub(super) fn place(&self) -> String {
        self.org_url.origin().ascii_serialization()
    }

    /// Host of the organization, with the port if it is not the usual one.
    pub(super) fn host(&self) -> &str {
        self.org_url.authority()
    }
}

fn below(base: &Url, path: &[&str]) -> Result<Url> {
    http::below(base, path.iter().copied(), ("Reading from Okta", "okta.orgUrl is not a base URL"))
}

/// Group of requests with a limit of its own: lists of people, lists of groups, and the rest, including members (Okta, "Management rate limits").
fn limit_of(url: &Url) -> &'static str {
    let mut segments =
        url.path_segments().into_iter().flatten().skip_while(|segment| *segment != "v1").skip(1);
    match (segments.next(), segments.next()) {
        (Some("token"), None) => "tokens",
        (Some("users"), None) => "users",
        (Some("groups"), None) => "groups",
        _ => "others",
    }
}

/// Target with `rel="next"` among those in one header (RFC 8288, section 3).
fn next_link(header: &str) -> Option<&str> {
    let mut rest = header;
    while let Some((_, after)) = rest.split_once('<') {
        let (target, after) = after.split_once('>')?;
        let (parameters, others) =
            after.split_once(",<").or_else(|| after.split_once(", <")).unwrap_or((after, ""));
        let is_next =
            parameters.split(';').filter_map(|parameter| parameter.split_once('=')).any(|(name, value)| {
                name.trim().eq_ignore_ascii_case("rel")
                    && value.trim().trim_matches('"').split(' ').any(|rel| rel.eq_ignore_ascii_case("next"))
            });
        if is_next {
            return Some(target);
        }
        // The bracket was removed together with the comma.
        rest = if others.is_empty() { "" } else { &after[after.len() - others.len() - 1..] };
    }
    None
}

#[cfg(test)]
mod tests {
    use bwdc_testkit::{damaged, damaged_text, few};
    use proptest::prelude::*;

    use reqwest::header::WWW_AUTHENTICATE;

    use super::super::failure::missing_scope;
    use super::*;
    use crate::http::Response;

    #[test]
    fn the_missing_scope_is_named() {
        let with = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(WWW_AUTHENTICATE, value.parse().unwrap());
            Response { status: reqwest::StatusCode::FORBIDDEN, headers, body: bytes::Bytes::new() }
        };
        let lacking = "Bearer authorization_uri=\"http://e.okta.com/oauth2/v1/authorize\", realm=\"http://e.okta.com\", \
                       scope=\"okta.groups.read\", error=\"insufficient_scope\", error_description=\"no\"";
        assert_eq!(missing_scope(&with(lacking)), Some("okta.groups.read"));
        let endless = format!("Bearer scope=\"{}\", error=\"insufficient_scope\"", "o".repeat(1_000));
        for other in [
            "Bearer error=\"invalid_token\", scope=\"x\"",
            "Bearer",
            "Bearer error=\"insufficient_scope\"",
            "Bearer scope=\"\tokta.groups.read\", error=\"insufficient_scope\"",
            &endless,
        ] {
            assert_eq!(missing_scope(&with(other)), None, "{other}");
        }
    }

    #[test]
    fn the_next_page_is_found_in_one_header_or_several() {
        let both = "<https://e.okta.com/api/v1/users?limit=2>; rel=\"self\", <https://e.okta.com/api/v1/users?after=x,y&limit=2>; rel=\"next\"";
        assert_eq!(next_link(both), Some("https://e.okta.com/api/v1/users?after=x,y&limit=2"));
        assert_eq!(next_link("<https://e/>; rel=\"self\""), None);
        assert_eq!(next_link("<https://e/>;rel=next"), Some("https://e/"));
        assert_eq!(next_link("<a>; rel=self,<b>; rel=prev,<c>; title=x; rel=\"last next\""), Some("c"));
        for odd in ["", "<", "no link", "<a", "<a>", ">,<"] {
            assert_eq!(next_link(odd), None, "{odd}");
        }
    }

    const LISTS: [&str; 4] = [
        r#"[{"id":"00u1","status":"ACTIVE","profile":{"email":"a@example.org","login":"a"}},{"id":"00u2","status":null,"profile":null}]"#,
        r#"[{"id":"00g1","profile":{"name":"Sales","description":null}}]"#,
        r#"[{"id":"00u1"}]"#,
        "[]",
    ];
    const REFUSALS: [&str; 3] = [
        r#"{"errorCode":"E0000011","errorSummary":"Invalid token provided","errorLink":"E0000011","errorId":"oae1","errorCauses":[]}"#,
        r#"{"error":"invalid_client","error_description":"The kid is unknown"}"#,
        "<html>",
    ];

    proptest! {
        #![proptest_config(few())]

        #[test]
        fn fuzz_records_of_okta(body in damaged(LISTS)) {
            let answer = crate::fuzz::answer(200, body.clone());
            if let Ok(records) = OKTA.decode::<Vec<UserRecord>>("", &answer) {
                let users: Vec<_> = records.iter().map(super::super::convert::user).collect();
                prop_assert!(users.iter().zip(&records).all(|(user, record)| user.external_id.as_str() == record.id));
            }
            match OKTA.decode::<Vec<GroupRecord>>("", &answer) {
                Ok(records) => {
                    let members: Vec<MemberRecord> = OKTA.decode("", &answer).unwrap_or_default();
                    records.iter().for_each(|record| drop(super::super::convert::group(record, &members)));
                }
                Err(error) => crate::fuzz::harmless(&error, body.len())?,
            }
        }

        #[test]
        fn fuzz_refusals_of_okta(
            body in damaged(REFUSALS),
            wanted in damaged([r#"Bearer realm="x", scope="okta.groups.read", error="insufficient_scope""#]),
            status in crate::fuzz::status(),
        ) {
            let answer = crate::fuzz::with_header(crate::fuzz::answer(status, body.clone()), "www-authenticate", &wanted);
            crate::fuzz::harmless(&refused("Reading users", &answer, "Check it."), body.len() + wanted.len())?;
            crate::fuzz::harmless(&super::super::login::refused("Logging in", &answer), body.len() + wanted.len())?;
        }

        /// The link that is found is one in angle brackets.
        #[test]
        fn fuzz_links_of_okta(header in damaged_text([
            "<https://e.okta.com/api/v1/users?limit=2>; rel=\"self\", <https://e.okta.com/api/v1/users?after=x,y&limit=2>; rel=\"next\"",
            "<a>; rel=self,<b>; rel=prev,<c>; title=x; rel=\"last next\"",
        ])) {
            if let Some(link) = bwdc_testkit::damage::soon(|| next_link(&header)) {
                let bracketed = format!("<{link}>");
                prop_assert!(header.contains(&bracketed));
            }
        }
    }
}

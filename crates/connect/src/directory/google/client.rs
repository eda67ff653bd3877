//! Requests to Google: lists, page after page to the last, or an error.

use std::sync::Arc;
use std::time::Duration;

use bwdc_core::organization::Moment;
use reqwest::header::{ACCEPT, HeaderMap, HeaderValue};
use reqwest::{Method, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::config::{Config, Tenancy};
use super::failure;
use super::login::Login;
use crate::directory::Progress;
use crate::directory::lists::{Listed, SizeInMemory, keep, length, moment, or_default};
use crate::http::{
    self, Authorized, Concurrency, Http, HttpRequest, HttpSettings, Pace, PageRequest, Pages, Passing,
    Response, Vendor,
};
use crate::{Error, Result};

pub(super) const GOOGLE: Vendor = Vendor { name: "Google", address: "BWDC_GOOGLE_API_URL" };

/// Time limit for one page.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Rate limit: so many queries in so long for each user of a project (Directory API, "Limits and quotas").
const QUERIES: u32 = 2_400;
const WINDOW: Duration = Duration::from_secs(60);

/// Initial limit on concurrent requests. The page mentions a limit without naming it: `quotaExceeded` shows when it is reached.
const FIRST_AT_ONCE: u32 = 16;
const MOST_AT_ONCE: u32 = 64;

/// Kind of entry, with the parameters of its list.
pub(super) trait Record: DeserializeOwned + SizeInMemory + Send {
    /// Name of the list in the answer and at the end of the path; also part of the answer's `kind`.
    const LIST: &'static str;
    /// Fields needed of each entry (Directory API, "Performance tips", partial responses).
    const FIELDS: &'static str;
    /// Largest page.
    const PAGE: &'static str;
    /// Whether the owner of the list may be deleted during the read.
    const MAY_VANISH: bool = false;
}

/// Person (Directory API, "User").
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct UserRecord {
    pub(super) id: String,
    pub(super) primary_email: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) suspended: bool,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) archived: bool,
    /// Only in the list of deleted people.
    pub(super) deletion_time: Option<String>,
    /// Only checked for being empty.
    #[serde(default, deserialize_with = "or_default")]
    pub(super) emails: Value,
    #[serde(default, deserialize_with = "moment")]
    pub(super) creation_time: Option<Moment>,
}

impl Record for UserRecord {
    const LIST: &'static str = "users";
    const FIELDS: &'static str = "id,primaryEmail,suspended,archived,deletionTime,emails,creationTime";
    const PAGE: &'static str = "500";
}

/// Group (Directory API, "Group").
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct GroupRecord {
    pub(super) id: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) name: String,
}

impl Record for GroupRecord {
    const LIST: &'static str = "groups";
    const FIELDS: &'static str = "id,name";
    const PAGE: &'static str = "200";
}

/// Member (Directory API, "Member").
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct MemberRecord {
    #[serde(deserialize_with = "or_default")]
    pub(super) id: String,
    /// USER, GROUP, CUSTOMER, EXTERNAL.
    #[serde(rename = "type", deserialize_with = "or_default")]
    pub(super) kind: String,
    /// ACTIVE, SUSPENDED and so on; absent for people from outside.
    pub(super) status: Option<String>,
}

impl Record for MemberRecord {
    const LIST: &'static str = "members";
    const FIELDS: &'static str = "id,type,status";
    const PAGE: &'static str = "200";
    const MAY_VANISH: bool = true;
}

impl SizeInMemory for UserRecord {
    fn beside(&self) -> usize {
        self.id.len() + length(&self.primary_email) + length(&self.deletion_time) + weight(&self.emails)
    }
}

/// The octets of any JSON.
fn weight(value: &Value) -> usize {
    let beside = match value {
        Value::String(text) => text.len(),
        Value::Array(values) => values.iter().map(weight).sum(),
        Value::Object(fields) => fields.iter().map(|(name, value)| name.len() + weight(value)).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    };
    size_of::<Value>() + beside
}

impl SizeInMemory for GroupRecord {
    fn beside(&self) -> usize {
        self.id.len() + self.name.len()
    }
}

impl SizeInMemory for MemberRecord {
    fn beside(&self) -> usize {
        self.id.len() + self.kind.len() + length(&self.status)
    }
}

/// Contents of a page. A list without entries is omitted from it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written<T> {
    kind: Option<String>,
    next_page_token: Option<String>,
    #[serde(alias = "users", alias = "groups", alias = "members")]
    entries: Option<Vec<T>>,
}

impl<T> Written<T> {
    /// Any other answer would read as an empty list.
    fn is_list_of<R: Record>(&self) -> bool {
        match &self.kind {
            Some(kind) => *kind == format!("admin#directory#{}", R::LIST),
            None => self.entries.is_some(),
        }
    }
}

/// Page, or the news that its owner is gone.
#[derive(Debug)]
pub(super) enum Page<T> {
    Entries(Vec<T>),
    /// The page token has expired: the list is read again from the beginning.
    BegunAgain,
    Gone,
}

#[derive(Debug)]
pub(super) struct Client {
    http: Http,
    login: Arc<Login>,
    api: Authorized<Arc<Login>>,
    api_url: Url,
    part: Tenancy,
}

impl Client {
    pub(super) fn new(config: &Config) -> Result<Self> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        let http = Http::new(HttpSettings {
            network: config.network.clone(),
            headers,
            pace: Pace::within(QUERIES, WINDOW, cost),
            concurrency: Concurrency::adaptive(FIRST_AT_ONCE, MOST_AT_ONCE),
            passing: Passing(failure::may_pass),
            ..HttpSettings::default()
        })?;
        let login = Arc::new(Login::new(config)?);
        let api = Authorized::new(http.clone(), Arc::clone(&login));
        Ok(Self { http, login, api, api_url: config.api_url.clone(), part: config.part.clone() })
    }

    /// Reads all entries of a list. `what` is for messages.
    pub(super) async fn list<T: Record>(
        &self,
        what: &str,
        path: &[&str],
        query: &[(&str, &str)],
        progress: &Progress,
    ) -> Result<Listed<T>> {
        let mut pages = self.pages::<T>(what, path, query)?;
        let mut entries = Vec::new();
        while let Some(turn) = pages.turn() {
            let page = self.page(&mut pages, &turn).await?;
            progress.request();
            match page {
                Page::Entries(more) => {
                    keep(&more, progress)?;
                    entries.extend(more);
                }
                Page::BegunAgain => entries.clear(),
                Page::Gone => return Ok(Listed::Gone),
            }
        }
        Ok(Listed::All(entries))
    }

    /// Reads one entry by its key; `None` if there is none.
    pub(super) async fn entry<T: Record>(&self, what: &str, path: &[&str]) -> Result<Option<T>> {
        let mut url = self.below(path)?;
        url.query_pairs_mut().append_pair("fields", T::FIELDS);
        let attempted = format!("Reading {what} from Google");
        let response = self.api.send(&attempted, HttpRequest::get(url, TIMEOUT)).await?;
        match response.status.as_u16() {
            200 => GOOGLE.decode(&attempted, &response).map(Some),
            404 if failure::is_googles(&response) => Ok(None),
            400 if failure::is_of_another_kind(&response) => Ok(None),
            _ => Err(self.refused(&attempted, &response)),
        }
    }

    /// Reads the first page of a list, to see whether it can be read.
    pub(super) async fn first_page<T: Record>(
        &self,
        what: &str,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<Page<T>> {
        let mut pages = self.pages::<T>(what, path, query)?;
        match pages.turn() {
            Some(turn) => self.page(&mut pages, &turn).await,
            None => Ok(Page::Gone),
        }
    }

    fn below(&self, path: &[&str]) -> Result<Url> {
        let path = ["admin", "directory", "v1"].iter().chain(path).copied();
        http::below(&self.api_url, path, ("Reading from Google", "BWDC_GOOGLE_API_URL is not a base URL"))
    }

    fn pages<T: Record>(&self, what: &str, path: &[&str], query: &[(&str, &str)]) -> Result<Pages> {
        let mut url = self.below(path)?;
        let fields = format!("kind,nextPageToken,{}({})", T::LIST, T::FIELDS);
        url.query_pairs_mut()
            .extend_pairs(query)
            .extend_pairs([("maxResults", T::PAGE), ("fields", &fields)]);
        Ok(Pages::of(GOOGLE, what, url))
    }

    async fn page<T: Record>(&self, pages: &mut Pages, turn: &PageRequest) -> Result<Page<T>> {
        let response = self.api.send(&turn.attempted, HttpRequest::get(turn.url.clone(), TIMEOUT)).await?;
        match response.status.as_u16() {
            200 => {}
            404 if T::MAY_VANISH && failure::is_googles(&response) => return Ok(Page::Gone),
            _ if failure::is_googles(&response) && pages.begin_again(turn, response.status) => {
                return Ok(Page::BegunAgain);
            }
            _ => return Err(self.refused(&turn.attempted, &response)),
        }
        let written: Written<T> = GOOGLE.decode(&turn.attempted, &response)?;
        if !written.is_list_of::<T>() {
            return Err(self.refused(&turn.attempted, &response));
        }
        let Written { next_page_token, entries, .. } = written;
        pages.token(turn, "pageToken", next_page_token.as_deref())?;
        Ok(Page::Entries(entries.unwrap_or_default()))
    }

    fn refused(&self, attempted: &str, response: &Response) -> Error {
        failure::refused(attempted, response, &self.login, &self.part)
    }

    /// Requests a token for all scopes.
    pub(super) async fn log_in(&self) -> Result<()> {
        self.api.log_in().await
    }

    /// Requests a token for one scope only.
    pub(super) async fn try_scope(&self, scope: &str) -> Result<()> {
        self.login.token(&self.http, &[scope]).await.map(|_| ())
    }

    pub(super) fn login(&self) -> &Login {
        &self.login
    }
}

/// Queries count towards the limit, logins do not.
fn cost(_: &Method, url: &Url) -> u32 {
    u32::from(url.path().contains("/admin/directory/"))
}

#[cfg(test)]
mod tests {
    use bwdc_testkit::{damaged, few};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn queries_count_and_logins_do_not() {
        let cost = |text: &str| cost(&Method::GET, &Url::parse(text).unwrap());
        assert_eq!(
            cost("https://admin.googleapis.com/admin/directory/v1/groups/g1/members?maxResults=200"),
            1
        );
        assert_eq!(cost("https://proxy.example/google/admin/directory/v1/users"), 1);
        assert_eq!(cost("https://oauth2.googleapis.com/token"), 0);
    }

    #[test]
    fn an_answer_without_a_list_does_not_read_as_an_empty_one() {
        let is_list = |text: &str| {
            serde_json::from_str::<Written<UserRecord>>(text).unwrap().is_list_of::<UserRecord>()
        };
        assert!(is_list(r#"{"kind":"admin#directory#users"}"#));
        assert!(is_list(r#"{"users":[]}"#));
        for other in
            ["{}", r#"{"error":{"code":500}}"#, r#"{"kind":"admin#directory#groups"}"#, r#"{"users":null}"#]
        {
            assert!(!is_list(other), "{other}");
        }
    }

    const LISTS: [&str; 4] = [
        r#"{"kind":"admin#directory#users","nextPageToken":"a","users":[{"id":"1","primaryEmail":"a@example.org","suspended":false,"archived":null,"emails":[{"address":"x"}]}]}"#,
        r#"{"kind":"admin#directory#groups","groups":[{"id":"g","name":"Sales"},{"id":"h"}]}"#,
        r#"{"members":[{"id":"1","type":"USER","status":"ACTIVE"},{"type":"CUSTOMER"},{"id":"3","type":"GROUP"},{}]}"#,
        r#"{"kind":"admin#directory#users"}"#,
    ];

    proptest! {
        #![proptest_config(few())]

        #[test]
        fn fuzz_records_of_google(body in damaged(LISTS)) {
            use super::super::convert::{Listing, everybody, group, living, user};
            let answer = crate::fuzz::answer(200, body.clone());
            let users = match GOOGLE.decode::<Written<UserRecord>>("", &answer) {
                Ok(written) => written.entries.unwrap_or_default(),
                Err(error) => {
                    crate::fuzz::harmless(&error, body.len())?;
                    Vec::new()
                }
            };
            let users: Vec<_> = [Listing::Living, Listing::Deleted].iter().flat_map(|listing| users.iter().map(|record| user(record, *listing))).collect();
            let living = living(users.iter());
            let members = GOOGLE.decode::<Written<MemberRecord>>("", &answer).ok().and_then(|written| written.entries).unwrap_or_default();
            let groups = GOOGLE.decode::<Written<GroupRecord>>("", &answer).ok().and_then(|written| written.entries).unwrap_or_default();
            let groups: Vec<_> = groups.iter().map(|record| group(record, &members, &living).0).collect();
            prop_assert!(groups.iter().all(|group| group.members.len() <= members.len()));
            let _ = everybody(&groups, users.iter());
        }
    }
}

//! Requests to Microsoft Graph: lists, page after page to the last, or an error.

use std::sync::Arc;
use std::time::Duration;

use bwdc_core::organization::Moment;
use reqwest::header::{ACCEPT, HeaderMap, HeaderValue};
use reqwest::{Method, StatusCode, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::ENTRA;
use super::config::Config;
use super::login::{Granted, Login};
use crate::directory::Progress;
use crate::directory::lists::{SizeInMemory, keep, length, moment, or_default};
use crate::http::{
    self, Authorized, Concurrency, Http, HttpRequest, HttpSettings, Pace, PageRequest, Pages, Response,
};
use crate::{Error, ErrorKind, Result};

/// Time limit for one page.
const TIMEOUT: Duration = Duration::from_secs(120);

/// Limit on concurrent requests. Graph has none, only one on what requests cost.
const FIRST_AT_ONCE: u32 = 20;
const MOST_AT_ONCE: u32 = 40;

/// Time for which an application has [`units`].
const WINDOW: Duration = Duration::from_secs(10);

/// Resource units that an application may use in a tenant of so many people ("Throttling limits", identity and access service).
fn units(people: usize) -> u32 {
    match people {
        0..50 => 3_500,
        50..=500 => 5_000,
        _ => 8_000,
    }
}

/// Person ("user resource type").
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct UserRecord {
    pub(super) id: String,
    pub(super) mail: Option<String>,
    pub(super) user_principal_name: Option<String>,
    pub(super) account_enabled: Option<bool>,
    #[serde(default, deserialize_with = "moment")]
    pub(super) created_date_time: Option<Moment>,
}

/// Entry of a list of changes; without `@removed`, somebody who was added or changed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct ChangeRecord {
    pub(super) id: String,
    #[serde(rename = "@removed")]
    pub(super) removed: Option<Removed>,
}

/// `changed` for an account that can be restored, `deleted` for one that is permanently deleted ("Use delta query to track changes").
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Removed {}

/// Person deleted less than 30 days ago ("List deletedItems").
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct DeletedRecord {
    pub(super) id: String,
    pub(super) mail: Option<String>,
}

/// Group ("group resource type").
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GroupRecord {
    pub(super) id: String,
    /// Empty if there is none.
    #[serde(default, deserialize_with = "or_default")]
    pub(super) display_name: String,
    pub(super) visibility: Option<String>,
}

impl GroupRecord {
    /// Name for messages.
    pub(super) fn label(&self) -> &str {
        if self.display_name.trim().is_empty() { &self.id } else { &self.display_name }
    }

    /// Whether its members are visible only with a separate permission.
    pub(super) fn hides_members(&self) -> bool {
        self.visibility
            .as_deref()
            .is_some_and(|visibility| visibility.eq_ignore_ascii_case("HiddenMembership"))
    }
}

/// Member of a group or an administrative unit.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct MemberRecord {
    pub(super) id: String,
    #[serde(rename = "@odata.type")]
    pub(super) kind: Option<String>,
}

impl SizeInMemory for UserRecord {
    fn beside(&self) -> usize {
        self.id.len() + length(&self.mail) + length(&self.user_principal_name)
    }
}

impl SizeInMemory for ChangeRecord {
    fn beside(&self) -> usize {
        self.id.len()
    }
}

impl SizeInMemory for DeletedRecord {
    fn beside(&self) -> usize {
        self.id.len() + length(&self.mail)
    }
}

impl SizeInMemory for GroupRecord {
    fn beside(&self) -> usize {
        self.id.len() + self.display_name.len() + length(&self.visibility)
    }
}

impl SizeInMemory for MemberRecord {
    fn beside(&self) -> usize {
        self.id.len() + length(&self.kind)
    }
}

/// Client secret ("passwordCredential resource type").
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SecretRecord {
    pub(super) display_name: Option<String>,
    /// Its first three characters.
    pub(super) hint: Option<String>,
    pub(super) end_date_time: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ApplicationRecord {
    #[serde(default, deserialize_with = "or_default")]
    password_credentials: Vec<SecretRecord>,
}

#[derive(Deserialize)]
struct Page<T> {
    value: Vec<T>,
    #[serde(rename = "@odata.nextLink")]
    next: Option<String>,
    #[serde(rename = "@odata.deltaLink")]
    delta: Option<String>,
}

/// Body of Graph's refusals ("Error responses and resource types").
#[derive(Deserialize)]
struct ErrorBody {
    error: ErrorDetails,
}

#[derive(Deserialize)]
struct ErrorDetails {
    code: String,
    #[serde(default, deserialize_with = "or_default")]
    message: String,
}

/// Codes and texts with which Graph refuses a link it made itself ("Use delta query to track changes", synchronization reset;
/// "Microsoft Graph error responses").
const EXPIRED_LINK: [&str; 5] = [
    "syncStateNotFound",
    "resyncRequired",
    "Request_UnsupportedQuery",
    "InvalidSyncToken",
    "Badly formed token",
];
/// Answer of a tenant that tracks no changes (Azure AD B2C, external tenants).
const NO_CHANGES: &str = "Change enumeration is not supported";

/// Application permission, as an administrator grants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Permission {
    Users,
    Groups,
    Units,
}

impl Permission {
    /// Smallest permission that is sufficient.
    pub(super) fn name(self) -> &'static str {
        self.enough()[0]
    }

    /// Permissions of which any is sufficient.
    fn enough(self) -> &'static [&'static str] {
        match self {
            Self::Users => {
                &["User.Read.All", "User.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"]
            }
            Self::Groups => &[
                "Group.Read.All",
                "GroupMember.Read.All",
                "GroupMember.ReadWrite.All",
                "Group.ReadWrite.All",
                "Directory.Read.All",
                "Directory.ReadWrite.All",
            ],
            Self::Units => &[
                "AdministrativeUnit.Read.All",
                "AdministrativeUnit.ReadWrite.All",
                "Directory.Read.All",
                "Directory.ReadWrite.All",
            ],
        }
    }

    /// Whether it is among those that were granted.
    pub(super) fn is_in(self, granted: &[String]) -> bool {
        self.enough().iter().any(|enough| granted.iter().any(|name| name.eq_ignore_ascii_case(enough)))
    }
}

/// List to read.
#[derive(Clone, Copy, Debug)]
pub(super) struct ListRequest<'a> {
    /// Name for messages.
    pub(super) what: &'a str,
    /// Path after `/v1.0/`.
    pub(super) path: &'a [&'a str],
    pub(super) query: &'a [(&'a str, &'a str)],
    pub(super) needs: Permission,
}

/// What a list has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content {
    /// The people of the tenant, whose number decides on its limit.
    People,
    Other,
}

impl ListRequest<'_> {
    fn content(&self) -> Content {
        if self.path == ["users"] { Content::People } else { Content::Other }
    }
}

/// List, or a refusal.
#[derive(Debug)]
pub(super) enum ListAnswer<T> {
    All(List<T>),
    Refused(Refusal),
}

/// Complete list.
#[derive(Debug)]
pub(super) struct List<T> {
    pub(super) entries: Vec<T>,
    /// Link at which the next list of changes starts.
    pub(super) delta_link: Option<String>,
}

/// Refusal by Graph.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: u16,
    /// Its code and text.
    text: String,
    pub(super) error: Error,
}

impl Refusal {
    fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::IM_A_TEAPOT)
    }

    /// Whether the item does not exist or no longer exists.
    pub(super) fn is_missing(&self) -> bool {
        self.status == 404
    }

    /// Whether a stored link can no longer be used. Anything else, such as a limit, a failure or a missing permission, is
    /// temporary, and the link works again afterwards.
    pub(super) fn is_expired_link(&self) -> bool {
        let says = |words: &&str| self.text.to_lowercase().contains(&words.to_lowercase());
        match self.status {
            // Not even requested: the link belongs to another server.
            0 | 410 => true,
            400 => EXPIRED_LINK.iter().any(says) || self.is_without_changes(),
            _ => false,
        }
    }

    /// Whether the tenant keeps no list of changes.
    pub(super) fn is_without_changes(&self) -> bool {
        self.text.contains(NO_CHANGES)
    }
}

impl<T> ListAnswer<T> {
    /// Result for a list that must exist.
    pub(super) fn complete(self) -> Result<List<T>> {
        match self {
            Self::All(list) => Ok(list),
            Self::Refused(refusal) => Err(refusal.error),
        }
    }

    /// `None` if the list does not exist.
    pub(super) fn supported(self) -> Result<Option<List<T>>> {
        match self {
            Self::Refused(refusal)
                if matches!(refusal.status, 400 | 404 | 405 | 501) || refusal.is_without_changes() =>
            {
                Ok(None)
            }
            listed => listed.complete().map(Some),
        }
    }
}

#[derive(Debug)]
pub(super) struct Client {
    http: Http,
    pace: Pace,
    login: Arc<Login>,
    api: Authorized<Arc<Login>>,
    graph_url: Url,
    /// Name of Graph in its links.
    own_graph: &'static str,
}

impl Client {
    pub(super) fn new(config: &Config) -> Result<Self> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        // As in a small tenant, until people are known.
        let pace = Pace::within(units(0), WINDOW, cost);
        let http = Http::new(HttpSettings {
            network: config.network.clone(),
            headers,
            pace: pace.clone(),
            concurrency: Concurrency::adaptive(FIRST_AT_ONCE, MOST_AT_ONCE),
            ..HttpSettings::default()
        })?;
        let login = Arc::new(Login::new(config)?);
        let api = Authorized::new(http.clone(), Arc::clone(&login));
        let (graph_url, own_graph) = (config.graph_url.clone(), config.authority.own_graph());
        Ok(Self { http, pace, login, api, graph_url, own_graph })
    }

    pub(super) fn login(&self) -> &Login {
        &self.login
    }

    /// Requests a separate token for inspection.
    pub(super) async fn granted(&self) -> Result<Granted> {
        self.login.granted(&self.http).await
    }

    pub(super) fn place(&self) -> String {
        self.graph_url.origin().ascii_serialization()
    }

    /// Reads all entries of a list.
    pub(super) async fn list<T: DeserializeOwned + SizeInMemory>(
        &self,
        wanted: ListRequest<'_>,
        progress: &Progress,
    ) -> Result<ListAnswer<T>> {
        let first = self.url(wanted.path, wanted.query)?;
        self.walk(Pages::of(ENTRA, wanted.what, first), wanted.needs, wanted.content(), progress).await
    }

    /// Reads the first page of a list, and whether there are more.
    pub(super) async fn first_page<T: DeserializeOwned>(
        &self,
        wanted: ListRequest<'_>,
    ) -> Result<(Vec<T>, bool)> {
        let mut pages = Pages::of(ENTRA, wanted.what, self.url(wanted.path, wanted.query)?);
        let Some(turn) = pages.turn() else { return Ok((Vec::new(), false)) };
        let page = self.page(&turn, wanted.needs).await?.map_err(|refusal| refusal.error)?;
        Ok((page.value, page.next.is_some()))
    }

    /// Reads changes since a stored link was made. The link must lead to this server: the token goes with it.
    pub(super) async fn changes<T: DeserializeOwned + SizeInMemory>(
        &self,
        link: &str,
        progress: &Progress,
    ) -> Result<ListAnswer<T>> {
        let attempted = format!("Reading deleted users from {}", self.place());
        let url = Url::parse(&self.here(link)).ok().filter(|url| url.origin() == self.graph_url.origin());
        let Some(url) = url else {
            let error = Error::new(ErrorKind::Data, attempted, "the stored link belongs to another server");
            return Ok(ListAnswer::Refused(Refusal { status: 0, text: String::new(), error }));
        };
        self.walk(Pages::of(ENTRA, "deleted users", url), Permission::Users, Content::Other, progress).await
    }

    async fn walk<T: DeserializeOwned + SizeInMemory>(
        &self,
        mut pages: Pages,
        needs: Permission,
        content: Content,
        progress: &Progress,
    ) -> Result<ListAnswer<T>> {
        let mut list = List { entries: Vec::new(), delta_link: None };
        while let Some(turn) = pages.turn() {
            progress.request();
            let page = match self.page::<T>(&turn, needs).await? {
                Ok(page) => page,
                Err(refusal) if pages.begin_again(&turn, refusal.status()) => {
                    list.entries.clear();
                    continue;
                }
                Err(refusal) => return Ok(ListAnswer::Refused(refusal)),
            };
            keep(&page.value, progress)?;
            list.entries.extend(page.value);
            if content == Content::People {
                self.pace.raise(units(list.entries.len()));
            }
            list.delta_link = page.delta;
            pages.link(&turn, page.next.map(|link| self.here(&link)).as_deref())?;
        }
        Ok(ListAnswer::All(list))
    }

    async fn page<T: DeserializeOwned>(
        &self,
        turn: &PageRequest,
        needs: Permission,
    ) -> Result<std::result::Result<Page<T>, Refusal>> {
        let response = self.api.send(&turn.attempted, HttpRequest::get(turn.url.clone(), TIMEOUT)).await?;
        let status = response.status.as_u16();
        if status != 200 {
            let error = refused(&turn.attempted, &response, needs);
            return Ok(Err(Refusal { status, text: text_of_refusal(&response), error }));
        }
        ENTRA.decode(&turn.attempted, &response).map(Ok)
    }

    /// Client secrets of the application itself; `None` if it may not read its registration.
    pub(super) async fn secrets(&self, application_id: &str) -> Result<Option<Vec<SecretRecord>>> {
        let path = format!("applications(appId='{application_id}')");
        let url = self.url(&[&path], &[("$select", "passwordCredentials")])?;
        let attempted = format!("Reading the application's registration from {}", self.place());
        let response = self.api.send(&attempted, HttpRequest::get(url, TIMEOUT)).await?;
        if response.status.as_u16() != 200 {
            return Ok(None);
        }
        let record: ApplicationRecord = ENTRA.decode(&attempted, &response)?;
        Ok(Some(record.password_credentials))
    }

    fn url(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Url> {
        let path = ["v1.0"].iter().chain(path).copied();
        let wrong = ("Reading from Microsoft Entra ID", "the address of Graph is not a base URL");
        let mut url = http::below(&self.graph_url, path, wrong)?;
        url.query_pairs_mut().extend_pairs(query);
        Ok(url)
    }

    /// Sends one of Graph's links through the proxy if there is one.
    fn here(&self, link: &str) -> String {
        match link.strip_prefix(self.own_graph).filter(|rest| rest.starts_with('/')) {
            Some(rest) => format!("{}{rest}", self.graph_url.as_str().trim_end_matches('/')),
            None => link.to_owned(),
        }
    }
}

/// Resource units of a request ("Throttling limits", identity and access service); tokens are not counted.
fn cost(method: &Method, url: &Url) -> u32 {
    if *method != Method::GET {
        return 0;
    }
    let path: Vec<&str> =
        url.path_segments().into_iter().flatten().skip_while(|segment| *segment != "v1.0").skip(1).collect();
    let base: u32 = match path[..] {
        ["groups", _, "members"] => 3,
        ["groups", _, "transitiveMembers"] => 5,
        ["users"] => 2,
        [application] if application.starts_with("applications") => 2,
        _ => 1,
    };
    let selects = url.query_pairs().any(|(name, _)| name == "$select");
    base.saturating_sub(u32::from(selects)).max(1)
}

/// Code and text of a refusal.
fn text_of_refusal(response: &Response) -> String {
    let told = serde_json::from_slice::<ErrorBody>(&response.body);
    told.map_or_else(|_| String::new(), |ErrorBody { error }| format!("{}: {}", error.code, error.message))
}

fn refused(attempted: &str, response: &Response, needs: Permission) -> Error {
    let status = response.status.as_u16();
    let id = response.request_id().unwrap_or("without an id");
    let told = match serde_json::from_slice::<ErrorBody>(&response.body) {
        Ok(ErrorBody { error: ErrorDetails { code, message } }) => {
            format!("HTTP {status}, {code}: {message} (request {id})")
        }
        Err(_) => format!("HTTP {status} (request {id})"),
    };
    let (kind, hint) = match status {
        401 => (
            ErrorKind::Credentials,
            "The access token is not accepted: check entra.identityAuthority, and BWDC_ENTRA_GRAPH_URL if it is set.".to_owned(),
        ),
        403 => (
            ErrorKind::Credentials,
            format!(
                "Grant the application the permission {} (API permissions, Microsoft Graph, Application permissions), with admin \
                 consent. `bwdc doctor` names all that are missing.",
                needs.name()
            ),
        ),
        300..=399 | 400 | 404 => (
            ErrorKind::Configuration,
            "Check entra.identityAuthority, and BWDC_ENTRA_GRAPH_URL if it is set. Nothing was imported.".to_owned(),
        ),
        429 => (
            ErrorKind::Unreachable,
            "The tenant's limit is used up; try again later, or find out what else reads with this application.".to_owned(),
        ),
        _ => (ErrorKind::Refused, "Check Service health at admin.microsoft.com. Nothing was imported.".to_owned()),
    };
    Error::new(kind, attempted, told).hint(hint)
}

#[cfg(test)]
mod tests {
    use bwdc_testkit::{damaged, few};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn requests_cost_what_the_table_says() {
        for (path, units) in [
            ("users?%24select=id,mail&%24top=999", 1),
            ("users", 2),
            ("users/delta?$deltatoken=latest", 1),
            ("groups?$select=id", 1),
            ("groups/1/members?%24select=id&$top=999", 2),
            ("groups/1/members", 3),
            ("groups/1/transitiveMembers?$select=id", 4),
            ("directory/administrativeUnits/1/members?$select=id", 1),
            ("applications(appId='x')", 2),
        ] {
            let url = Url::parse(&format!("https://proxy.example.org/graph/v1.0/{path}")).unwrap();
            assert_eq!(cost(&Method::GET, &url), units, "{path}");
        }
        let token = Url::parse("https://login.microsoftonline.com/t/oauth2/v2.0/token").unwrap();
        assert_eq!(cost(&Method::POST, &token), 0);
    }

    #[test]
    fn larger_permissions_are_sufficient() {
        let granted = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        assert!(Permission::Groups.is_in(&granted(&["GroupMember.Read.All"])));
        assert!(Permission::Users.is_in(&granted(&["Mail.Read", "directory.read.all"])));
        assert!(!Permission::Users.is_in(&granted(&["Group.Read.All", "User.ReadBasic.All"])));
        assert_eq!(Permission::Units.name(), "AdministrativeUnit.Read.All");
    }

    const LISTS: [&str; 4] = [
        r#"{"value":[{"id":"1","mail":"a@example.org","userPrincipalName":"a@x.onmicrosoft.com","accountEnabled":true},{"id":"2","mail":null}],"@odata.nextLink":"https://graph.microsoft.com/v1.0/users?$skiptoken=x"}"#,
        r##"{"value":[{"id":"g","displayName":"Sales","visibility":"HiddenMembership","@odata.type":"#microsoft.graph.group"}]}"##,
        r#"{"value":[{"id":"1","@removed":{"reason":"deleted"}}],"@odata.deltaLink":"https://graph.microsoft.com/v1.0/users/delta?$deltatoken=y"}"#,
        r#"{"value":[],"passwordCredentials":[{"displayName":"x","hint":"abc","endDateTime":"2030-01-01T00:00:00Z"}]}"#,
    ];
    const REFUSALS: [&str; 3] = [
        r#"{"error":{"code":"Authorization_RequestDenied","message":"Insufficient privileges","innerError":{"date":"2026-01-01"}}}"#,
        r#"{"error":"invalid_client","error_description":"AADSTS7000215: Invalid client secret. Trace ID: x","error_codes":[7000215],"trace_id":"t"}"#,
        r#"{"error":{"code":"syncStateNotFound","message":"Badly formed token"}}"#,
    ];

    proptest! {
        #![proptest_config(few())]

        #[test]
        fn fuzz_records_of_entra(body in damaged(LISTS)) {
            use super::super::convert;
            let answer = crate::fuzz::answer(200, body.clone());
            fn page<T: DeserializeOwned>(answer: &Response) -> Vec<T> {
                ENTRA.decode::<Page<T>>("", answer).map_or_else(|_| Vec::new(), |page| page.value)
            }
            if let Err(error) = ENTRA.decode::<Page<UserRecord>>("", &answer) {
                crate::fuzz::harmless(&error, body.len())?;
            }
            let users: Vec<UserRecord> = page(&answer);
            let people = convert::people(&users, &super::super::filter::Circles::default());
            prop_assert_eq!(people.kept.len(), users.len());
            let left = [convert::removed(&page(&answer)), convert::deleted(&page(&answer))].concat();
            let _ = convert::contradicted(&left, &users);
            let members: Vec<MemberRecord> = page(&answer);
            page::<GroupRecord>(&answer).iter().for_each(|record| drop((convert::group(record, &members), record.label())));
            let _ = ENTRA.decode::<ApplicationRecord>("", &answer);
        }

        #[test]
        fn fuzz_refusals_of_entra(body in damaged(REFUSALS), status in crate::fuzz::status(), id in damaged(["abc-1"])) {
            let answer = crate::fuzz::with_header(crate::fuzz::answer(status, body.clone()), "request-id", &id);
            let error = refused("Reading users", &answer, Permission::Users);
            crate::fuzz::harmless(&error, body.len())?;
            crate::fuzz::harmless(&super::super::login::refused("Logging in", &answer), body.len())?;
            let refusal = Refusal { status, text: text_of_refusal(&answer), error };
            let _ = (refusal.is_expired_link(), refusal.is_missing(), refusal.status());
        }
    }
}

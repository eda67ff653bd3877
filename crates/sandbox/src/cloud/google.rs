//! Google Workspace: the token endpoint, `users.list`, `groups.list` and `members.list` of the Directory API, with pages, field
//! masks, queries, limits, and failures.
//!
//! Facts from Google's documentation: "Directory API" (reference, "Search for users", "Limits and quotas"), its discovery
//! document `admin.directory_v1`, and "Using OAuth 2.0 for Server to Server Applications".

mod login;
mod mask;
mod query;

use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use self::login::Logins;
pub use self::login::{
    ADMIN, CLIENT_EMAIL, CLIENT_ID, PRIVATE_KEY, PUBLIC_KEY, SCOPES, STRANGERS_PRIVATE_KEY, key_file,
};
use super::{Behaviour, Charge, Cloud, Company, Engine, Quota, Refusal, Status, Vendor, repeats_page};

/// Id of the customer.
pub const CUSTOMER: &str = "C0sandbox";
/// First domain of the customer.
pub const DOMAIN: &str = "example.org";

/// Supported parameters of the list of people, besides [`COMMON_PARAMETERS`].
pub const USERS_PARAMETERS: [&str; 6] =
    ["customer", "domain", "maxResults", "pageToken", "query", "showDeleted"];
/// Supported parameters of the list of groups.
pub const GROUPS_PARAMETERS: [&str; 5] = ["customer", "domain", "maxResults", "pageToken", "query"];
/// Supported parameters of the list of members.
pub const MEMBERS_PARAMETERS: [&str; 2] = ["maxResults", "pageToken"];
/// Parameters supported everywhere.
pub const COMMON_PARAMETERS: [&str; 3] = ["alt", "fields", "prettyPrint"];

/// Contents of the Google Workspace.
#[derive(Clone, Debug)]
pub struct Google {
    /// People, including those who were deleted.
    pub users: Vec<Person>,
    /// Groups.
    pub groups: Vec<Team>,
    /// Ids of groups to delete between the listing and the read of their members.
    pub vanishing: HashSet<String>,
    /// Scopes that domain-wide delegation allows the service account.
    pub delegated: Vec<&'static str>,
}

/// Person.
#[derive(Clone, Debug)]
pub struct Person {
    /// Google's id.
    pub id: String,
    /// `primaryEmail`.
    pub email: String,
    /// Whether `emails` has it, too.
    pub mailbox: Mailbox,
    /// State of the account.
    pub account: Account,
    /// `orgUnitPath`, for queries.
    pub unit: &'static str,
}

/// Whether a person has an address besides the sign-in name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mailbox {
    /// As usual.
    There,
    /// There are no `emails`.
    None,
}

/// State of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Account {
    /// In use.
    Active,
    /// `suspended`
    Suspended,
    /// `archived`
    Archived,
    /// Deleted; listed only with `showDeleted`.
    Deleted,
}

/// Group.
#[derive(Clone, Debug)]
pub struct Team {
    /// Google's id.
    pub id: String,
    /// Address.
    pub email: String,
    /// Display name.
    pub name: String,
    /// Members.
    pub members: Vec<Member>,
}

/// Member of a group.
#[derive(Clone, Debug)]
pub struct Member {
    /// Id of the person, the group or the customer.
    pub id: String,
    /// `USER`, `GROUP`, `CUSTOMER`, `EXTERNAL`.
    pub kind: &'static str,
    /// Status; people from outside have none.
    pub status: Option<&'static str>,
}

impl Default for Google {
    fn default() -> Self {
        Self { users: Vec::new(), groups: Vec::new(), vanishing: HashSet::new(), delegated: SCOPES.to_vec() }
    }
}

impl Person {
    /// Active person, with this name before the @ of [`DOMAIN`].
    pub fn named(name: &str) -> Self {
        Self {
            id: user_id(name),
            email: format!("{name}@{DOMAIN}"),
            mailbox: Mailbox::There,
            account: Account::Active,
            unit: "/",
        }
    }
}

impl Team {
    /// Group of people by name.
    pub fn named(name: &str, members: Vec<Member>) -> Self {
        let local = name.to_lowercase().replace(' ', "-");
        Self { id: group_id(name), email: format!("{local}@{DOMAIN}"), name: name.to_owned(), members }
    }
}

impl Member {
    /// Member who is not suspended.
    pub fn user(name: &str) -> Self {
        Self { id: user_id(name), kind: "USER", status: Some("ACTIVE") }
    }

    /// Group as a member.
    pub fn group(name: &str) -> Self {
        Self { id: group_id(name), kind: "GROUP", status: Some("ACTIVE") }
    }

    /// Customer as a member.
    pub fn customer() -> Self {
        Self { id: CUSTOMER.to_owned(), kind: "CUSTOMER", status: None }
    }
}

impl From<&Company> for Google {
    fn from(company: &Company) -> Self {
        let users = company.users.iter().map(|user| Person {
            email: user.email.clone().unwrap_or_else(|| format!("{}@{DOMAIN}", user.name)),
            mailbox: if user.email.is_some() { Mailbox::There } else { Mailbox::None },
            account: match user.status {
                Status::Active => Account::Active,
                Status::Disabled => Account::Suspended,
                Status::Deleted => Account::Deleted,
            },
            ..Person::named(&user.name)
        });
        let disabled = company.users.iter().filter(|user| user.status == Status::Disabled);
        let disabled: HashSet<&str> = disabled.map(|user| user.name.as_str()).collect();
        let member = |name: &String| Member {
            status: Some(if disabled.contains(name.as_str()) { "SUSPENDED" } else { "ACTIVE" }),
            ..Member::user(name)
        };
        let groups = company.groups.iter().map(|group| {
            let users = group.users.iter().map(member);
            Team::named(
                &group.name,
                users.chain(group.groups.iter().map(|name| Member::group(name))).collect(),
            )
        });
        Self { users: users.collect(), groups: groups.collect(), ..Self::default() }
    }
}

fn user_id(name: &str) -> String {
    format!("id-of-{name}")
}

fn group_id(name: &str) -> String {
    format!("id-of-group-{name}")
}

impl Google {
    /// Starts it: the token endpoint is `/token`, and `/` is the base of the API.
    pub async fn start(self, behaviour: Behaviour) -> io::Result<Cloud> {
        Cloud::start(Played { google: self, logins: Logins::default() }, behaviour).await
    }

    fn knows_domain(&self, domain: &str) -> bool {
        let emails =
            self.users.iter().map(|user| &user.email).chain(self.groups.iter().map(|group| &group.email));
        domain.eq_ignore_ascii_case(DOMAIN) || emails.into_iter().any(|email| is_in(email, domain))
    }
}

fn is_in(email: &str, domain: &str) -> bool {
    email.rsplit_once('@').is_some_and(|(_, own)| own.eq_ignore_ascii_case(domain))
}

/// Google Workspace, with the current logins.
struct Played {
    google: Google,
    logins: Logins,
}

impl Vendor for Played {
    fn routes(self: Arc<Self>, engine: &Arc<Engine>) -> Router {
        Router::new()
            .route("/token", post(login::token))
            .route("/admin/directory/v1/users", get(users))
            .route("/admin/directory/v1/users/{key}", get(user))
            .route("/admin/directory/v1/groups", get(groups))
            .route("/admin/directory/v1/groups/{key}", get(group))
            .route("/admin/directory/v1/groups/{key}/members", get(members))
            .with_state((self, Arc::clone(engine)))
    }

    /// Required properties: the discovery document requires none of a user, a group or a member.
    fn nullable(&self) -> &'static [&'static str] {
        &["primaryEmail", "suspended", "archived", "emails", "name", "status"]
    }

    fn refusal(&self, refusal: Refusal) -> Response {
        match refusal {
            Refusal::Limited => {
                Trouble::of(403, "quotaExceeded", "Quota exceeded for quota metric 'Queries' and limit 'Queries per minute per user' of service 'admin.googleapis.com'.")
            }
            Refusal::Internal => Trouble::of(500, "backendError", "Internal error encountered."),
            Refusal::Page => Trouble::of(400, "invalid", "Invalid Input: pageToken"),
            Refusal::Token => Trouble::of(401, "authError", "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid authentication credential."),
        }
        .into_response()
    }

    fn charge(&self, request: &Parts) -> Option<Charge> {
        let quota = Quota { most: 2_400, window: Duration::from_secs(60) };
        (request.uri.path() != "/token").then_some(Charge { limit: "queries", cost: 1, quota })
    }

    fn is_authorized(&self, request: &Parts, engine: &Engine) -> bool {
        request.uri.path() == "/token" || bearer(request).is_some_and(|token| engine.accepts(token))
    }
}

fn bearer(request: &Parts) -> Option<&str> {
    request.headers.get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
}

/// Refusal of the API in Google's format.
struct Trouble {
    code: u16,
    reason: &'static str,
    message: String,
}

impl Trouble {
    fn of(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into() }
    }
}

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        let Self { code, reason, message } = self;
        let status = match code {
            400 => "INVALID_ARGUMENT",
            401 => "UNAUTHENTICATED",
            403 => "PERMISSION_DENIED",
            404 => "NOT_FOUND",
            _ => "INTERNAL",
        };
        let body = json!({ "error": {
            "code": code, "message": message, "status": status,
            "errors": [{ "message": message, "domain": "global", "reason": reason }],
        }});
        (StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), axum::Json(body))
            .into_response()
    }
}

/// Request to the API with the state it needs.
type Asked = (State<(Arc<Played>, Arc<Engine>)>, Query<HashMap<String, String>>, Parts);

/// Kind of list.
struct List {
    name: &'static str,
    parameters: &'static [&'static str],
    /// Scopes of which any is sufficient (discovery document, `scopes` of the method).
    scopes: &'static [&'static str],
    /// Entries on a page: the default without `maxResults`, and the maximum.
    usual: usize,
    largest: usize,
}

const USER_SCOPE: &str = SCOPES[0];
const GROUP_SCOPE: &str = SCOPES[1];
const MEMBER_SCOPE: &str = SCOPES[2];

const USERS: List =
    List { name: "users", parameters: &USERS_PARAMETERS, scopes: &[USER_SCOPE], usual: 100, largest: 500 };
const GROUPS: List =
    List { name: "groups", parameters: &GROUPS_PARAMETERS, scopes: &[GROUP_SCOPE], usual: 200, largest: 200 };
const MEMBERS: List = List {
    name: "members",
    parameters: &MEMBERS_PARAMETERS,
    scopes: &[GROUP_SCOPE, MEMBER_SCOPE],
    usual: 200,
    largest: 200,
};

async fn users(asked: Asked) -> Result<Response, Trouble> {
    let (State((played, _)), Query(query), _) = &asked;
    USERS.admits(&asked)?;
    let is_asked_for = part(&played.google, query)?;
    let wants_deleted = query.get("showDeleted").is_some_and(|text| text == "true");
    let search = searched(query, query::USER_FIELDS)?;
    let found = played.google.users.iter().filter(|user| {
        (user.account == Account::Deleted) == wants_deleted
            && is_asked_for(&user.email)
            && search.matches(|field| user.searched(field))
    });
    USERS.answer(&asked, found.collect(), Person::shown)
}

async fn groups(asked: Asked) -> Result<Response, Trouble> {
    let (State((played, _)), Query(query), _) = &asked;
    GROUPS.admits(&asked)?;
    let is_asked_for = part(&played.google, query)?;
    let search = searched(query, query::GROUP_FIELDS)?;
    let found = played
        .google
        .groups
        .iter()
        .filter(|group| is_asked_for(&group.email) && search.matches(|field| group.searched(field)));
    GROUPS.answer(&asked, found.collect(), Team::shown)
}

/// One person, by address or id.
async fn user(Path(key): Path<String>, asked: Asked) -> Result<Response, Trouble> {
    let (State((played, _)), ..) = &asked;
    USERS.admits(&asked)?;
    let is_meant = |user: &&Person| user.id == key || user.email.eq_ignore_ascii_case(&key);
    // As the real service answers to the key of a group.
    let is_group = |group: &Team| group.id == key || group.email.eq_ignore_ascii_case(&key);
    if played.google.groups.iter().any(is_group) {
        return Err(Trouble::of(400, "badRequest", "Type not supported: userKey"));
    }
    let living = played.google.users.iter().filter(|user| user.account != Account::Deleted);
    single(living.clone().find(is_meant).map(Person::shown), &asked, "userKey")
}

/// One group, by address or id.
async fn group(Path(key): Path<String>, asked: Asked) -> Result<Response, Trouble> {
    let (State((played, _)), ..) = &asked;
    GROUPS.admits(&asked)?;
    let is_meant = |group: &&Team| group.id == key || group.email.eq_ignore_ascii_case(&key);
    single(played.google.groups.iter().find(is_meant).map(Team::shown), &asked, "groupKey")
}

fn single(shown: Option<Value>, (_, Query(query), _): &Asked, what: &str) -> Result<Response, Trouble> {
    let Some(shown) = shown else {
        return Err(Trouble::of(404, "notFound", format!("Resource Not Found: {what}")));
    };
    let Some(fields) = query.get("fields") else { return Ok(axum::Json(shown).into_response()) };
    let wanted: Vec<&str> = fields.split(',').collect();
    let all = shown.as_object().into_iter().flatten();
    let kept = all.filter(|(name, _)| wanted.contains(&name.as_str()));
    Ok(axum::Json(Value::Object(kept.map(|(name, value)| (name.clone(), value.clone())).collect()))
        .into_response())
}

async fn members(Path(key): Path<String>, asked: Asked) -> Result<Response, Trouble> {
    let (State((played, _)), ..) = &asked;
    MEMBERS.admits(&asked)?;
    let Played { google, .. } = &**played;
    let group = google.groups.iter().find(|group| {
        (group.id == key || group.email.eq_ignore_ascii_case(&key)) && !google.vanishing.contains(&group.id)
    });
    let Some(group) = group else {
        return Err(Trouble::of(404, "notFound", "Resource Not Found: groupKey"));
    };
    MEMBERS.answer(&asked, group.members.iter().collect(), Member::shown)
}

/// Checks whether an address belongs to the requested part. A domain narrows a customer.
fn part<'a>(
    google: &Google,
    query: &'a HashMap<String, String>,
) -> Result<impl Fn(&str) -> bool + use<'a>, Trouble> {
    let (customer, domain) = (query.get("customer"), query.get("domain"));
    let is_known = customer.is_none_or(|id| id == CUSTOMER || id == "my_customer");
    if !is_known || (customer, domain) == (None, None) {
        return Err(Trouble::of(400, "badRequest", "Bad Request"));
    }
    if domain.is_some_and(|domain| !google.knows_domain(domain)) {
        return Err(Trouble::of(404, "notFound", "Domain not found."));
    }
    Ok(move |email: &str| domain.is_none_or(|domain| is_in(email, domain)))
}

fn searched(query: &HashMap<String, String>, fields: &[&str]) -> Result<query::Search, Trouble> {
    query::Search::parse(query.get("query").map_or("", String::as_str), fields)
        .ok_or_else(|| Trouble::of(400, "invalid", "Invalid Input: query"))
}

impl List {
    /// Checks whether Google would answer the request.
    fn admits(&self, asked: &Asked) -> Result<(), Trouble> {
        let (State((played, _)), Query(query), parts) = asked;
        let login = bearer(parts).and_then(|token| played.logins.of(token));
        let login = login.ok_or_else(|| Trouble::of(401, "authError", "Invalid Credentials"))?;
        if !self.scopes.iter().any(|scope| login.scopes.iter().any(|own| own == scope)) {
            let message = "Request had insufficient authentication scopes.";
            return Err(Trouble::of(403, "insufficientPermissions", message));
        }
        if login.subject != ADMIN {
            return Err(Trouble::of(403, "forbidden", "Not Authorized to access this resource/api"));
        }
        let unknown =
            |name: &&String| !self.parameters.iter().chain(&COMMON_PARAMETERS).any(|known| known == name);
        if let Some(name) = query.keys().find(unknown) {
            return Err(Trouble::of(
                400,
                "badRequest",
                format!(
                    "Invalid JSON payload received. Unknown name \"{name}\": Cannot bind query parameter. Field '{name}' could not be found in request message."
                ),
            ));
        }
        match query.get("maxResults").map(|text| text.parse::<usize>()) {
            None => Ok(()),
            Some(Ok(number)) if (1..=self.largest).contains(&number) => Ok(()),
            Some(_) => Err(Trouble::of(
                400,
                "invalidParameter",
                format!(
                    "Invalid value for maxResults. Values must be within the range: [1, {}]",
                    self.largest
                ),
            )),
        }
    }

    /// Makes one page.
    fn answer<T>(
        &self,
        asked: &Asked,
        found: Vec<&T>,
        shown: impl Fn(&T) -> Value,
    ) -> Result<Response, Trouble> {
        let (State((_, engine)), Query(query), parts) = asked;
        let path = parts.uri.path();
        let from = match query.get("pageToken") {
            None => 0,
            Some(text) => {
                position(path, text).ok_or_else(|| Trouble::of(400, "invalid", "Invalid Input: pageToken"))?
            }
        };
        let size =
            engine.page(query.get("maxResults").and_then(|text| text.parse().ok()), self.usual, self.largest);
        let page: Vec<Value> = found.iter().skip(from).take(size).map(|entry| shown(entry)).collect();
        let next = if repeats_page(parts) {
            Some(from)
        } else {
            Some(from + size).filter(|&next| next < found.len())
        };
        let mut answer = json!({ "kind": format!("admin#directory#{}", self.name), "etag": "\"sandbox\"" });
        // Empty lists and the end of a list are omitted.
        if !page.is_empty() {
            answer[self.name] = page.into();
        }
        if let Some(next) = next {
            answer["nextPageToken"] = page_token(path, next).into();
        }
        match query.get("fields").map(|text| mask::Mask::parse(text)) {
            None => {}
            Some(Some(mask)) => mask.apply(&mut answer),
            Some(None) => {
                return Err(Trouble::of(
                    400,
                    "invalidParameter",
                    "Request contains an invalid argument: fields.",
                ));
            }
        }
        Ok(axum::Json(answer).into_response())
    }
}

fn page_token(path: &str, from: usize) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(format!("{from} {path}"))
}

fn position(path: &str, token: &str) -> Option<usize> {
    let text = String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
    let (from, own) = text.split_once(' ')?;
    from.parse().ok().filter(|_| own == path)
}

impl Person {
    fn shown(&self) -> Value {
        let Self { id, email, mailbox, account, unit } = self;
        let local = email.split('@').next().unwrap_or_default();
        let mut shown = json!({
            "kind": "admin#directory#user", "id": id, "etag": "\"sandbox\"", "primaryEmail": email,
            "name": { "givenName": local, "familyName": "Sandbox", "fullName": format!("{local} Sandbox") },
            "isAdmin": email == ADMIN, "isDelegatedAdmin": false, "agreedToTerms": true,
            "creationTime": "2024-05-01T08:00:00.000Z", "lastLoginTime": "2024-06-01T08:00:00.000Z",
            "suspended": *account == Account::Suspended, "archived": *account == Account::Archived,
            "changePasswordAtNextLogin": false, "ipWhitelisted": false,
            "customerId": CUSTOMER, "orgUnitPath": unit, "includeInGlobalAddressList": true,
            "isMailboxSetup": *mailbox == Mailbox::There, "isEnrolledIn2Sv": false, "isEnforcedIn2Sv": false,
        });
        if *mailbox == Mailbox::There {
            shown["emails"] = json!([{ "address": email, "primary": true }]);
        }
        match account {
            Account::Suspended => shown["suspensionReason"] = "ADMIN".into(),
            Account::Deleted => shown["deletionTime"] = "2024-07-01T08:00:00.000Z".into(),
            Account::Active | Account::Archived => {}
        }
        shown
    }

    fn searched(&self, field: &str) -> String {
        match field {
            "email" => self.email.clone(),
            "name" => self.shown()["name"]["fullName"].as_str().unwrap_or_default().to_owned(),
            "orgUnitPath" => self.unit.to_owned(),
            "isSuspended" => (self.account == Account::Suspended).to_string(),
            _ => (self.account == Account::Archived).to_string(),
        }
    }
}

impl Team {
    fn shown(&self) -> Value {
        let Self { id, email, name, members } = self;
        let people = members.iter().filter(|member| member.kind == "USER").count();
        json!({
            "kind": "admin#directory#group", "id": id, "etag": "\"sandbox\"", "email": email, "name": name,
            "directMembersCount": people.to_string(), "description": "", "adminCreated": true,
        })
    }

    fn searched(&self, field: &str) -> String {
        if field == "email" { self.email.clone() } else { self.name.clone() }
    }
}

impl Member {
    fn shown(&self) -> Value {
        let Self { id, kind, status } = self;
        let mut shown = json!({
            "kind": "admin#directory#member", "etag": "\"sandbox\"", "id": id, "role": "MEMBER", "type": kind,
        });
        // The whole customer has no address.
        if *kind != "CUSTOMER" {
            let local = id.trim_start_matches("id-of-").trim_start_matches("group-").to_lowercase();
            shown["email"] = format!("{local}@{DOMAIN}").into();
        }
        if let Some(status) = status {
            shown["status"] = (*status).into();
        }
        shown
    }
}

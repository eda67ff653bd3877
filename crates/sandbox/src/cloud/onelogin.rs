//! OneLogin account: `/auth/oauth2/v2/token`, `/api/2/users`, `/api/2/roles` and `/api/2/roles/{id}/users`, with pages, cursors,
//! limits, and failures.
//!
//! Facts from OneLogin's developer documentation (API 2: "Generate Tokens", "List Users", "List Roles", "Get Role Users", "Using
//! Query Parameters", "Get Rate Limit") and from answers of the real API that others have published.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    Behaviour, Charge, Cloud, Company, Engine, Quota, Refusal, Standing, Status, Vendor, repeats_page,
};

/// Id of the credential pair that is accepted.
pub const CLIENT_ID: &str = "sandbox-client";
/// Secret of the credential pair.
pub const CLIENT_SECRET: &str = "sandbox-client-secret";

const SUSPENDED: i64 = 2;

/// Contents of the account.
#[derive(Clone, Debug, Default)]
pub struct OneLogin {
    /// People; those who were deleted have vanished.
    pub users: Vec<Person>,
    /// Roles.
    pub roles: Vec<Role>,
    /// Scope of the credential pair.
    pub scope: Scope,
    /// Events while the account is read.
    pub changes: Vec<Change>,
    /// Form of people's roles.
    pub roles_told: RolesTold,
    /// Count of lists.
    pub counts: Counts,
    /// Ways to request pages.
    pub paging: Paging,
}

/// Form of roles in the list of people.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RolesTold {
    /// A list, which may be empty.
    #[default]
    AsList,
    /// `null` for those without.
    NullForNone,
    /// Absent for those without.
    AbsentForNone,
    /// Always absent.
    Never,
}

/// Number of entries a list claims to have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Counts {
    /// The correct number.
    #[default]
    Right,
    /// One too many.
    TooMany,
    /// One too few.
    TooFew,
    /// No count, and no number of pages.
    Untold,
}

/// Ways to request later pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Paging {
    /// By number and by cursor.
    #[default]
    Both,
    /// By cursor only: any number gives the first page.
    Cursors,
    /// By number only: there is no cursor.
    Numbers,
    /// Not at all: there is only the first page.
    Neither,
}

/// Person.
#[derive(Clone, Debug, Default)]
pub struct Person {
    /// OneLogin's id.
    pub id: u64,
    /// Address as entered, which need not be valid.
    pub email: Option<String>,
    /// User name as entered.
    pub username: Option<String>,
    /// Status: 1 is active, 2 is suspended.
    pub status: i64,
    /// Ids of roles.
    pub role_ids: Vec<u64>,
    /// Creation time; a while ago if `None`.
    pub created_at: Option<Timestamp>,
}

/// Role.
#[derive(Clone, Debug)]
pub struct Role {
    /// OneLogin's id, from another series than those of people.
    pub id: u64,
    /// Name.
    pub name: String,
}

/// Scope of a credential pair.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// People and roles.
    #[default]
    ReadUsers,
    /// Neither.
    AuthenticationOnly,
}

/// Event before a call for users or roles is answered.
#[derive(Clone, Debug)]
pub struct Change {
    /// Number of the call, starting at 0.
    pub before_call: usize,
    /// Kind of event.
    pub what: What,
}

/// Kind of an event.
#[derive(Clone, Debug)]
pub enum What {
    /// A person is deleted.
    DeleteUser(u64),
    /// A person is added.
    CreateUser(Person),
    /// A role is deleted, and taken from everybody.
    DeleteRole(u64),
}

impl From<&Company> for OneLogin {
    fn from(company: &Company) -> Self {
        let mut role_ids: HashMap<&str, Vec<u64>> = HashMap::new();
        let mut roles = Vec::new();
        for (id, group) in (1..).zip(&company.groups) {
            for user in &group.users {
                role_ids.entry(user).or_default().push(id);
            }
            roles.push(Role { id, name: group.name.clone() });
        }
        let mut living: Vec<_> = company.users.iter().filter(|user| user.status != Status::Deleted).collect();
        living.sort_by_key(|user| &user.name);
        let users = (1..).zip(living).map(|(id, user)| Person {
            id,
            email: user.email.clone(),
            username: Some(user.name.clone()),
            status: if user.status == Status::Disabled { SUSPENDED } else { 1 },
            role_ids: role_ids.remove(user.name.as_str()).unwrap_or_default(),
            created_at: None,
        });
        Self { users: users.collect(), roles, ..Self::default() }
    }
}

impl OneLogin {
    /// Starts the account; use its address as `BWDC_ONELOGIN_API_URL`.
    pub async fn start(self, behaviour: Behaviour) -> io::Result<Cloud> {
        let people = self.users.into_iter().map(|user| (user.id, user)).collect();
        let roles = self.roles.into_iter().map(|role| (role.id, role.name)).collect();
        let state = Records { people, roles, changes: self.changes, calls: 0, token: None };
        let account = Account {
            scope: self.scope,
            roles_told: self.roles_told,
            counts: self.counts,
            paging: self.paging,
            records: Mutex::new(state),
        };
        Cloud::start(account, behaviour).await
    }
}

/// Running account.
#[derive(Debug)]
struct Account {
    scope: Scope,
    roles_told: RolesTold,
    counts: Counts,
    paging: Paging,
    records: Mutex<Records>,
}

#[derive(Debug)]
struct Records {
    people: BTreeMap<u64, Person>,
    roles: BTreeMap<u64, String>,
    changes: Vec<Change>,
    calls: usize,
    /// Current token: everybody who asks gets the same one until it expires.
    token: Option<Token>,
}

#[derive(Clone, Debug)]
struct Token {
    text: String,
    created_at: Timestamp,
}

const HOUR: Duration = Duration::from_secs(3600);

impl Vendor for Account {
    fn routes(self: Arc<Self>, engine: &Arc<Engine>) -> Router {
        Router::new()
            .route("/auth/oauth2/v2/token", post(token))
            .route("/api/2/users", get(users))
            .route("/api/2/roles", get(roles))
            .route("/api/2/roles/{id}/users", get(holders))
            .with_state((self, Arc::clone(engine)))
    }

    /// Optional properties ("User Resource", "Roles").
    fn nullable(&self) -> &'static [&'static str] {
        &["email", "username", "status", "name"]
    }

    fn refusal(&self, refusal: Refusal) -> Response {
        match refusal {
            Refusal::Limited => {
                refused(StatusCode::TOO_MANY_REQUESTS, "TooManyRequestsError", "Too Many Requests")
            }
            Refusal::Internal => {
                refused(StatusCode::INTERNAL_SERVER_ERROR, "InternalServerError", "Internal Server Error")
            }
            Refusal::Page => described("Invalid pagination cursor"),
            Refusal::Token => refused(StatusCode::UNAUTHORIZED, "UnauthorizedError", "Unauthorized"),
        }
    }

    /// Quota: 5,000 calls an hour for the whole account; logins are not counted.
    fn charge(&self, request: &Parts) -> Option<Charge> {
        let quota = Quota { most: 5_000, window: HOUR };
        request.uri.path().starts_with("/api/").then_some(Charge { limit: "account", cost: 1, quota })
    }

    fn tell(&self, standing: Standing, headers: &mut HeaderMap) {
        for (name, value) in [
            ("x-ratelimit-limit", standing.most),
            ("x-ratelimit-remaining", standing.left),
            ("x-ratelimit-reset", standing.ends_in),
        ] {
            headers.insert(name, HeaderValue::from(value));
        }
    }

    fn is_authorized(&self, request: &Parts, engine: &Engine) -> bool {
        let is_login = request.uri.path().starts_with("/auth/");
        let header =
            request.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
        // `bearer:<token>` in version 1 of the API, `bearer <token>` in version 2; both are accepted.
        let token = header.split_once([' ', ':']).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        is_login || token.is_some_and(|(_, token)| engine.accepts(token.trim()))
    }
}

impl Account {
    /// Records as they are when this call is answered.
    fn at_this_call(&self) -> MutexGuard<'_, Records> {
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        let call = records.calls;
        records.calls += 1;
        let (now, later) = records.changes.drain(..).partition(|change| change.before_call <= call);
        records.changes = later;
        for change in now {
            records.apply(change.what);
        }
        records
    }

    fn token(&self, engine: &Engine) -> Token {
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = || Token { text: engine.give_token(), created_at: Timestamp::now() };
        let kept = records.token.take().filter(|token| engine.accepts(&token.text));
        records.token.insert(kept.unwrap_or_else(fresh)).clone()
    }
}

impl Records {
    fn apply(&mut self, what: What) {
        match what {
            What::DeleteUser(id) => {
                self.people.remove(&id);
            }
            What::CreateUser(person) => {
                let person = Person { created_at: Some(Timestamp::now()), ..person };
                self.people.insert(person.id, person);
            }
            What::DeleteRole(id) => {
                self.roles.remove(&id);
                self.people.values_mut().for_each(|person| person.role_ids.retain(|role| *role != id));
            }
        }
    }
}

type Shared = State<(Arc<Account>, Arc<Engine>)>;

/// Credential pair in the header, or in the form.
async fn token(State((account, engine)): Shared, headers: HeaderMap, body: Bytes) -> Response {
    let form: HashMap<String, String> =
        serde_json::from_slice(&body).or_else(|_| serde_urlencoded::from_bytes(&body)).unwrap_or_default();
    let header = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let basic = format!("Basic {}", STANDARD.encode(format!("{CLIENT_ID}:{CLIENT_SECRET}")));
    let own = format!("client_id:{CLIENT_ID},client_secret:{CLIENT_SECRET}");
    let is_given = |name: &str, value: &str| form.get(name).is_some_and(|given| given == value);
    let is_known = header == basic
        || header.replace(' ', "") == own
        || is_given("client_id", CLIENT_ID) && is_given("client_secret", CLIENT_SECRET);
    if !is_given("grant_type", "client_credentials") {
        return enveloped(StatusCode::BAD_REQUEST, "bad request", "grant_type is incorrect/absent");
    }
    if !is_known {
        return enveloped(StatusCode::UNAUTHORIZED, "Unauthorized", "Authentication Failure");
    }
    let token = account.token(&engine);
    axum::Json(json!({
        "access_token": token.text, "created_at": token.created_at.to_string(), "expires_in": 36_000,
        "refresh_token": "sandbox-refresh-token", "token_type": "bearer", "account_id": 555_555,
    }))
    .into_response()
}

/// Request to the API with the state it needs.
type Asked = (Shared, Query<HashMap<String, String>>, Parts);

async fn users(asked: Asked) -> Response {
    let (State((account, _)), ..) = &asked;
    if account.scope != Scope::ReadUsers {
        return refused(StatusCode::FORBIDDEN, "ForbiddenError", "Insufficient Permissions");
    }
    let (Query(query), records) = (&asked.1, account.at_this_call());
    let told = account.roles_told;
    let is_asked_for = |person: &&Person| {
        let ids = query.get("user_ids").map(|ids| ids.split(',').any(|id| id == person.id.to_string()));
        ids.unwrap_or(true)
            && has(query, "email", person.email.as_deref())
            && has(query, "username", person.username.as_deref())
    };
    let found: Vec<&Person> = records.people.values().filter(is_asked_for).collect();
    list(&asked, found.into_iter(), |person| person.shown(told), &PEOPLE)
}

/// People with a role.
async fn holders(Path(id): Path<u64>, asked: Asked) -> Response {
    let (State((account, _)), ..) = &asked;
    if account.scope != Scope::ReadUsers {
        return refused(StatusCode::FORBIDDEN, "ForbiddenError", "Insufficient Permissions");
    }
    let records = account.at_this_call();
    if !records.roles.contains_key(&id) {
        return refused(StatusCode::NOT_FOUND, "NotFoundError", "Role not found");
    }
    let holders: Vec<&Person> =
        records.people.values().filter(|person| person.role_ids.contains(&id)).collect();
    list(&asked, holders.into_iter(), Person::as_holder, &HOLDERS)
}

async fn roles(asked: Asked) -> Response {
    let (State((account, _)), Query(query), _) = &asked;
    if account.scope != Scope::ReadUsers {
        return refused(StatusCode::FORBIDDEN, "ForbiddenError", "Insufficient Permissions");
    }
    if query.contains_key("cursor") && ["limit", "page"].iter().any(|name| query.contains_key(*name)) {
        return described("Requests can only have cursor xor pagination arguments");
    }
    let records = account.at_this_call();
    let found: Vec<_> =
        records.roles.iter().filter(|(_, name)| has(query, "name", Some(name.as_str()))).collect();
    list(&asked, found.into_iter(), role, &ROLES)
}

/// Whether an entry has what a query asks for; an asterisk stands for any text.
fn has(query: &HashMap<String, String>, name: &str, own: Option<&str>) -> bool {
    let Some(wanted) = query.get(name).map(|text| text.to_lowercase()) else { return true };
    let own = own.unwrap_or_default().to_lowercase();
    match wanted.split_once('*') {
        None => own == wanted,
        Some((begin, end)) => {
            own.len() >= begin.len() + end.len() && own.starts_with(begin) && own.ends_with(end)
        }
    }
}

/// Default fields of a list, and its largest page.
struct Form {
    fields: &'static [&'static str],
    largest: usize,
}

/// Fields without the roles.
const PEOPLE: Form = Form {
    fields: &[
        "activated_at",
        "created_at",
        "directory_id",
        "distinguished_name",
        "email",
        "external_id",
        "firstname",
        "group_id",
        "id",
        "last_login",
        "lastname",
        "locked_until",
        "member_of",
        "phone",
        "samaccountname",
        "state",
        "status",
        "updated_at",
        "username",
    ],
    largest: 100,
};

const ROLES: Form = Form { fields: &["id", "name", "apps"], largest: 650 };

const HOLDERS: Form = Form { fields: &["id", "name", "username", "added_by", "added_at"], largest: 650 };

fn role((id, name): (&u64, &String)) -> Value {
    json!({ "id": id, "name": name, "apps": [] })
}

impl Person {
    fn as_holder(&self) -> Value {
        json!({
            "id": self.id, "name": "First Last", "username": self.username, "added_by": { "id": 1, "name": "First Last" },
            "added_at": "2024-05-01T08:00:00.000Z",
        })
    }

    fn shown(&self, told: RolesTold) -> Value {
        let mut shown = self.shown_whole();
        match told {
            RolesTold::NullForNone if self.role_ids.is_empty() => shown["role_ids"] = Value::Null,
            RolesTold::AbsentForNone if !self.role_ids.is_empty() => {}
            RolesTold::AbsentForNone | RolesTold::Never => {
                shown.as_object_mut().map(|shown| shown.remove("role_ids"));
            }
            RolesTold::AsList | RolesTold::NullForNone => {}
        }
        shown
    }

    fn shown_whole(&self) -> Value {
        let created = self.created_at.map_or("2024-05-01T08:00:00.000Z".to_owned(), |at| at.to_string());
        json!({
            "id": self.id, "email": self.email, "username": self.username, "status": self.status, "role_ids": self.role_ids,
            "firstname": "First", "lastname": "Last", "state": 1, "created_at": created, "updated_at": created,
            "activated_at": created, "last_login": null, "group_id": null, "directory_id": null, "distinguished_name": null,
            "external_id": null, "locked_until": null, "member_of": null, "phone": null, "samaccountname": null,
        })
    }
}

/// Makes one page of a list, with the headers about the others.
fn list<T>(
    asked: &Asked,
    entries: impl ExactSizeIterator<Item = T>,
    shown: impl Fn(T) -> Value,
    form: &Form,
) -> Response {
    let (State((account, engine)), Query(query), parts) = asked;
    let is_by_cursor = query.contains_key("cursor");
    let Some(query) = with_cursor(query) else { return described("Invalid pagination cursor") };
    let number = |name: &str| query.get(name).and_then(|text| text.parse::<usize>().ok());
    let size = engine.page(number("limit"), 50, form.largest);
    let page = match account.paging {
        Paging::Cursors if !is_by_cursor => 1,
        Paging::Neither => 1,
        _ => number("page").unwrap_or(1).clamp(1, 1_000_000),
    };
    let fields: Vec<&str> = match query.get("fields") {
        Some(fields) => fields.split(',').map(str::trim).chain(["id"]).collect(),
        None => form.fields.to_vec(),
    };
    let total = entries.len();
    let pages = total.div_ceil(size);
    let entries = entries.skip((page - 1) * size).take(size);
    let shown: Vec<Value> = entries.map(|entry| only(&shown(entry), &fields)).collect();
    let cursor = |page: usize| STANDARD.encode(format!("limit={size}&page={page}")).replace('=', "%3D");
    let next = if repeats_page(parts) { Some(page) } else { Some(page + 1).filter(|next| *next <= pages) };
    let (total, pages) = match account.counts {
        Counts::Right => (Some(total), Some(pages)),
        Counts::TooMany => (Some(total + 1), Some((total + 1).div_ceil(size))),
        Counts::TooFew => (Some(total.saturating_sub(1)), Some(total.saturating_sub(1).div_ceil(size))),
        Counts::Untold => (None, None),
    };
    let headers = [
        ("current-page", Some(page.to_string())),
        ("page-items", Some(shown.len().to_string())),
        ("total-count", total.map(|total| total.to_string())),
        ("total-pages", pages.map(|pages| pages.to_string())),
        ("x-request-id", Some(format!("SANDBOX-{}", engine.requests()))),
        (
            "after-cursor",
            next.map(cursor).filter(|_| !matches!(account.paging, Paging::Numbers | Paging::Neither)),
        ),
        ("before-cursor", (page > 1).then(|| cursor(page - 1))),
    ];
    let mut answer = axum::Json(shown).into_response();
    for (name, value) in headers {
        let value = value.and_then(|value| HeaderValue::from_str(&value).ok());
        answer.headers_mut().extend(value.map(|value| (HeaderName::from_static(name), value)));
    }
    answer
}

/// Decodes a cursor, which stands for a limit and a page; `None` if it is not valid.
fn with_cursor(query: &HashMap<String, String>) -> Option<HashMap<String, String>> {
    let mut query = query.clone();
    if let Some(cursor) = query.remove("cursor") {
        let text = STANDARD.decode(cursor.replace("%3D", "=")).ok()?;
        query.extend(serde_urlencoded::from_bytes::<HashMap<String, String>>(&text).ok()?);
    }
    Some(query)
}

fn only(entry: &Value, fields: &[&str]) -> Value {
    let kept = entry.as_object().into_iter().flatten().filter(|(name, _)| fields.contains(&name.as_str()));
    Value::Object(kept.map(|(name, value)| (name.clone(), value.clone())).collect())
}

/// Refusal in the format of API 2.
fn refused(status: StatusCode, name: &str, message: &str) -> Response {
    let body = json!({ "message": message, "statusCode": status.as_u16(), "name": name });
    (status, axum::Json(body)).into_response()
}

/// Refusal of API 2 for a request that it cannot parse.
fn described(description: &str) -> Response {
    let body = json!({ "status": 400, "error": "BadRequestError", "description": description });
    (StatusCode::BAD_REQUEST, axum::Json(body)).into_response()
}

/// Refusal in the format of the token endpoint and API 1.
fn enveloped(status: StatusCode, kind: &str, message: &str) -> Response {
    let body =
        json!({ "status": { "error": true, "code": status.as_u16(), "type": kind, "message": message } });
    (status, axum::Json(body)).into_response()
}

//! Microsoft Entra ID: a tenant's tokens, and the parts of Microsoft Graph needed to read a directory: users and their changes,
//! groups, members, administrative units, deleted items, and the application's own registration.
//!
//! Facts from Microsoft's documentation: "Use the Microsoft Graph API", "Paging", "Use delta query to track changes", "Error
//! responses and resource types", "Throttling limits" (identity and access service).

mod changes;
mod filter;
mod login;
mod tenant;

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::{Form, Path, Query, State};
use axum::http::header::{AUTHORIZATION, RETRY_AFTER};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Map, Value, json};

pub use self::tenant::{
    Bin, ClientSecret, Kind, LinkRefusal, Member, Person, Presence, Team, Tenant, Unit, group_id, unit_id,
    user_id,
};
use super::{Behaviour, Charge, Cloud, Company, Engine, Quota, Refusal, Standing, Vendor, repeats_page};

/// Id of the tenant.
pub const TENANT: &str = "5a4db0c5-0000-4000-8000-000000000001";
/// First domain of the tenant.
pub const DOMAIN: &str = "sandbox.onmicrosoft.com";
/// Id of the application that may read.
pub const APPLICATION: &str = "5a4db0c5-0000-4000-8000-000000000002";
/// Client secret of the application.
pub const SECRET: &str = "abc8Q~sandbox-client-secret";

/// Tenant that can be changed while it is running. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Entra(Arc<Mutex<Tenant>>);

impl From<Tenant> for Entra {
    fn from(tenant: Tenant) -> Self {
        Self(Arc::new(Mutex::new(tenant)))
    }
}

impl From<&Company> for Entra {
    fn from(company: &Company) -> Self {
        Self::from(Tenant::from(company))
    }
}

impl Entra {
    /// Starts it; use its address as `BWDC_ENTRA_LOGIN_URL` and `BWDC_ENTRA_GRAPH_URL`.
    pub async fn start(self, behaviour: Behaviour) -> io::Result<Cloud> {
        Cloud::start(self, behaviour).await
    }

    /// Changes its contents.
    pub fn change(&self, change: impl FnOnce(&mut Tenant)) {
        change(&mut self.tenant());
    }

    fn tenant(&self) -> MutexGuard<'_, Tenant> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const WINDOW: Duration = Duration::from_secs(10);
/// Largest page, and default page size.
const LARGEST_PAGE: usize = 999;
const USUAL_PAGE: usize = 100;
/// Page size of lists of changes, which accept no `$top`.
const PAGE_OF_CHANGES: usize = 200;

const USERS: &[&str] =
    &["User.Read.All", "User.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"];
const GROUPS: &[&str] =
    &["Group.Read.All", "GroupMember.Read.All", "Group.ReadWrite.All", "Directory.Read.All"];
const UNITS: &[&str] =
    &["AdministrativeUnit.Read.All", "AdministrativeUnit.ReadWrite.All", "Directory.Read.All"];
const APPLICATIONS: &[&str] =
    &["Application.Read.All", "Application.ReadWrite.OwnedBy", "Directory.Read.All"];

impl Vendor for Entra {
    fn routes(self: Arc<Self>, engine: &Arc<Engine>) -> Router {
        Router::new()
            .route("/{tenant}/oauth2/v2.0/token", post(token))
            .route("/{tenant}/v2.0/.well-known/openid-configuration", get(metadata))
            .route("/v1.0/users", get(users))
            .route("/v1.0/users/delta", get(changes::changes))
            .route("/v1.0/directory/deletedItems/microsoft.graph.user", get(deleted))
            .route("/v1.0/groups", get(groups))
            .route("/v1.0/groups/{id}/members", get(members))
            .route("/v1.0/groups/{id}/transitiveMembers", get(transitive_members))
            .route("/v1.0/directory/administrativeUnits/{id}/members", get(unit_members))
            .route("/v1.0/{resource}", get(application))
            .with_state((self, Arc::clone(engine)))
    }

    /// Optional properties ("user resource type", "group resource type"): all but the id.
    fn nullable(&self) -> &'static [&'static str] {
        &["displayName", "mail", "userPrincipalName", "accountEnabled", "visibility"]
    }

    fn refusal(&self, refusal: Refusal) -> Response {
        match refusal {
            Refusal::Limited => limited(),
            Refusal::Internal => refused(
                StatusCode::INTERNAL_SERVER_ERROR,
                "InternalServerError",
                "An internal server error occurred. The operation failed.",
            ),
            Refusal::Token => refused(
                StatusCode::UNAUTHORIZED,
                "InvalidAuthenticationToken",
                "Lifetime validation failed, the token is expired.",
            ),
            Refusal::Page => refused(
                StatusCode::BAD_REQUEST,
                "Directory_ExpiredPageToken",
                "The specified page token value has expired and can no longer be included in your request.",
            ),
        }
    }

    /// Quota of a tenant of this size.
    fn charge(&self, request: &Parts) -> Option<Charge> {
        let cost = cost(request)?;
        let most = match self.tenant().users.len() {
            0..50 => 3_500,
            50..=500 => 5_000,
            _ => 8_000,
        };
        Some(Charge { limit: "resource units", cost, quota: Quota { most, window: WINDOW } })
    }

    fn tell(&self, standing: Standing, headers: &mut HeaderMap) {
        let Standing { most, left, ends_in, .. } = standing;
        let used = most - left;
        if used * 10 > most * 8 {
            let share = format!("{}.{:02}", used / most, used % most * 100 / most);
            set(headers, "x-ms-throttle-limit-percentage", &share);
        }
        if headers.contains_key(RETRY_AFTER) {
            set(headers, "retry-after", &format!("{ends_in}.128"));
        }
    }

    fn is_authorized(&self, request: &Parts, engine: &Engine) -> bool {
        if !is_graph(request) {
            return true;
        }
        let header = request.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = header.and_then(|header| header.strip_prefix("Bearer ")).and_then(login::own_part);
        token.is_some_and(|token| engine.accepts(&token))
    }
}

fn set(headers: &mut HeaderMap, name: &'static str, text: &str) {
    if let Ok(value) = HeaderValue::from_str(text) {
        headers.insert(name, value);
    }
}

fn is_graph(request: &Parts) -> bool {
    request.uri.path().starts_with("/v1.0/")
}

/// Resource units of a request ("Throttling limits"); tokens are not counted.
fn cost(request: &Parts) -> Option<u64> {
    let path: Vec<&str> = request.uri.path().strip_prefix("/v1.0/")?.split('/').collect();
    let base: u64 = match path[..] {
        ["groups", _, "members"] => 3,
        ["groups", _, "transitiveMembers"] => 5,
        ["users"] => 2,
        [resource] if resource.starts_with("applications") => 2,
        _ => 1,
    };
    let query = query(request);
    let top = query.get("$top").and_then(|top| top.parse::<usize>().ok());
    let less = u64::from(query.contains_key("$select")) + u64::from(top.is_some_and(|top| top < 20));
    Some(base.saturating_sub(less).max(1))
}

fn query(request: &Parts) -> HashMap<String, String> {
    let pairs = request.uri.query().unwrap_or_default();
    serde_urlencoded::from_str(pairs).unwrap_or_default()
}

type Shared = State<(Arc<Entra>, Arc<Engine>)>;

async fn token(
    State((entra, engine)): Shared,
    Path(tenant): Path<String>,
    Form(form): Form<HashMap<String, String>>,
) -> Response {
    login::answer(&entra.tenant(), &engine, &tenant, &form)
}

async fn metadata(State((_, engine)): Shared, Path(tenant): Path<String>) -> Response {
    match login::known_tenant(&tenant) {
        Ok(()) => Json(login::metadata(&engine)).into_response(),
        Err(refusal) => login::refused(&refusal),
    }
}

/// Request to Graph with the state it needs.
type Asked = (Shared, Query<HashMap<String, String>>, Parts);

async fn users(asked: Asked) -> Response {
    let (State((entra, _)), ..) = &asked;
    let tenant = entra.tenant();
    let found: Vec<&Person> = tenant.present().collect();
    list(&tenant, &asked, USERS, &Entity::USER, &found, |person| person.shown())
}

async fn deleted(asked: Asked) -> Response {
    let (State((entra, _)), ..) = &asked;
    let tenant = entra.tenant();
    if tenant.bin == Bin::Absent {
        return refused(
            StatusCode::BAD_REQUEST,
            "BadRequest",
            "Resource not found for the segment 'deletedItems'.",
        );
    }
    let gone: Vec<&Person> = tenant.users.iter().filter(|user| user.presence == Presence::Deleted).collect();
    list(&tenant, &asked, USERS, &Entity::USER, &gone, |person| person.shown_deleted())
}

async fn groups(asked: Asked) -> Response {
    let (State((entra, _)), ..) = &asked;
    let tenant = entra.tenant();
    list(&tenant, &asked, GROUPS, &Entity::GROUP, &tenant.groups, Team::shown)
}

async fn members(Path(id): Path<String>, asked: Asked) -> Response {
    of_group(&id, &asked, Tenant::shown_members)
}

async fn transitive_members(Path(id): Path<String>, asked: Asked) -> Response {
    of_group(&id, &asked, Tenant::transitive_members)
}

fn of_group(id: &str, asked: &Asked, members: impl Fn(&Tenant, &Team) -> Vec<Member>) -> Response {
    let (State((entra, _)), ..) = asked;
    let tenant = entra.tenant();
    let found = tenant.group(id).map(|group| members(&tenant, group));
    listed_members(&tenant, asked, GROUPS, id, found)
}

async fn unit_members(Path(id): Path<String>, asked: Asked) -> Response {
    let (State((entra, _)), ..) = &asked;
    let tenant = entra.tenant();
    let unit = tenant.units.iter().find(|unit| unit.id.eq_ignore_ascii_case(&id));
    let found = unit.map(|unit| tenant.without_deleted(&unit.members));
    listed_members(&tenant, &asked, UNITS, &id, found)
}

fn listed_members(
    tenant: &Tenant,
    asked: &Asked,
    needs: &[&str],
    id: &str,
    found: Option<Vec<Member>>,
) -> Response {
    if let Some(refusal) = denied(tenant, needs) {
        return refusal;
    }
    if uuid::Uuid::parse_str(id).is_err() {
        let text = format!("Invalid object identifier '{id}'.");
        return refused(StatusCode::BAD_REQUEST, "Request_BadRequest", &text);
    }
    let Some(members) = found else { return missing(id) };
    list(tenant, asked, needs, &Entity::MEMBER, &members, Member::shown)
}

fn missing(id: &str) -> Response {
    let text = format!(
        "Resource '{id}' does not exist or one of its queried reference-property objects are not present."
    );
    refused(StatusCode::NOT_FOUND, "Request_ResourceNotFound", &text)
}

/// Parses `applications(appId='...')`.
async fn application(Path(resource): Path<String>, asked: Asked) -> Response {
    let (State((entra, _)), _, parts) = &asked;
    let tenant = entra.tenant();
    if let Some(refusal) = denied(&tenant, APPLICATIONS) {
        return refusal;
    }
    let id = resource.strip_prefix("applications(appId='").and_then(|rest| rest.strip_suffix("')"));
    match id {
        Some(id) if id.eq_ignore_ascii_case(APPLICATION) => {
            let hint: String = tenant.secret.value.chars().take(3).collect();
            let secret = json!({
                "customKeyIdentifier": null, "displayName": "bwdc", "endDateTime": tenant.secret.ends, "hint": hint,
                "keyId": uuid::Uuid::nil().to_string(), "secretText": null, "startDateTime": "2024-05-01T08:00:00Z",
            });
            let body = json!({
                "@odata.context": "https://graph.microsoft.com/v1.0/$metadata#applications(passwordCredentials)/$entity",
                "passwordCredentials": [secret],
            });
            answered(parts, &body)
        }
        Some(id) => missing(id),
        None => refused(
            StatusCode::BAD_REQUEST,
            "BadRequest",
            &format!("Resource not found for the segment '{resource}'."),
        ),
    }
}

/// Kind of entry: its name, the properties that can be selected, and the default ones.
struct Entity {
    name: &'static str,
    known: &'static [&'static str],
    usual: &'static [&'static str],
}

impl Entity {
    const USER: Self = Self {
        name: "user",
        known: &[
            "id",
            "displayName",
            "mail",
            "userPrincipalName",
            "accountEnabled",
            "userType",
            "deletedDateTime",
            "createdDateTime",
        ],
        usual: &["id", "displayName", "mail", "userPrincipalName"],
    };
    const GROUP: Self = Self {
        name: "group",
        known: &["id", "displayName", "visibility", "securityEnabled", "groupTypes"],
        usual: &["id", "displayName", "visibility", "securityEnabled", "groupTypes"],
    };
    const MEMBER: Self =
        Self { name: "directoryObject", known: &["id", "displayName"], usual: &["id", "displayName"] };

    /// Selected properties, or the refusal.
    fn selection<'a>(&self, query: &'a HashMap<String, String>) -> Result<Vec<&'a str>, Box<Response>>
    where
        'static: 'a,
    {
        let Some(select) = query.get("$select") else { return Ok(self.usual.to_vec()) };
        let chosen: Vec<&str> = select.split(',').map(str::trim).collect();
        match chosen.iter().find(|name| !self.known.contains(name)) {
            None => Ok(chosen),
            Some(wrong) => {
                let text = format!(
                    "Parsing OData Select and Expand failed: Could not find a property named '{wrong}' on type 'microsoft.graph.{}'.",
                    self.name
                );
                Err(Box::new(refused(StatusCode::BAD_REQUEST, "BadRequest", &text)))
            }
        }
    }
}

/// Selected properties, and those that are always included.
fn selected(entry: &Value, names: &[&str]) -> Value {
    let all = entry.as_object().into_iter().flatten();
    let kept = all.filter(|(name, _)| name.starts_with('@') || names.contains(&name.as_str()));
    Value::Object(kept.map(|(name, value)| (name.clone(), value.clone())).collect::<Map<_, _>>())
}

impl Person {
    fn shown(&self) -> Value {
        let Self { id, mail, user_principal_name, account_enabled, .. } = self;
        let kind = if user_principal_name.contains("#EXT#") { "Guest" } else { "Member" };
        json!({
            "id": id, "displayName": user_principal_name, "mail": mail, "userPrincipalName": user_principal_name,
            "accountEnabled": account_enabled, "userType": kind, "deletedDateTime": null,
            "createdDateTime": "2024-05-01T08:00:00Z",
        })
    }

    /// In the recycle bin, the sign-in name begins with the id, so that it can be used again.
    fn shown_deleted(&self) -> Value {
        let mut shown = self.shown();
        let name = format!("{}{}", self.id.replace('-', ""), self.user_principal_name);
        shown["userPrincipalName"] = name.into();
        shown["deletedDateTime"] = "2024-05-01T08:00:00Z".into();
        shown
    }

    /// Entry in a list of changes.
    fn shown_changed(&self, names: &[&str]) -> Value {
        let reason = match self.presence {
            Presence::Here => return selected(&self.shown(), names),
            Presence::Deleted => "changed",
            Presence::Purged => "deleted",
        };
        json!({ "id": self.id, "@removed": { "reason": reason } })
    }
}

impl Member {
    fn shown(&self) -> Value {
        json!({ "@odata.type": self.kind.odata_type(), "id": self.id, "displayName": null })
    }
}

impl Team {
    fn shown(&self) -> Value {
        json!({
            "id": self.id, "displayName": self.display_name, "visibility": self.visibility, "securityEnabled": true,
            "groupTypes": [],
        })
    }
}

/// Reason why the application may not read a list.
fn denied(tenant: &Tenant, needs: &[&str]) -> Option<Response> {
    let is_granted = needs.iter().any(|name| tenant.permissions.contains(name));
    (!is_granted).then(|| {
        refused(
            StatusCode::FORBIDDEN,
            "Authorization_RequestDenied",
            "Insufficient privileges to complete the operation.",
        )
    })
}

/// Supported query parameters. Silently ignoring one would give a wrong answer.
fn unsupported(query: &HashMap<String, String>, known: &[&str]) -> Option<Response> {
    let other = query.keys().find(|name| !known.contains(&name.as_str()))?;
    let text = format!("The query parameter '{other}' is not supported here.");
    Some(refused(StatusCode::BAD_REQUEST, "Request_UnsupportedQuery", &text))
}

/// Page of a list.
fn list<T>(
    tenant: &Tenant,
    asked: &Asked,
    needs: &[&str],
    entity: &Entity,
    entries: &[T],
    shown: impl Fn(&T) -> Value,
) -> Response {
    let (State((_, engine)), Query(query), parts) = asked;
    let refusal =
        denied(tenant, needs).or_else(|| unsupported(query, &["$filter", "$select", "$top", "$skiptoken"]));
    if let Some(refusal) = refusal {
        return refusal;
    }
    let names = match entity.selection(query) {
        Ok(names) => names,
        Err(refusal) => return *refusal,
    };
    let number = |name: &str| query.get(name).and_then(|text| text.parse::<usize>().ok());
    if query.contains_key("$top") && !number("$top").is_some_and(|top| (1..=LARGEST_PAGE).contains(&top)) {
        let text = format!(
            "Invalid page size specified: '{}'. Must be between 1 and 999 inclusive.",
            query.get("$top").map(String::as_str).unwrap_or_default()
        );
        return refused(StatusCode::BAD_REQUEST, "Request_UnsupportedQuery", &text);
    }
    let size = engine.page(number("$top"), USUAL_PAGE, LARGEST_PAGE);
    let from = number("$skiptoken").unwrap_or(0);
    let found: Option<Vec<&T>> = match query.get("$filter") {
        None => Some(entries.iter().collect()),
        Some(filter) => filter::parsed(filter, entity.known)
            .map(|clauses| entries.iter().filter(|entry| filter::matches(&clauses, &shown(entry))).collect()),
    };
    let Some(found) = found else {
        return refused(StatusCode::BAD_REQUEST, "Request_UnsupportedQuery", "Unsupported Query.");
    };
    // Only those of the page are made into JSON: tenants may be large.
    let page: Vec<Value> =
        found.iter().skip(from).take(size).map(|entry| selected(&shown(entry), &names)).collect();
    let mut body = json!({
        "@odata.context": format!("https://graph.microsoft.com/v1.0/$metadata#{}s({})", entity.name, names.join(",")),
        "value": page,
    });
    if from + size < found.len() {
        let mut pairs = query.clone();
        pairs.insert("$skiptoken".to_owned(), (from + size).to_string());
        body["@odata.nextLink"] = link(engine, parts, &pairs).into();
    }
    if repeats_page(parts) {
        body["@odata.nextLink"] = format!("{}{}", engine.url(), parts.uri).into();
    }
    answered(parts, &body)
}

fn link(engine: &Engine, parts: &Parts, pairs: &HashMap<String, String>) -> String {
    let mut pairs: Vec<(&String, &String)> = pairs.iter().collect();
    pairs.sort();
    let pairs = serde_urlencoded::to_string(pairs).unwrap_or_default();
    format!("{}{}?{pairs}", engine.url(), parts.uri.path())
}

fn answered(parts: &Parts, body: &Value) -> Response {
    let id = uuid::Uuid::new_v4().to_string();
    let units = cost(parts).unwrap_or_default().to_string();
    let headers = [
        ("request-id", id.clone()),
        ("client-request-id", id),
        ("odata-version", "4.0".to_owned()),
        ("x-ms-resource-unit", units),
    ];
    (headers, Json(body)).into_response()
}

fn refused(status: StatusCode, code: &str, message: &str) -> Response {
    let id = uuid::Uuid::new_v4().to_string();
    let date = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S").to_string();
    let body = json!({ "error": {
        "code": code, "message": message,
        "innerError": { "date": date, "request-id": id, "client-request-id": id },
    }});
    (status, [("request-id", id.clone()), ("client-request-id", id)], Json(body)).into_response()
}

/// Adds the time to wait, which is corrected when it is known.
fn limited() -> Response {
    let mut answer = refused(StatusCode::TOO_MANY_REQUESTS, "TooManyRequests", "Please retry again later.");
    let headers = answer.headers_mut();
    set(headers, "retry-after", "1");
    set(headers, "x-ms-throttle-information", "ResourceUnitLimitExceeded");
    set(headers, "x-ms-throttle-scope", &format!("Tenant_Application/ReadWrite/{APPLICATION}/{TENANT}"));
    answer
}

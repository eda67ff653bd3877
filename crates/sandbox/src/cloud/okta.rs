//! Okta organization: `/api/v1/users`, `/api/v1/groups`, `/api/v1/groups/{id}/users` and `/oauth2/v1/token`, with pages,
//! filters, limits, and failures.
//!
//! Facts from Okta's developer documentation: "Users API", "Groups API", "Link headers", "Rate limits", "Error codes", "Implement
//! OAuth for Okta with a service app".

use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Form;
use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::header::{AUTHORIZATION, LINK};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Value, json};

use super::{
    Behaviour, Charge, Cloud, Company, Engine, Quota, Refusal, Standing, Status, Vendor, repeats_page,
};

/// API token that is accepted.
pub const TOKEN: &str = "00sandbox-token";

/// Client id of the application that may also read.
pub const CLIENT_ID: &str = "0oasandbox";
/// Private key of the application, in Okta's format: for rehearsals only.
pub const PRIVATE_KEY_PEM: &str = include_str!("okta_key/private.pem");
/// Private key of the application with its key id.
pub const PRIVATE_KEY_JWK: &str = include_str!("okta_key/private.json");

/// Scopes that an application needs to read people and groups.
const SCOPES: [&str; 2] = ["okta.users.read", "okta.groups.read"];

/// Contents of the organization.
#[derive(Clone, Debug, Default)]
pub struct Okta {
    /// People, including those who left.
    pub users: Vec<Person>,
    /// Groups.
    pub groups: Vec<Team>,
    /// Ids of groups to delete between the listing and the read of their members.
    pub vanishing: HashSet<String>,
    /// Application that may also read.
    pub application: Application,
}

/// Application of the kind API Services.
#[derive(Clone, Debug)]
pub struct Application {
    /// Scopes that were granted.
    pub scopes: Vec<&'static str>,
    /// Whether tokens must be bound to a key by proofs: the default for new applications.
    pub dpop: Dpop,
    /// Administrator role.
    pub role: Role,
    /// Number of public keys; with several, the assertion must name its key.
    pub keys: usize,
}

/// Requirement of a proof of possession (RFC 9449).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dpop {
    /// Default of the sandbox.
    NotRequired,
    /// Okta's default for new applications.
    Required,
}

/// Administrator role of an application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Sufficient.
    ReadOnlyAdministrator,
    /// None.
    None,
}

impl Default for Application {
    fn default() -> Self {
        Self { scopes: SCOPES.to_vec(), dpop: Dpop::NotRequired, role: Role::ReadOnlyAdministrator, keys: 1 }
    }
}

/// Person.
#[derive(Clone, Debug)]
pub struct Person {
    /// Okta's id.
    pub id: String,
    /// `ACTIVE`, `SUSPENDED`, `DEPROVISIONED` and so on.
    pub status: &'static str,
    /// `profile.email`.
    pub email: Option<String>,
    /// `profile.department`, for filters.
    pub department: &'static str,
}

/// Group.
#[derive(Clone, Debug)]
pub struct Team {
    /// Okta's id.
    pub id: String,
    /// `profile.name`.
    pub name: String,
    /// Ids of its members: people only, because Okta has no nested groups.
    pub members: Vec<String>,
}

impl From<&Company> for Okta {
    fn from(company: &Company) -> Self {
        let users = company.users.iter().map(|user| Person {
            id: user_id(&user.name),
            status: match user.status {
                Status::Active => "ACTIVE",
                Status::Disabled => "SUSPENDED",
                Status::Deleted => "DEPROVISIONED",
            },
            email: user.email.clone(),
            department: "",
        });
        let groups = company.groups.iter().map(|group| Team {
            id: format!("00g{}", group.name),
            name: group.name.clone(),
            members: group.users.iter().map(|name| user_id(name)).collect(),
        });
        Self { users: users.collect(), groups: groups.collect(), ..Self::default() }
    }
}

fn user_id(name: &str) -> String {
    format!("00u{name}")
}

impl Okta {
    /// Starts the organization; use its address as `okta.orgUrl`.
    pub async fn start(self, behaviour: Behaviour) -> io::Result<Cloud> {
        Cloud::start(self, behaviour).await
    }
}

const MINUTE: Duration = Duration::from_secs(60);

impl Vendor for Okta {
    fn routes(self: Arc<Self>, engine: &Arc<Engine>) -> Router {
        Router::new()
            .route("/oauth2/v1/token", post(token))
            .route("/api/v1/users", get(users))
            .route("/api/v1/groups", get(groups))
            .route("/api/v1/groups/{id}/users", get(members))
            .with_state((self, Arc::clone(engine)))
    }

    /// Required properties: profiles are the organization's own, and properties that no filter names are optional.
    fn nullable(&self) -> &'static [&'static str] {
        &["email", "name", "created", "lastUpdated"]
    }

    fn refusal(&self, refusal: Refusal) -> Response {
        match refusal {
            Refusal::Limited => refused(
                StatusCode::TOO_MANY_REQUESTS,
                "E0000047",
                "API call exceeded rate limit due to too many requests.",
            ),
            Refusal::Internal => {
                refused(StatusCode::INTERNAL_SERVER_ERROR, "E0000009", "Internal Server Error")
            }
            Refusal::Page => refused(
                StatusCode::BAD_REQUEST,
                "E0000031",
                "Invalid search criteria: the page token has expired.",
            ),
            Refusal::Token => refused(StatusCode::UNAUTHORIZED, "E0000011", "Invalid token provided"),
        }
    }

    /// Limits of Workforce Identity ("Management rate limits").
    fn charge(&self, request: &Parts) -> Option<Charge> {
        let (limit, most) = match request.uri.path() {
            "/oauth2/v1/token" => ("tokens", 2_000),
            "/api/v1/users" => ("users", 600),
            "/api/v1/groups" => ("groups", 500),
            _ => ("others", 1_200),
        };
        Some(Charge { limit, cost: 1, quota: Quota { most, window: MINUTE } })
    }

    fn tell(&self, standing: Standing, headers: &mut HeaderMap) {
        for (name, value) in [
            ("x-rate-limit-limit", standing.most),
            ("x-rate-limit-remaining", standing.left),
            ("x-rate-limit-reset", standing.end),
        ] {
            headers.insert(name, HeaderValue::from(value));
        }
    }

    fn is_authorized(&self, request: &Parts, engine: &Engine) -> bool {
        let header = request.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        match header.and_then(|header| header.split_once(' ')) {
            _ if request.uri.path() == "/oauth2/v1/token" => true,
            Some(("SSWS", token)) => engine.accepts_lasting() && token == TOKEN,
            Some(("Bearer", token)) => engine.accepts(token),
            _ => false,
        }
    }
}

/// Issues an access token for a signed assertion.
async fn token(
    State((okta, engine)): State<(Arc<Okta>, Arc<Engine>)>,
    Form(form): Form<HashMap<String, String>>,
) -> Response {
    let given = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
    let is_assertion =
        given("client_assertion_type") == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    if given("grant_type") != "client_credentials" || !is_assertion {
        return refused_token(
            StatusCode::UNAUTHORIZED,
            "invalid_client",
            "Client Credentials requests to the Org Authorization Server must use the private_key_jwt token_endpoint_auth_method.",
        );
    }
    let audience = format!("{}/oauth2/v1/token", engine.url());
    if let Err(why) = okta.application.verify(given("client_assertion"), &audience) {
        return refused_token(StatusCode::UNAUTHORIZED, "invalid_client", why);
    }
    if okta.application.dpop == Dpop::Required {
        return refused_token(
            StatusCode::BAD_REQUEST,
            "invalid_dpop_proof",
            "The DPoP proof JWT header is missing.",
        );
    }
    let scopes = given("scope");
    if scopes.split(' ').any(|scope| !okta.application.scopes.contains(&scope)) {
        return refused_token(
            StatusCode::BAD_REQUEST,
            "invalid_scope",
            "One or more scopes are not configured for the authorization server resource.",
        );
    }
    axum::Json(json!({
        "token_type": "Bearer", "expires_in": 3600, "access_token": engine.give_token(), "scope": scopes,
    }))
    .into_response()
}

fn refused_token(status: StatusCode, error: &str, description: &str) -> Response {
    (status, axum::Json(json!({ "error": error, "error_description": description }))).into_response()
}

impl Application {
    /// Checks that an assertion is from this application, signed with its key, for this audience, and current.
    fn verify(&self, assertion: &str, audience: &str) -> Result<(), &'static str> {
        let jwk: Value = serde_json::from_str(PRIVATE_KEY_JWK).unwrap_or_default();
        let part = |name: &str| jwk[name].as_str().unwrap_or_default();
        let key = DecodingKey::from_rsa_components(part("n"), part("e")).map_err(|_| "no key")?;
        let header = jsonwebtoken::decode_header(assertion)
            .map_err(|_| "The parameter client_assertion is invalid.")?;
        let is_named = header.kid.as_deref() == Some(part("kid"));
        if !is_named && (header.kid.is_some() || self.keys > 1) {
            return Err("The client_assertion JWT kid is invalid.");
        }
        let mut validation = Validation::new(Algorithm::RS256);
        validation.set_audience(&[audience]);
        validation.set_issuer(&[CLIENT_ID]);
        validation.sub = Some(CLIENT_ID.to_owned());
        validation.set_required_spec_claims(&["exp", "aud", "iss", "sub"]);
        jsonwebtoken::decode::<Value>(assertion, &key, &validation).map(|_| ()).map_err(|error| {
            use jsonwebtoken::errors::ErrorKind;
            match error.kind() {
                ErrorKind::InvalidSignature => "The client_assertion signature is invalid.",
                ErrorKind::ExpiredSignature => "The client_assertion token is expired.",
                ErrorKind::InvalidAudience => {
                    "The audience claim for client_assertion must be the endpoint invoked for the request."
                }
                ErrorKind::InvalidIssuer | ErrorKind::InvalidSubject => {
                    "The issuer and subject claims for client_assertion must be the client_id."
                }
                _ => "The parameter client_assertion is invalid.",
            }
        })
    }
}

/// Request to the API with the state it needs.
type Asked = (State<(Arc<Okta>, Arc<Engine>)>, Query<HashMap<String, String>>, Parts);

async fn users(asked: Asked) -> Response {
    let (State((okta, _)), Query(query), _) = &asked;
    let filter = query.get("filter").map(String::as_str);
    let wants_left = filter.is_some_and(|filter| filter.contains("DEPROVISIONED"));
    let is_asked_for = |user: &&Person| wants_left || user.status != "DEPROVISIONED";
    let attributes = |user: &Person| {
        let email = user.email.clone().unwrap_or_default();
        vec![
            ("id", user.id.clone()),
            ("status", user.status.to_owned()),
            ("profile.department", user.department.to_owned()),
            ("profile.login", email.clone()),
            ("profile.email", email),
        ]
    };
    let found = okta.users.iter().filter(is_asked_for);
    list(&asked, matching(found, filter, attributes), Person::shown, 200, 200)
}

async fn groups(asked: Asked) -> Response {
    let (State((okta, _)), Query(query), _) = &asked;
    let filter = query.get("filter").map(String::as_str);
    let search = query.get("search").map(String::as_str);
    let of_search = |group: &Team| {
        vec![
            ("id", group.id.clone()),
            ("profile.name", group.name.clone()),
            ("type", "OKTA_GROUP".to_owned()),
        ]
    };
    // A filter knows fewer properties than a search.
    let of_filter =
        |group: &Team| of_search(group).into_iter().filter(|(name, _)| *name != "profile.name").collect();
    let found = match search {
        Some(_) => matching(okta.groups.iter(), search, of_search),
        None => matching(okta.groups.iter(), filter, of_filter),
    };
    list(&asked, found, Team::shown, 10_000, 10_000)
}

async fn members(Path(id): Path<String>, asked: Asked) -> Response {
    let (State((okta, _)), ..) = &asked;
    let group = okta.groups.iter().find(|group| group.id == id && !okta.vanishing.contains(&id));
    let Some(group) = group else {
        return refused(
            StatusCode::NOT_FOUND,
            "E0000007",
            &format!("Not found: Resource not found: {id} (UserGroup)"),
        );
    };
    let members: HashSet<&String> = group.members.iter().collect();
    let found = okta.users.iter().filter(|user| members.contains(&user.id)).collect();
    list(&asked, Some(found), Person::shown, 1_000, 1_000)
}

/// Entries that match the filter; `None` if it cannot be parsed.
fn matching<'a, T: 'a>(
    entries: impl Iterator<Item = &'a T>,
    filter: Option<&str>,
    attributes: impl Fn(&'a T) -> Vec<(&'static str, String)>,
) -> Option<Vec<&'a T>> {
    let mut found = Vec::new();
    for entry in entries {
        if filter.map_or(Some(true), |filter| matches(filter, &attributes(entry)))? {
            found.push(entry);
        }
    }
    Some(found)
}

/// Parses `attribute eq "value"`, joined by `and`, each of which may be several of them joined by `or`, optionally in brackets; `None`
/// for anything else.
fn matches(filter: &str, attributes: &[(&str, String)]) -> Option<bool> {
    let mut is_match = true;
    for part in filter.split(" and ") {
        let mut is_any = false;
        for clause in part.trim().trim_matches(['(', ')']).split(" or ") {
            let (name, value) = clause.split_once(" eq ")?;
            let value = value.trim().strip_prefix('"')?.strip_suffix('"')?;
            let value = value.replace("\\\"", "\"").replace("\\\\", "\\");
            let (_, own) = attributes.iter().find(|(known, _)| *known == name.trim())?;
            is_any |= own.eq_ignore_ascii_case(&value);
        }
        is_match &= is_any;
    }
    Some(is_match)
}

impl Person {
    fn shown(&self) -> Value {
        let Self { id, status, email, department } = self;
        json!({
            "id": id, "status": status, "created": "2024-05-01T08:00:00.000Z", "lastUpdated": "2024-05-01T08:00:00.000Z",
            "profile": { "login": email, "email": email, "firstName": "First", "lastName": "Last", "department": department },
            "credentials": { "provider": { "type": "OKTA", "name": "OKTA" } },
        })
    }
}

impl Team {
    fn shown(&self) -> Value {
        json!({
            "id": self.id, "type": "OKTA_GROUP", "objectClass": ["okta:user_group"],
            "created": "2024-05-01T08:00:00.000Z", "lastUpdated": "2024-05-01T08:00:00.000Z",
            "lastMembershipUpdated": "2024-05-01T08:00:00.000Z",
            "profile": { "name": self.name, "description": "" },
        })
    }
}

fn refused(status: StatusCode, code: &str, summary: &str) -> Response {
    let body = json!({
        "errorCode": code, "errorSummary": summary, "errorLink": code, "errorId": "oaesandbox", "errorCauses": [],
    });
    (status, axum::Json(body)).into_response()
}

/// Makes one page of a list.
fn list<T>(
    asked: &Asked,
    found: Option<Vec<&T>>,
    shown: impl Fn(&T) -> Value,
    usual: usize,
    largest: usize,
) -> Response {
    let (State((okta, engine)), Query(query), parts) = asked;
    let is_application =
        parts.headers.get(AUTHORIZATION).is_some_and(|value| value.as_bytes().starts_with(b"Bearer"));
    if is_application && okta.application.role == Role::None {
        let summary = "You do not have permission to perform the requested action";
        return refused(StatusCode::FORBIDDEN, "E0000006", summary);
    }
    let Some(entries) = found else {
        return refused(StatusCode::BAD_REQUEST, "E0000031", "Invalid search criteria.");
    };
    let number = |name: &str| query.get(name).and_then(|text| text.parse::<usize>().ok());
    let size = engine.page(number("limit"), usual, largest);
    let from = number("after").unwrap_or(0);
    let page: Vec<Value> = entries.iter().skip(from).take(size).map(|entry| shown(entry)).collect();
    let next = Some(from + size).filter(|&next| next < entries.len());
    let link = |after: Option<usize>, rel: &str| {
        let mut pairs: Vec<(&str, String)> = query
            .iter()
            .filter(|(name, _)| *name != "after")
            .map(|(name, value)| (name.as_str(), value.clone()))
            .collect();
        pairs.extend(after.map(|after| ("after", after.to_string())));
        pairs.sort();
        let pairs = serde_urlencoded::to_string(pairs).unwrap_or_default();
        HeaderValue::from_str(&format!("<{}{}?{pairs}>; rel=\"{rel}\"", engine.url(), parts.uri.path())).ok()
    };
    let next = if repeats_page(parts) {
        HeaderValue::from_str(&format!("<{}{}>; rel=\"next\"", engine.url(), parts.uri)).ok()
    } else {
        next.and_then(|next| link(Some(next), "next"))
    };
    let mut answer = axum::Json(page).into_response();
    for value in [link(number("after"), "self"), next].into_iter().flatten() {
        answer.headers_mut().append(LINK, value);
    }
    answer
}

//! Who asks, what a form says, and refusals.

use std::sync::Arc;

use axum::Form;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::header::{COOKIE, LOCATION, RETRY_AFTER, SET_COOKIE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bwdc_config::installation::{WebAddress, WebRole};
use bwdc_core::error::Error;

use crate::commands::Order;
use crate::pages::layout;
use crate::security::Transport;
use crate::sessions::{Entrance, Session};
use crate::tasks::{Purpose, Task, TooMany};
use crate::{Instance, Site};

/// Cookies of our name that are tried.
const MOST_COOKIES: usize = 4;

/// Reason for which nothing is done.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    message: String,
    next_step: Option<String>,
    wait: Option<u64>,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, message: impl Into<String>, next_step: impl Into<String>) -> Self {
        Self { status, message: message.into(), next_step: Some(next_step.into()), wait: None }
    }

    pub(crate) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "There is no such page.", "The overview leads to all pages.")
    }

    pub(crate) fn wait(seconds: u64) -> Self {
        let told = format!(
            "Try again in {seconds} s. On the machine itself, `bwdc web open` prints a link that always works."
        );
        Self {
            wait: Some(seconds),
            ..Self::new(StatusCode::TOO_MANY_REQUESTS, "Too many failed attempts to log in.", told)
        }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            message: error.message,
            next_step: error.next_step,
            wait: None,
        }
    }
}

impl From<TooMany> for Refusal {
    fn from(_: TooMany) -> Self {
        Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "You have several commands under way already.",
            "Wait until one of them has ended, and try again. Nothing was started.",
        )
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let page = layout::bare("Not done", &layout::trouble(&self.message, self.next_step.as_deref()));
        let mut response = (self.status, page).into_response();
        if let Some(seconds) = self.wait {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

pub(crate) type Answer = Result<Response, Refusal>;

/// Leads on to another page of ours.
pub(crate) fn see(path: &str) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    if let Ok(path) = HeaderValue::from_str(path) {
        response.headers_mut().insert(LOCATION, path);
    }
    response
}

/// Name of the cookie of a page: two pages on one machine keep theirs apart by the port.
pub(crate) fn cookie_name(address: &WebAddress, transport: Transport) -> String {
    match (transport, address) {
        (Transport::Tls, _) => "__Host-bwdc".to_owned(),
        (Transport::Plain, WebAddress::Tcp(address)) => format!("bwdc-{}", address.port()),
        (Transport::Plain, WebAddress::Socket(_)) => "bwdc".to_owned(),
    }
}

impl Site {
    fn session(&self, headers: &HeaderMap) -> Option<Session> {
        let cookies = headers.get_all(COOKIE).iter().filter_map(|header| header.to_str().ok());
        let mut pairs =
            cookies.flat_map(|header| header.split(';')).filter_map(|pair| pair.trim().split_once('='));
        // Another port may have put one of the same name before ours.
        let mine = pairs.by_ref().filter(|(name, _)| *name == self.cookie);
        let session = mine.take(MOST_COOKIES).find_map(|(_, cookie)| self.sessions.of(cookie))?;
        match session.entrance {
            Entrance::Link => Some(session),
            Entrance::Password => self.as_configured(session),
        }
    }

    /// The session with the rights that bwdc.toml gives now; none for somebody who is not in it any more.
    fn as_configured(&self, session: Session) -> Option<Session> {
        let users = self.users().ok()?;
        let Some(user) = users.iter().find(|user| user.name == session.user) else {
            self.sessions.end(&session.id);
            return None;
        };
        Some(session.with_role(user.role))
    }

    /// Begins a session, and leads on.
    pub(crate) fn logged_in(&self, user: &str, role: WebRole, entrance: Entrance) -> Response {
        let value = self.sessions.begin(user, role, entrance);
        self.with_cookie(see("/"), &value, "")
    }

    /// Removes the cookie.
    pub(crate) fn logged_out(&self) -> Response {
        self.with_cookie(see("/login"), "", "; Max-Age=0")
    }

    fn with_cookie(&self, mut response: Response, value: &str, more: &str) -> Response {
        let secure = if self.transport == Transport::Tls { "; Secure" } else { "" };
        let cookie = format!("{}={value}; Path=/; HttpOnly; SameSite=Strict{secure}{more}", self.cookie);
        if let Ok(cookie) = HeaderValue::from_str(&cookie) {
            response.headers_mut().insert(SET_COOKIE, cookie);
        }
        response
    }

    /// Starts a command of a visitor.
    pub(crate) fn start(
        &self,
        visitor: &Visitor,
        instance: &str,
        purpose: Purpose,
        order: Order,
    ) -> Result<Arc<Task>, Refusal> {
        self.tasks.start(&self.runner, visitor.0.id, instance, purpose, order).map_err(Refusal::from)
    }

    /// Starts a command of a visitor, whose answer is a report.
    pub(crate) fn start_report(
        &self,
        visitor: &Visitor,
        instance: &str,
        purpose: Purpose,
        order: Order,
    ) -> Result<Arc<Task>, Refusal> {
        self.start(visitor, instance, purpose, self.tasks.reporting(order))
    }

    /// The instance of this name.
    pub(crate) fn instance(&self, name: &str) -> Result<Instance, Refusal> {
        self.instances()?.into_iter().find(|instance| instance.name == name).ok_or_else(Refusal::not_found)
    }
}

/// Somebody who is logged in. Whoever is not is led to the log-in.
pub(crate) struct Visitor(pub(crate) Session);

impl Visitor {
    /// Refuses whoever has fewer rights.
    fn may(&self, role: WebRole) -> Result<(), Refusal> {
        if self.0.role >= role {
            return Ok(());
        }
        Err(Refusal::new(
            StatusCode::FORBIDDEN,
            format!("You are logged in with the role {}, and this needs the role {role}.", self.0.role),
            format!("On the machine itself, `bwdc web open --role {role}` prints a link with that role."),
        ))
    }

    /// A line in the log: who did what.
    pub(crate) fn did(&self, what: &str, instance: &str) {
        tracing::info!(user = self.0.user, role = %self.0.role, instance, "the page: {what}");
    }
}

impl FromRequestParts<Arc<Site>> for Visitor {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, site: &Arc<Site>) -> Result<Self, Response> {
        site.session(&parts.headers).map(Self).ok_or_else(|| see("/login"))
    }
}

/// Fields of a form.
pub(crate) struct Fields(Vec<(String, String)>);

impl Fields {
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    pub(crate) fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }
}

impl Drop for Fields {
    fn drop(&mut self) {
        self.0.iter_mut().for_each(|(_, value)| zeroize::Zeroize::zeroize(value));
    }
}

/// Reads the fields of a form.
pub(crate) async fn fields(request: Request) -> Result<Fields, Refusal> {
    let Form(fields) = Form::<Vec<(String, String)>>::from_request(request, &()).await.map_err(|error| {
        Refusal::new(StatusCode::BAD_REQUEST, error.to_string(), "Send the form of a page.")
    })?;
    Ok(Fields(fields))
}

/// What it takes to send a form to a path: everything, unless it is known to need less.
fn role_for(path: &str) -> WebRole {
    let action =
        path.strip_prefix("/i/").and_then(|path| path.split_once('/')).map_or(path, |(_, action)| action);
    match action {
        "/logout" | "plan" | "check" | "people" => WebRole::Look,
        "sync" | "apply" | "approve" | "undo" | "undo/now" => WebRole::Approve,
        _ => WebRole::Change,
    }
}

/// A form of ours, sent by somebody who is logged in, from the page that was made for that session.
pub(crate) struct Posted {
    pub(crate) visitor: Visitor,
    pub(crate) fields: Fields,
}

impl FromRequest<Arc<Site>> for Posted {
    type Rejection = Response;

    async fn from_request(request: Request, site: &Arc<Site>) -> Result<Self, Response> {
        let session = site.session(request.headers()).ok_or_else(|| see("/login"))?;
        let path = request.uri().path().to_owned();
        let visitor = Visitor(session);
        visitor.may(role_for(&path)).map_err(Refusal::into_response)?;
        let fields = fields(request).await.map_err(Refusal::into_response)?;
        if !visitor.0.is_form_token(&path, fields.get("csrf")) {
            let refusal = Refusal::new(
                StatusCode::FORBIDDEN,
                "The form is not from this session.",
                "Open the page again and send its form. Nothing was done.",
            );
            return Err(refusal.into_response());
        }
        Ok(Self { visitor, fields })
    }
}

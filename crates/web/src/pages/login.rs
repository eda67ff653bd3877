//! The log-in: by a one-time link, or by name and password.

use std::sync::Arc;
use std::time::Instant;

use axum::Extension;
use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::Response;
use bwdc_core::Secret;
use maud::{Markup, html};
use serde::Deserialize;

use super::layout;
use crate::Site;
use crate::guesses::Source;
use crate::sessions::{Entrance, form_token, is_same};
use crate::visit::{Answer, Fields, Posted, Refusal, Visitor, fields, see};

pub(crate) async fn page(State(site): State<Arc<Site>>, visitor: Result<Visitor, Response>) -> Response {
    match visitor {
        Ok(_) => see("/"),
        Err(_) => layout::bare("Log in", &form(&site, None)),
    }
}

fn form(site: &Site, failed: Option<&str>) -> Markup {
    html! {
        @if let Some(failed) = failed { (layout::trouble(failed, None)) }
        @if site.users().is_ok_and(|users| !users.is_empty()) {
            form.narrow method="post" action="/login" {
                input type="hidden" name="csrf" value=(form_token(&site.login_secret, "/login"));
                p { label for="name" { "Name" } input #name name="name" autocomplete="username" required maxlength="200"; }
                p { label for="password" { "Password" } input #password type="password" name="password" autocomplete="current-password" required maxlength="1024"; }
                p { button.main { "Log in" } }
            }
        }
        h2 { "With a link" }
        p { "On the machine that serves this page, as the user who serves it or as root, run" }
        pre { code { "bwdc web open" } }
        p { "and open the link that it prints. It works once, within ten minutes." }
    }
}

pub(crate) async fn log_in(
    State(site): State<Arc<Site>>,
    Extension(source): Extension<Source>,
    request: Request,
) -> Answer {
    let fields = fields(request).await?;
    if !is_same(&form_token(&site.login_secret, "/login"), fields.get("csrf")) {
        return Err(Refusal::new(
            StatusCode::FORBIDDEN,
            "The form is too old.",
            "Open the page again and log in.",
        ));
    }
    refuse_guessing(&site, source)?;
    let (name, password) = (fields.get("name"), Secret::from(fields.get("password")));
    let users = site.users()?;
    let user = users.iter().find(|user| user.name == name);
    // Taken before the check, so that many at once are no way around.
    site.guesses.failed(source, Instant::now());
    if !site.verifier.is_right(user.map(|user| &user.password), password).await {
        tracing::warn!(from = %source, "the page: a log-in with a password failed");
        let page = layout::bare("Log in", &form(&site, Some("The name or the password is wrong.")));
        return Ok(with_status(StatusCode::UNAUTHORIZED, page));
    }
    let Some(user) = user else { return Err(Refusal::not_found()) };
    site.guesses.succeeded(source);
    tracing::info!(user = user.name, role = %user.role, from = %source, "the page: logged in with a password");
    Ok(site.logged_in(&user.name, user.role, Entrance::Password))
}

fn with_status(status: StatusCode, mut response: Response) -> Response {
    *response.status_mut() = status;
    response
}

fn refuse_guessing(site: &Site, source: Source) -> Result<(), Refusal> {
    match site.guesses.wait(source, Instant::now()) {
        Some(wait) => Err(Refusal::wait(wait.as_secs() + 1)),
        None => Ok(()),
    }
}

#[derive(Deserialize)]
pub(crate) struct Token {
    #[serde(default)]
    token: String,
}

/// Takes a link at once where a browser says that somebody opens it. Whatever else comes by it (a preview, another page, an old browser) only
/// gets a button.
pub(crate) async fn open(
    State(site): State<Arc<Site>>,
    Extension(source): Extension<Source>,
    Query(Token { token }): Query<Token>,
    method: Method,
    headers: HeaderMap,
) -> Answer {
    let says = |name: &str, value: &str| headers.get(name).is_some_and(|header| header == value);
    let is_opened = method == Method::GET
        && !headers.contains_key("sec-purpose")
        && (says("sec-fetch-site", "none") || says("sec-fetch-site", "same-origin"));
    if is_opened || !site.home.links().is_good(&token) {
        return taken(&site, source, &token);
    }
    let button = html! {
        form method="post" action="/open" {
            input type="hidden" name="token" value=(token);
            p { "The link works once." }
            p { button.main { "Log in" } }
        }
    };
    Ok(layout::bare("Log in", &button))
}

pub(crate) async fn open_asked(
    State(site): State<Arc<Site>>,
    Extension(source): Extension<Source>,
    request: Request,
) -> Answer {
    let fields: Fields = fields(request).await?;
    taken(&site, source, fields.get("token"))
}

fn taken(site: &Site, source: Source, token: &str) -> Answer {
    let Some(link) = site.home.links().take(token) else {
        tracing::warn!(from = %source, "the page: a link was refused");
        return Err(Refusal::new(
            StatusCode::FORBIDDEN,
            "The link was used already, has expired, or was never made.",
            "Make another one: bwdc web open",
        ));
    };
    tracing::info!(role = %link.role, from = %source, "the page: logged in with a link");
    Ok(site.logged_in("link", link.role, Entrance::Link))
}

pub(crate) async fn log_out(State(site): State<Arc<Site>>, Posted { visitor, .. }: Posted) -> Response {
    site.sessions.end(&visitor.0.id);
    visitor.did("logged out", "");
    site.logged_out()
}

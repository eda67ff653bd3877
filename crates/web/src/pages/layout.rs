//! The frame of every page.

use axum::response::{Html, IntoResponse as _, Response};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::of_instance;
use crate::sessions::Session;
use crate::statics;

/// Page of an instance, as the navigation knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Summary,
    Plan,
    History,
    People,
    Settings,
    Schedule,
    Log,
}

impl Place {
    const ALL: [Self; 7] =
        [Self::Summary, Self::Plan, Self::History, Self::People, Self::Settings, Self::Schedule, Self::Log];

    fn of(self) -> (&'static str, &'static str) {
        match self {
            Self::Summary => ("", "Summary"),
            Self::Plan => ("plan", "Plan"),
            Self::History => ("history", "History"),
            Self::People => ("people", "People and groups"),
            Self::Settings => ("settings", "Settings"),
            Self::Schedule => ("schedule", "Schedule"),
            Self::Log => ("log", "Log"),
        }
    }
}

/// Frame of a page.
pub(crate) struct Frame<'a> {
    pub(crate) session: &'a Session,
    /// Instance that the page is about, and which of its pages.
    pub(crate) at: Option<(&'a str, Place)>,
    /// Seconds after which what changes is fetched again, while something is under way.
    pub(crate) refresh: Option<u32>,
}

impl<'a> Frame<'a> {
    pub(crate) fn new(session: &'a Session) -> Self {
        Self { session, at: None, refresh: None }
    }

    pub(crate) fn of(session: &'a Session, instance: &'a str, place: Place) -> Self {
        Self { session, at: Some((instance, place)), refresh: None }
    }

    pub(crate) fn refreshed(self, refresh: Option<u32>) -> Self {
        Self { refresh, ..self }
    }

    /// A form that only this session can send.
    pub(crate) fn form(&self, action: &str, fields: &Markup) -> Markup {
        form(self.session, action, fields)
    }

    pub(crate) fn page(&self, title: &str, main: &Markup) -> Response {
        let header = html! {
            header {
                a.skip href="#main" { "Skip to the content" }
                div.bar {
                    a.brand href="/" { img src=(statics::address("icon.svg")) alt="" width="20" height="20"; "bwdc" }
                    nav aria-label="Main" {
                        a href="/" aria-current=[self.at.is_none().then_some("page")] { "Overview" }
                    }
                    div.who {
                        span { (self.session.user) " " span.role { "(" (self.session.role) ")" } }
                        (self.form("/logout", &html! { button.quiet { "Log out" } }))
                    }
                }
                @if let Some((name, here)) = self.at {
                    nav.instance aria-label=(format!("Instance {name}")) {
                        span.name { (name) }
                        ul {
                            @for place in Place::ALL {
                                @let (path, title) = place.of();
                                li { a href=(of_instance(name, path)) aria-current=[(place == here).then_some("page")] { (title) } }
                            }
                        }
                    }
                }
            }
        };
        document(title, &header, main, self.refresh)
    }
}

/// A form that only this session can send.
pub(crate) fn form(session: &Session, action: &str, fields: &Markup) -> Markup {
    html! {
        form method="post" action=(action) {
            input type="hidden" name="csrf" value=(session.form_token(action));
            (fields)
        }
    }
}

/// A page for whoever is not logged in.
pub(crate) fn bare(title: &str, main: &Markup) -> Response {
    let header = html! {
        header { div.bar { a.brand href="/" { img src=(statics::address("icon.svg")) alt="" width="20" height="20"; "bwdc" } } }
    };
    document(title, &header, main, None)
}

fn document(title: &str, header: &Markup, main: &Markup, refresh: Option<u32>) -> Response {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " - bwdc" }
                link rel="icon" type="image/svg+xml" href=(statics::address("icon.svg"));
                link rel="stylesheet" href=(statics::address("page.css"));
                script defer src=(statics::address("page.js")) {}
                @if let Some(seconds) = refresh {
                    noscript { meta http-equiv="refresh" content=(seconds); }
                }
            }
            body data-refresh=[refresh] {
                (header)
                main #main tabindex="-1" { h1 { (title) } (main) }
                footer { p { "bwdc " (env!("CARGO_PKG_VERSION")) } }
            }
        }
    };
    Html(page.into_string()).into_response()
}

/// What went wrong, and what to do.
pub(crate) fn trouble(message: &str, next_step: Option<&str>) -> Markup {
    html! {
        div.notice.danger role="alert" {
            p { (lines(message)) }
            @if let Some(next_step) = next_step { p.next { (lines(next_step)) } }
        }
    }
}

/// Lines as they are.
pub(crate) fn lines(text: &str) -> Markup {
    html! { @for (number, line) in text.lines().enumerate() { @if number > 0 { br; } (line) } }
}

/// A table that scrolls by itself where it is wider than the page.
pub(crate) fn table(label: &str, columns: &[&str], rows: &Markup) -> Markup {
    html! {
        div.scroll role="region" aria-label=(label) tabindex="0" {
            table {
                thead { tr { @for column in columns { th scope="col" { (column) } } } }
                tbody { (rows) }
            }
        }
    }
}

/// Links to the other pages of a list. `address` is without the number, which is put behind it.
pub(crate) fn pager(label: &str, address: &str, page: usize, pages: usize) -> Markup {
    if pages <= 1 {
        return PreEscaped(String::new());
    }
    html! {
        nav.pager aria-label=(label) {
            @if page > 0 { a rel="prev" href=(format!("{address}{}", page - 1)) { "Previous" } }
            span { "Page " (page.saturating_add(1)) " of " (pages) }
            @if page.saturating_add(1) < pages { a rel="next" href=(format!("{address}{}", page + 1)) { "Next" } }
        }
    }
}

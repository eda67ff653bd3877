//! People and groups: why somebody is in or out, and what was done about them.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use maud::{Markup, html};
use serde::Deserialize;

use super::layout::{Frame, Place};
use super::of_instance;
use super::task::{self, Part};
use crate::Site;
use crate::commands::Order;
use crate::tasks::Purpose;
use crate::visit::{Answer, Posted, Visitor};

/// Longest name that is looked for.
const LONGEST: usize = 500;

pub(crate) async fn page(
    State(site): State<Arc<Site>>,
    visitor: Visitor,
    Path(name): Path<String>,
    Query(part): Query<Part>,
) -> Answer {
    let instance = site.instance(&name)?;
    let frame = Frame::of(&visitor.0, &instance.name, Place::People);
    let address = of_instance(&name, "people");
    let latest = site.tasks.latest(&name, |purpose| *purpose == Purpose::People);
    let label = if latest.is_some() { "List everybody anew" } else { "List everybody" };
    let before = html! {
        (form(&name, ""))
        p { "Or choose from all whom imports have brought, as earlier runs have kept it:" }
        div.actions { (frame.form(&address, &html! { button { (label) } })) }
    };
    match latest {
        Some(task) => task::shown(frame, &visitor, task, address, part, before).await,
        None => Ok(frame.page("People and groups", &before)),
    }
}

/// Lists everybody.
pub(crate) async fn list(
    State(site): State<Arc<Site>>,
    Path(name): Path<String>,
    Posted { visitor, .. }: Posted,
) -> Answer {
    let instance = site.instance(&name)?;
    visitor.did("listed the people", &name);
    let order = Order::new(["people"]).of(&instance.selection);
    site.start_report(&visitor, &name, Purpose::People, order)?;
    Ok(crate::visit::see(&of_instance(&name, "people")))
}

fn form(name: &str, who: &str) -> Markup {
    html! {
        p { "Why a person or group is, or is not, in the organization, what earlier runs did about it, and what the next sync does." }
        form.search role="search" aria-label="Explain" method="get" action=(of_instance(name, "explain")) {
            label for="who" { "Address, id, name or DN of a person, or name or id of a group" }
            input #who type="search" name="who" value=(who) required maxlength=(LONGEST);
            button.main { "Explain" }
            label.inline { input type="checkbox" name="offline" value="on"; " From what earlier runs have kept, reading nothing" }
        }
    }
}

#[derive(Deserialize)]
pub(crate) struct Asked {
    who: String,
    #[serde(default)]
    offline: String,
}

pub(crate) async fn explain(
    State(site): State<Arc<Site>>,
    visitor: Visitor,
    Path(name): Path<String>,
    Query(Asked { who, offline }): Query<Asked>,
) -> Answer {
    let instance = site.instance(&name)?;
    let who = who.trim();
    if who.is_empty() || who.len() > LONGEST {
        return Ok(crate::visit::see(&of_instance(&name, "people")));
    }
    visitor.did("asked about somebody", &name);
    let arguments =
        if offline == "on" { vec!["explain", "--offline", "--", who] } else { vec!["explain", "--", who] };
    let order = Order::new(arguments).of_before(&instance.selection);
    Ok(task::see(&site.start_report(&visitor, &name, Purpose::Explain(who.to_owned()), order)?))
}

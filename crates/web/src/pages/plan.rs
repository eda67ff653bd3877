//! The plan: what a sync would do now, and carrying it out.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use maud::html;

use super::layout::{Frame, Place};
use super::of_instance;
use super::task::{self, Part};
use crate::Site;
use crate::commands::Order;
use crate::tasks::Purpose;
use crate::visit::{Answer, Fields, Posted, Refusal, Visitor};

pub(crate) async fn page(
    State(site): State<Arc<Site>>,
    visitor: Visitor,
    Path(name): Path<String>,
    Query(part): Query<Part>,
) -> Answer {
    let instance = site.instance(&name)?;
    let frame = Frame::of(&visitor.0, &instance.name, Place::Plan);
    let address = of_instance(&name, "plan");
    let latest = site.tasks.latest(&name, |purpose| matches!(purpose, Purpose::Plan(_)));
    let is_made = latest.is_some();
    let make = html! {
        p { "What a sync would change in the organization now. Making a plan reads the directory and the organization, and changes nothing." }
        div.actions { (frame.form(&address, &html! { button.main[!is_made] { (if is_made { "Make another plan" } else { "Make a plan" }) } })) }
    };
    match latest {
        Some(task) => task::shown(frame, &visitor, task, address, part, make).await,
        None => Ok(frame.page("Plan", &make)),
    }
}

pub(crate) async fn make(
    State(site): State<Arc<Site>>,
    Path(name): Path<String>,
    Posted { visitor, .. }: Posted,
) -> Answer {
    let instance = site.instance(&name)?;
    visitor.did("made a plan", &name);
    let file = site.tasks.new_file();
    let order =
        Order::new([OsString::from("plan"), "--out".into(), file.clone().into()]).of(&instance.selection);
    site.start_report(&visitor, &name, Purpose::Plan(file), order)?;
    Ok(crate::visit::see(&of_instance(&name, "plan")))
}

/// The file of the plan that somebody has seen.
fn seen(site: &Site, name: &str, fields: &Fields) -> Result<PathBuf, Refusal> {
    let task = site.tasks.of_id(fields.get("task")).filter(|task| task.instance == name);
    match task.as_ref().map(|task| &task.purpose) {
        Some(Purpose::Plan(file)) => Ok(file.clone()),
        _ => Err(Refusal::new(
            StatusCode::NOT_FOUND,
            "This plan is not kept any more.",
            "Make another one. Nothing was done.",
        )),
    }
}

pub(crate) async fn apply(
    State(site): State<Arc<Site>>,
    Path(name): Path<String>,
    Posted { visitor, fields }: Posted,
) -> Answer {
    let instance = site.instance(&name)?;
    let file = seen(&site, &name, &fields)?;
    visitor.did("asked to carry out a plan", &name);
    let order = Order::new([OsString::from("apply"), file.into()]).of(&instance.selection);
    Ok(task::see(&site.start(&visitor, &name, Purpose::Apply, order)?))
}

pub(crate) async fn approve(
    State(site): State<Arc<Site>>,
    Path(name): Path<String>,
    Posted { visitor, fields }: Posted,
) -> Answer {
    let instance = site.instance(&name)?;
    let file = seen(&site, &name, &fields)?;
    visitor.did("asked to approve what is held back", &name);
    let order = Order::new([OsString::from("approve"), "--yes".into(), "--plan".into(), file.into()])
        .of(&instance.selection);
    Ok(task::see(&site.start(&visitor, &name, Purpose::Approve, order)?))
}

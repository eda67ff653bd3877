//! Schedule: what an expression means, what is installed, and installing it.

use std::ffi::OsString;
use std::sync::Arc;

use axum::extract::{Path, Query, State};
use bwdc_config::zone;
use bwdc_schedule::quoted;
use bwdc_schedule::times::{Interval, Schedule, explain};
use jiff::Timestamp;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;

use super::layout::{self, Frame, Place};
use super::when::{exact, when};
use super::{of_instance, task};
use crate::commands::Order;
use crate::tasks::Purpose;
use crate::visit::{Answer, Posted, Refusal, Visitor};
use crate::{Instance, Site};

const EXAMPLE: &str = "15m";

#[derive(Deserialize)]
pub(crate) struct Asked {
    #[serde(default)]
    expression: String,
}

pub(crate) async fn page(
    State(site): State<Arc<Site>>,
    visitor: Visitor,
    Path(name): Path<String>,
    Query(Asked { expression }): Query<Asked>,
) -> Answer {
    let instance = site.instance(&name)?;
    let frame = Frame::of(&visitor.0, &instance.name, Place::Schedule);
    let list = site.runner.ask(Order::new(["schedule", "list"])).await;
    let installed = match &list {
        Ok(list) => installed(&instance, list),
        Err(error) => layout::trouble(&error.message, error.next_step.as_deref()),
    };
    let address = of_instance(&name, "schedule");
    let is_installed = list.as_ref().is_ok_and(|list| !of(&instance, list).is_empty());
    let main = html! {
        h2 { "Installed" }
        (installed)
        @if is_installed { div.actions { (frame.form(&format!("{address}/remove"), &html! { button.danger { "Remove" } })) } }
        h2 { "When" }
        form.search method="get" action=(address) {
            label for="expression" { "Five fields, @daily and the like, an interval (15m), a time (02:30), or days and a time (mon@20:00)" }
            input #expression type="text" name="expression" value=(expression) placeholder=(EXAMPLE) spellcheck="false" autocomplete="off"
                data-check=(format!("{address}/explain")) data-shows="explained" aria-describedby="explained" maxlength="200";
            button { "Explain" }
        }
        div #explained aria-live="polite" { @if !expression.is_empty() { (explained(&expression)) } }
        @if Schedule::parse(&expression).is_ok() {
            h2 { "Install" }
            p { "As the user who serves this page, with the best scheduler that there is. To install it for another user, or with other options, run this on the machine:" }
            pre { code { "sudo " (command(&instance, &expression)) } }
            div.actions { (frame.form(&format!("{address}/install"), &html! {
                input type="hidden" name="expression" value=(expression);
                button.main { (if is_installed { "Replace" } else { "Install" }) }
            })) }
        }
    };
    Ok(frame.page("Schedule", &main))
}

#[derive(Deserialize)]
pub(crate) struct Typed {
    #[serde(default)]
    value: String,
}

pub(crate) async fn explain_typed(
    _: Visitor,
    Query(Typed { value }): Query<Typed>,
) -> axum::response::Html<String> {
    axum::response::Html(html! { @if !value.trim().is_empty() { (explained(&value)) } }.into_string())
}

fn explained(expression: &str) -> Markup {
    let schedule = match Schedule::parse(expression) {
        Ok(schedule) => schedule,
        Err(error) => {
            return html! { div.danger { (layout::trouble(&error.message, error.next_step.as_deref())) } };
        }
    };
    let now = zone::now();
    let runs: Vec<_> = schedule.runs_after(now.clone()).take(5).collect();
    let warnings = explain::warnings(&schedule, now.time_zone(), now.timestamp());
    html! {
        p { b { (explain::english(&schedule)) } }
        @if !runs.is_empty() { p { "Next runs:" } ul { @for run in &runs { li { (exact(run.timestamp())) } } } }
        @for warning in &warnings { div.notice.caution { p { (warning) } } }
    }
}

/// The option and the value of an expression.
fn option(expression: &str) -> [String; 2] {
    let option = if Interval::parse(expression).is_ok() {
        "--every"
    } else if Schedule::cron(expression).is_ok() {
        "--cron"
    } else if Schedule::daily(expression).is_ok() {
        "--at"
    } else {
        "--weekly"
    };
    [option.to_owned(), expression.trim().to_owned()]
}

fn folder(instance: &Instance) -> Result<OsString, Refusal> {
    match instance.parts.as_slice() {
        [part] => Ok(part.folder.clone().into()),
        _ => Err(Refusal::new(
            axum::http::StatusCode::CONFLICT,
            "A merge is scheduled with everything in bwdc.toml.",
            "Run on the machine: bwdc schedule install --all",
        )),
    }
}

/// For a shell: whatever a folder is called, it stays one word.
fn command(instance: &Instance, expression: &str) -> String {
    let [option, value] = option(expression);
    let word = |text: &str| quoted(text).unwrap_or_else(|_| "...".to_owned());
    let of = folder(instance)
        .map_or("--all".to_owned(), |folder| format!("--appdata {}", word(&folder.to_string_lossy())));
    format!("bwdc schedule install {option} {} {of}", word(&value))
}

/// Those of this instance.
fn of<'a>(instance: &Instance, list: &'a Value) -> Vec<&'a Value> {
    let is_of = |one: &&Value| {
        let folder = one.get("folder").and_then(Value::as_str).unwrap_or_default();
        instance.parts.iter().any(|part| part.folder == std::path::Path::new(folder))
            || one["syncs"] == "everything"
    };
    list.as_array().map(|all| all.iter().filter(is_of).collect()).unwrap_or_default()
}

fn installed(instance: &Instance, list: &Value) -> Markup {
    let all = of(instance, list);
    if all.is_empty() {
        return html! { p { "No schedule is installed that this user can see. A daemon runs instances without one." } };
    }
    let text = |one: &Value, key: &str| one.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let now = Timestamp::now();
    let rows = html! {
        @for one in all {
            tr {
                th scope="row" { (text(one, "schedule")) }
                td { (text(one, "using")) }
                td { (text(one, "user")) }
                td { @if let Ok(next) = text(one, "next").parse::<Timestamp>() { (when(next, now)) } @else { "unknown" } }
                td { code { (text(one, "place")) } }
            }
        }
    };
    layout::table("Installed schedules", &["Schedule", "By", "As", "Next run", "Where"], &rows)
}

pub(crate) async fn install(
    State(site): State<Arc<Site>>,
    Path(name): Path<String>,
    Posted { visitor, fields }: Posted,
) -> Answer {
    let instance = site.instance(&name)?;
    let [option, value] = option(fields.get("expression"));
    Schedule::parse(&value)?;
    visitor.did(&format!("installed the schedule {value}"), &name);
    let arguments = [
        "schedule".into(),
        "install".into(),
        OsString::from(format!("{option}={value}")),
        "--appdata".into(),
        folder(&instance)?,
    ];
    Ok(task::see(&site.start(&visitor, &name, Purpose::Schedule, Order::new(arguments))?))
}

pub(crate) async fn remove(
    State(site): State<Arc<Site>>,
    Path(name): Path<String>,
    Posted { visitor, .. }: Posted,
) -> Answer {
    let instance = site.instance(&name)?;
    visitor.did("removed the schedule", &name);
    let arguments = ["schedule".into(), "remove".into(), "--appdata".into(), folder(&instance)?];
    Ok(task::see(&site.start(&visitor, &name, Purpose::Schedule, Order::new(arguments))?))
}

//! What earlier runs did, and undoing one.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use bwdc_store::history::Head;
use bwdc_store::runs::Ending;
use jiff::Timestamp;
use maud::{Markup, html};
use serde::Deserialize;

use super::layout::{self, Frame, Place};
use super::overview::runs_of;
use super::task::{self, Part};
use super::when::{seconds, when};
use super::{escaped, of_instance};
use crate::Site;
use crate::commands::Order;
use crate::tasks::Purpose;
use crate::visit::{Answer, Posted, Refusal, Visitor};

/// Runs of a page.
const ROWS: usize = 50;

#[derive(Deserialize)]
pub(crate) struct Listing {
    #[serde(default)]
    page: usize,
}

pub(crate) async fn page(
    State(site): State<Arc<Site>>,
    visitor: Visitor,
    Path(name): Path<String>,
    Query(Listing { page }): Query<Listing>,
) -> Answer {
    let instance = site.instance(&name)?;
    let most = page.saturating_add(1).saturating_mul(ROWS).saturating_add(1);
    let heads = runs_of(instance.clone(), most).await?;
    let is_more = heads.len() >= most;
    let shown: Vec<&Head> = heads.iter().skip(page.saturating_mul(ROWS)).take(ROWS).collect();
    let frame = Frame::of(&visitor.0, &instance.name, Place::History).refreshed(Some(10));
    let pages = page.saturating_add(1).saturating_add(usize::from(is_more));
    let address = format!("{}?page=", of_instance(&name, "history"));
    let main = html! {
        section #live data-live {
            @if heads.is_empty() {
                p { "No runs are kept. Those that change something, are held back or fail are kept from now on." }
            } @else {
                (table(&name, &shown))
                (layout::pager("Pages of runs", &address, page, pages))
            }
        }
    };
    Ok(frame.page("History", &main))
}

/// Runs, the latest first.
pub(crate) fn table(instance: &str, heads: &[&Head]) -> Markup {
    let now = Timestamp::now();
    let rows = html! {
        @for head in heads {
            tr {
                th scope="row" { a href=(format!("{}/{}", of_instance(instance, "history"), escaped(&head.run))) { (head.run) } }
                td { (when(head.at, now)) }
                td { (head.by.known().unwrap_or_default()) }
                td { span class=(format!("mark {}", mark(head.result))) { (word(head.result)) } }
                td { @if let Some(duration) = head.duration_seconds { (seconds(duration)) } }
                td.wrap { (head.changes()) }
            }
        }
    };
    layout::table("Runs", &["Run", "Began", "By", "Result", "Took", "Changes"], &rows)
}

fn mark(result: Ending) -> &'static str {
    match result {
        Ending::Ok => "good",
        Ending::LeftOut | Ending::Locked => "caution",
        Ending::Failed | Ending::Blocked | Ending::CutOff => "danger",
        Ending::Running => "running",
    }
}

fn word(result: Ending) -> &'static str {
    match result {
        Ending::LeftOut => "ok, entries left out",
        Ending::Locked => "another was running",
        Ending::Blocked => "held back",
        other => other.word(),
    }
}

/// Whether this can be the id of a run.
fn is_run(text: &str) -> Result<(), Refusal> {
    let is_id = (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_id { Ok(()) } else { Err(Refusal::not_found()) }
}

/// One run: a report of `bwdc history show`.
pub(crate) async fn run(
    State(site): State<Arc<Site>>,
    visitor: Visitor,
    Path((name, run)): Path<(String, String)>,
    Query(part): Query<Part>,
) -> Answer {
    let instance = site.instance(&name)?;
    is_run(&run)?;
    let address = format!("{}/{}", of_instance(&name, "history"), escaped(&run));
    let kept = site.tasks.latest(&name, |purpose| *purpose == Purpose::Run(run.clone()));
    // A run under way tells more later.
    let is_good = |task: &Arc<crate::tasks::Task>| Timestamp::now().duration_since(task.began).as_secs() < 60;
    let task = match kept.filter(is_good) {
        Some(task) => task,
        None => {
            let order = Order::new(["history", "show", "--", &run]).of_before(&instance.selection);
            site.start_report(&visitor, &name, Purpose::Run(run.clone()), order)?
        }
    };
    task.soon().await;
    let frame = Frame::of(&visitor.0, &instance.name, Place::History);
    task::shown(frame, &visitor, task, address, part, html! {}).await
}

pub(crate) async fn preview_undo(
    State(site): State<Arc<Site>>,
    Path(name): Path<String>,
    Posted { visitor, fields }: Posted,
) -> Answer {
    let instance = site.instance(&name)?;
    let run = fields.get("run").to_owned();
    is_run(&run)?;
    visitor.did(&format!("looked at an undo of the run {run}"), &name);
    let order = Order::new(["undo", "--dry-run", "--", &run]).of_before(&instance.selection);
    Ok(task::see(&site.start_report(&visitor, &name, Purpose::UndoPreview(run), order)?))
}

pub(crate) async fn undo(
    State(site): State<Arc<Site>>,
    Path(name): Path<String>,
    Posted { visitor, fields }: Posted,
) -> Answer {
    let instance = site.instance(&name)?;
    let run = fields.get("run").to_owned();
    is_run(&run)?;
    visitor.did(&format!("asked to undo the run {run}"), &name);
    let removals =
        fields.get("removals").parse::<u32>().ok().map(|removals| format!("--allow-removals={removals}"));
    let arguments = ["undo", "--yes"].into_iter().chain(removals.as_deref()).chain(["--", &run]);
    let order = Order::new(arguments).of_before(&instance.selection);
    Ok(task::see(&site.start(&visitor, &name, Purpose::Undo(run), order)?))
}

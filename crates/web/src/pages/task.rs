//! A command that was started here: its progress, and what it found.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::response::Response;
use bwdc_config::installation::WebRole;
use bwdc_core::error::Result;
use jiff::Timestamp;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;

use super::layout::{self, Frame, Place};
use super::when::{exact, seconds, when};
use super::{escaped, of_instance, overview, setup};
use crate::Site;
use crate::report::{Report, Rows, Section, Tone};
use crate::tasks::{Ended, Purpose, Task};
use crate::visit::{Answer, Refusal, Visitor};

/// Rows of a section among others.
const FEW: usize = 25;
/// Rows of a page of one section.
const MANY: usize = 200;

/// Part of a report that is wanted.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Part {
    #[serde(default)]
    q: String,
    section: Option<usize>,
    #[serde(default)]
    page: usize,
}

pub(crate) async fn page(
    State(site): State<Arc<Site>>,
    visitor: Visitor,
    Path(id): Path<String>,
    Query(part): Query<Part>,
) -> Answer {
    let Some(task) = site.tasks.of_id(&id) else {
        return Err(Refusal::new(
            axum::http::StatusCode::NOT_FOUND,
            "This command is not kept any more.",
            "The history has what it changed, and the log what it said.",
        ));
    };
    let place = match &task.purpose {
        Purpose::Plan(_) | Purpose::Apply | Purpose::Approve => Place::Plan,
        Purpose::Run(_) | Purpose::UndoPreview(_) | Purpose::Undo(_) => Place::History,
        Purpose::Explain(_) | Purpose::People => Place::People,
        Purpose::SetUp | Purpose::TrySetUp | Purpose::Try => Place::Settings,
        Purpose::Schedule => Place::Schedule,
        _ => Place::Summary,
    };
    let frame = Frame::of(&visitor.0, &task.instance, place);
    shown(frame, &visitor, Arc::clone(&task), task.path(), part, html! {}).await
}

/// A page about a task. `before` is what stands before it.
pub(crate) async fn shown(
    frame: Frame<'_>,
    visitor: &Visitor,
    task: Arc<Task>,
    address: String,
    part: Part,
    before: Markup,
) -> Answer {
    let ended = task.ended();
    let frame = frame.refreshed(ended.is_none().then_some(2));
    let actions = ended.as_ref().map(|ended| actions(&frame, visitor, &task, ended)).unwrap_or_default();
    let told = Arc::clone(&task);
    let found = match ended {
        None => under_way(&task),
        Some(ended) => {
            let laid_out = move || found(&told, &ended, &address, &part, &actions);
            tokio::task::spawn_blocking(laid_out).await.map_err(|_| Refusal::not_found())??
        }
    };
    let main = html! { (before) section #live data-live { (found) } };
    Ok(frame.page(&task.purpose.title(), &main))
}

fn under_way(task: &Task) -> Markup {
    let lines = task.lines();
    html! {
        div role="status" aria-live="polite" {
            p { span.mark.running { "running" } " since " (when(task.began, Timestamp::now())) }
            @if let Some(last) = lines.last() { p { (last) } }
        }
        noscript { p.weak { "The page is loaded again every few seconds." } }
    }
}

fn found(task: &Task, ended: &Ended, address: &str, part: &Part, actions: &Markup) -> Result<Markup> {
    let outcome = &ended.outcome;
    let leads = match task.purpose {
        Purpose::People => Some(of_instance(&task.instance, "explain")),
        _ => None,
    };
    let report = outcome
        .report
        .as_ref()
        .map(|report| of_report(report, address, part, leads.as_deref()))
        .transpose()?;
    Ok(html! {
        @if let Some(message) = &outcome.message { (layout::trouble(message, outcome.next_step.as_deref())) }
        (of_data(&outcome.data))
        (actions)
        @if let Some(report) = report { (report) }
        @let lines = said(task);
        @if !lines.is_empty() {
            details open[outcome.report.is_none()] {
                summary { "Messages (" (lines.len()) ")" }
                ul.messages { @for line in &lines { li { (line) } } }
            }
        }
        p.weak { "Made " time datetime=(task.began.to_string()) { (exact(task.began)) } ", took " (seconds(ended.took.as_secs_f64())) @if let Some(exit) = outcome.exit { ", exit code " (exit) } "." }
    })
}

/// What a command said besides counting, without what the page knows better.
fn said(task: &Task) -> Vec<String> {
    let is_of_terminal = |line: &String| {
        line.starts_with("Reading the directory: ")
            || line.starts_with("Saved. To carry it out")
            || line.trim().is_empty()
    };
    task.lines().into_iter().filter(|line| !is_of_terminal(line)).collect()
}

/// What can be done with what was found.
fn actions(frame: &Frame<'_>, visitor: &Visitor, task: &Task, ended: &Ended) -> Markup {
    let may = visitor.0.role >= WebRole::Approve;
    let of = |page: &str| of_instance(&task.instance, page);
    let has = |what: &str| {
        let sections =
            ended.outcome.report.as_ref().map(|report| report.sections.as_slice()).unwrap_or_default();
        sections.iter().any(|section| section.title.starts_with(what))
    };
    let is_something = ended.outcome.report.as_ref().is_some_and(|report| !report.sections.is_empty());
    let needs = |what: &str| html! { p.weak { "To " (what) ", log in with the role approve." } };
    match &task.purpose {
        Purpose::Plan(_) if is_something && may => html! {
            div.actions {
                (frame.form(&of("apply"), &html! {
                    input type="hidden" name="task" value=(task.id);
                    button.main { "Carry out this plan" }
                }))
                @if has("Held back") {
                    (frame.form(&of("approve"), &html! {
                        input type="hidden" name="task" value=(task.id);
                        button { "Approve what is held back" }
                    }))
                }
            }
            @if has("Held back") { p.weak { "What was approved is carried out by the next sync, once and within 24 hours." } }
        },
        Purpose::Plan(_) if is_something => needs("carry it out"),
        Purpose::UndoPreview(run) if is_something && may => html! {
            div.actions {
                (frame.form(&of("undo/now"), &html! {
                    input type="hidden" name="run" value=(run);
                    label.inline for="removals" { "Allow it to remove as many people as " }
                    input.short #removals type="number" name="removals" min="1" placeholder="limit";
                    " " button.danger { "Undo the run" }
                }))
                a href=(of("history")) { "Leave it" }
            }
        },
        Purpose::Approve if ended.outcome.message.is_none() && may => html! {
            div.actions { (frame.form(&of("sync"), &html! { button.main { "Sync now" } })) }
        },
        Purpose::SetUp if ended.outcome.message.is_none() => setup::afterwards(frame, &task.instance),
        Purpose::SetUp | Purpose::TrySetUp => setup::tried(&task.instance, ended.outcome.message.is_none()),
        Purpose::Try => html! { p.actions { a href=(of("settings/changes")) { "Back to the changes" } } },
        Purpose::Schedule => html! { p.actions { a href=(of("schedule")) { "Schedule" } } },
        Purpose::Apply | Purpose::Sync | Purpose::Undo(_) => html! {
            p.actions { a href=(of("history")) { "History" } a href=(of("plan")) { "Plan" } }
        },
        Purpose::Run(run) if is_something && may => html! {
            div.actions {
                (frame.form(&of("undo"), &html! {
                    input type="hidden" name="run" value=(run);
                    button { "Undo: show what would be done" }
                }))
            }
        },
        _ => html! {},
    }
}

/// An answer that is no report.
fn of_data(data: &Value) -> Markup {
    let text = |key: &str| data.get(key).and_then(Value::as_str);
    match text("object") {
        Some("doctor") => checks(data),
        Some("approval") => html! {
            div.notice.good role="status" {
                @if data["approved"] == true {
                    p { "Approved. The next sync carries out exactly this, if it runs before " (until(text("until"))) "." }
                } @else { p { "Nothing is held back, so there is nothing to approve." } }
            }
        },
        Some("message") => html! {
            div.notice.good role="status" {
                @if let Some(title) = text("title") { p { b { (layout::lines(title)) } } }
                @if let Some(message) = text("message") { p { (layout::lines(message)) } }
            }
        },
        Some("string") => html! { @if let Some(text) = text("data") { pre { (text) } } },
        _ => html! {},
    }
}

fn until(text: Option<&str>) -> String {
    text.and_then(|text| text.parse::<Timestamp>().ok()).map(exact).unwrap_or_default()
}

fn checks(data: &Value) -> Markup {
    let checks = data.get("checks").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let text =
        |check: &Value, key: &str| check.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let rows = html! {
        @for check in checks {
            @let status = text(check, "status");
            tr {
                td { span class=(format!("mark {}", mark(&status))) { (status) } }
                th scope="row" { (text(check, "check")) }
                td.wrap { (layout::lines(&text(check, "found"))) @let next = text(check, "nextStep"); @if !next.is_empty() { br; b { (layout::lines(&next)) } } }
            }
        }
    };
    html! {
        @if data["ok"] == true { div.notice.good role="status" { p { "It works." } } }
        @else { div.notice.danger role="alert" { p { "Something is wrong." } } }
        (layout::table("Checks", &["Result", "Check", "Found"], &rows))
    }
}

fn mark(status: &str) -> &'static str {
    match status {
        "ok" => "good",
        "warning" => "caution",
        "failed" => "danger",
        _ => "",
    }
}

/// A report, or the part of it that is wanted. `explain` is the page to which each row leads, if it does.
fn of_report(report: &Report, address: &str, part: &Part, explain: Option<&str>) -> Result<Markup> {
    let only = part.section.filter(|section| *section < report.sections.len());
    let sections =
        report.sections.iter().enumerate().filter(|(number, _)| only.is_none_or(|only| only == *number));
    let most = if only.is_some() { MANY } else { FEW };
    let mut laid_out = Vec::new();
    for (number, section) in sections {
        let first = if only.is_some() { part.page.saturating_mul(MANY) } else { 0 };
        let rows = report.rows(number, &part.q, first, most)?;
        let pages = rows.matching.div_ceil(MANY);
        let link = format!("{address}?q={}&section={number}&page=", escaped(&part.q));
        let is_hidden = !part.q.is_empty() && rows.matching == 0;
        if !is_hidden {
            laid_out.push(html! {
                (of_section(section, &rows, &part.q, explain))
                @if only.is_some() { (layout::pager(&format!("Pages of {}", section.title), &link, part.page, pages)) }
                @else if rows.matching > most { p { a href=(format!("{link}0")) { "All " (rows.matching) ": " (section.title) } } }
            });
        }
    }
    let is_large = report.sections.iter().any(|section| section.rows > 5);
    Ok(html! {
        div.facts {
            p { b { (report.head.title) } }
            @for fact in &report.head.facts { p { (fact) } }
        }
        @if !report.head.totals.is_empty() && only.is_none() {
            dl.totals { @for [of, number] in &report.head.totals { div { dt { (of) } dd { (number) } } } }
        }
        @if is_large { (overview::search(address, "Search people and groups", &part.q)) }
        @if only.is_some() || !part.q.is_empty() { p { a href=(address) { "Everything" } } }
        @for section in &laid_out { (section) }
        @if laid_out.is_empty() && !part.q.is_empty() { p { "Nobody and nothing matches." } }
    })
}

fn of_section(
    section: &Section,
    Rows { rows, matching }: &Rows,
    search: &str,
    explain: Option<&str>,
) -> Markup {
    let tone = match section.tone {
        Tone::Danger => "danger",
        Tone::Caution => "caution",
        Tone::Good => "good",
    };
    let columns: Vec<&str> = section.columns.iter().map(String::as_str).collect();
    let cells = html! { @for row in rows { tr { (cells(row, section, explain)) } } };
    html! {
        details.section open {
            summary {
                h2 class=(tone) { (section.title) " " span.count { "(" (section.rows) @if !search.is_empty() { ", " (matching) " found" } ")" } }
            }
            @if let Some(lead) = &section.lead { p { (lead) } }
            (layout::table(&section.title, &columns, &cells))
        }
    }
}

/// Cells of a row; the first leads to the explanation: of a person by the address, of a group by the id.
fn cells(row: &[String], section: &Section, explain: Option<&str>) -> Markup {
    let Some(explain) = explain else { return html! { @for cell in row { td { (cell) } } } };
    let is_group = section.columns.first().is_some_and(|column| column == "Group");
    let cell = |column: usize| row.get(column).map(String::as_str).unwrap_or_default();
    let who = if is_group { format!("group:{}", cell(1)) } else { cell(0).to_owned() };
    html! {
        @for (column, cell) in row.iter().enumerate() {
            @if column == 0 {
                th scope="row" { a href=(format!("{explain}?who={}", escaped(&who))) { (cell) } }
            } @else { td { (cell) } }
        }
    }
}

/// Leads to a task.
pub(crate) fn see(task: &Arc<Task>) -> Response {
    crate::visit::see(&task.path())
}

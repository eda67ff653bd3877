//! One instance: how it is, and what can be done with it.

use std::sync::Arc;

use axum::extract::{Path, State};
use bwdc_config::installation::WebRole;
use bwdc_store::history::Head;
use bwdc_store::runs::Run;
use jiff::Timestamp;
use maud::{Markup, html};

use super::layout::{self, Frame, Place};
use super::overview::{Status, runs_of, state};
use super::when::{seconds, when};
use super::{history, of_instance, setup};
use crate::Site;
use crate::visit::{Answer, Visitor};

/// Runs of the summary.
const RUNS: usize = 8;

pub(crate) async fn page(
    State(site): State<Arc<Site>>,
    visitor: Visitor,
    Path(name): Path<String>,
) -> Answer {
    let instance = site.instance(&name)?;
    let statuses = site.status.get(&site.runner).await?;
    let status = statuses.get(&name).cloned().unwrap_or_default();
    let heads = runs_of(instance.clone(), RUNS).await;
    let (heads, unread) = match heads {
        Ok(heads) => (heads, None),
        Err(error) => (Vec::new(), Some(layout::trouble(&error.message, error.next_step.as_deref()))),
    };
    let heads: Vec<&Head> = heads.iter().collect();
    let frame = Frame::of(&visitor.0, &instance.name, Place::Summary).refreshed(Some(10));
    let of = |page: &str| of_instance(&name, page);
    let is_new = instance.parts.iter().any(setup::is_new);
    let main = html! {
        @if is_new {
            div.notice.caution {
                p { "Nothing is set up here yet." }
                p { a href=(of("setup")) { "Set it up" } }
            }
        }
        section #live data-live {
            @if let Some((what, next_step)) = status.concern() { (layout::trouble(&what, next_step.as_deref())) }
            (facts(&status))
        }
        div.actions {
            @if visitor.0.role >= WebRole::Approve {
                (frame.form(&of("sync"), &html! { button.main { "Sync now" } }))
            }
            (frame.form(&of("plan"), &html! { button { "Make a plan" } }))
            (frame.form(&of("check"), &html! { button { "Check everything" } }))
        }
        h2 { "Last runs" }
        @if let Some(unread) = unread { (unread) } @else if heads.is_empty() { p { "No runs are kept yet." } } @else { (history::table(&name, &heads)) }
        h2 { "Folders" }
        ul { @for part in &instance.parts { li { code { (part.folder.display()) } @if instance.parts.len() > 1 { " (" (part.name) ")" } } } }
    };
    Ok(frame.page(&name, &main))
}

fn facts(status: &Status) -> Markup {
    let now = Timestamp::now();
    html! {
        dl.facts {
            div { dt { "State" } dd { (state(status, now)) } }
            div { dt { "Last run" } dd { (last_run(status.last_run.as_ref(), now)) } }
            div { dt { "Last success" } dd { @if let Some(at) = status.last_success { (when(at, now)) } @else { "never" } } }
            div { dt { "Next run" } dd {
                @match (status.next_run, &status.scheduler) {
                    (Some(next), Some(by)) => { (when(next, now)) ", by " (by) }
                    (Some(next), None) => { (when(next, now)) }
                    (None, Some(by)) => { "unknown, by " (by) }
                    (None, None) => { "unknown: no schedule was found" }
                }
            } }
        }
    }
}

fn last_run(run: Option<&Run>, now: Timestamp) -> Markup {
    let Some(run) = run else { return html! { "none is known" } };
    html! {
        (when(run.at, now)) (run.by.told()) ": " (run.result.word())
        @if let Some(duration) = run.duration_seconds { ", took " (seconds(duration)) }
        @if run.result.is_success() { br; (layout::lines(&run.message)) }
    }
}

//! Overview: how each instance is, those first that somebody has to look at.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{Query, State};
use bwdc_core::error::{Error, Result};
use bwdc_store::DataFile;
use bwdc_store::history::{Filter, Head, History};
use bwdc_store::runs::{Ending, Run};
use jiff::Timestamp;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Mutex;

use super::layout::{self, Frame};
use super::when::{seconds, when};
use super::{escaped, of_instance, spark};
use crate::commands::{Order, Runner};
use crate::visit::{Answer, Visitor};
use crate::{Instance, Site};

/// Rows of a page.
const ROWS: usize = 100;
/// Runs of a chart.
pub(crate) const RUNS: usize = 16;
/// For how long a status is shown to others who ask.
const FRESH: Duration = Duration::from_secs(2);

/// State of an instance, as `bwdc status --json` tells it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Status {
    name: String,
    pub(crate) last_run: Option<Run>,
    pub(crate) last_success: Option<Timestamp>,
    pub(crate) next_run: Option<Timestamp>,
    pub(crate) scheduler: Option<String>,
    pub(crate) running_since: Option<Timestamp>,
    pub(crate) trouble: Option<String>,
    pub(crate) next_step: Option<String>,
}

impl Status {
    /// What somebody has to look at, and what to do.
    pub(crate) fn concern(&self) -> Option<(String, Option<String>)> {
        if let Some(trouble) = &self.trouble {
            return Some((trouble.clone(), self.next_step.clone()));
        }
        let failed =
            self.last_run.as_ref().filter(|run| !run.result.is_success() && run.result != Ending::Locked);
        failed.map(|run| (run.message.clone(), run.hint.clone()))
    }

    pub(crate) fn is_held(&self) -> bool {
        self.last_run.as_ref().is_some_and(|run| run.result == Ending::Blocked)
    }
}

pub(crate) type Statuses = Arc<HashMap<String, Status>>;

/// The last answer, so that many who look cost one process.
#[derive(Default)]
pub(crate) struct StatusCache(Mutex<Option<(Instant, Statuses)>>);

impl StatusCache {
    pub(crate) async fn get(&self, runner: &Runner) -> Result<Statuses> {
        let mut kept = self.0.lock().await;
        if let Some((at, statuses)) = kept.as_ref()
            && at.elapsed() < FRESH
        {
            return Ok(Arc::clone(statuses));
        }
        let answer = runner.ask(Order::new(["status", "--json"]).of(runner.all())).await?;
        let list = answer.get("instances").and_then(Value::as_array).cloned().unwrap_or_default();
        let statuses = list.into_iter().filter_map(|value| serde_json::from_value::<Status>(value).ok());
        let statuses: Statuses = Arc::new(statuses.map(|status| (status.name.clone(), status)).collect());
        *kept = Some((Instant::now(), Arc::clone(&statuses)));
        Ok(statuses)
    }
}

#[derive(Deserialize)]
pub(crate) struct Listing {
    #[serde(default)]
    q: String,
    #[serde(default)]
    page: usize,
}

pub(crate) async fn page(
    State(site): State<Arc<Site>>,
    visitor: Visitor,
    Query(Listing { q, page }): Query<Listing>,
) -> Answer {
    let instances = site.instances()?;
    let statuses = site.status.get(&site.runner).await?;
    let status = |instance: &Instance| statuses.get(&instance.name).cloned().unwrap_or_default();
    let wanted = q.to_lowercase();
    let mut all: Vec<(Instance, Status)> = instances
        .into_iter()
        .map(|instance| {
            let status = status(&instance);
            (instance, status)
        })
        .collect();
    let count = all.len();
    let waiting = all.iter().filter(|(_, status)| status.concern().is_some()).count();
    let running = all.iter().filter(|(_, status)| status.running_since.is_some()).count();
    all.retain(|(instance, _)| instance.name.to_lowercase().contains(&wanted));
    all.sort_by_key(|(_, status)| status.concern().is_none());
    let pages = all.len().div_ceil(ROWS).max(1);
    let page = page.min(pages - 1);
    let shown: Vec<(Instance, Status)> = all.into_iter().skip(page * ROWS).take(ROWS).collect();
    let rows = tokio::task::spawn_blocking(move || rows(&shown)).await.unwrap_or_default();
    let columns = ["Instance", "State", "Last run", "Next run", "People", "Duration"];
    let address = format!("/?q={}&page=", escaped(&q));
    let main = html! {
        section #live data-live {
            p.totals {
                span { b { (count) } " " (if count == 1 { "instance" } else { "instances" }) }
                span.danger[waiting > 0] { b { (waiting) } " to look at" }
                span { b { (running) } " running" }
            }
            (search("/", "Search instances", &q))
            (layout::table("Instances", &columns, &rows))
            (layout::pager("Pages of instances", &address, page, pages))
        }
    };
    Ok(Frame::new(&visitor.0).refreshed(Some(10)).page("Overview", &main))
}

/// A search field.
pub(crate) fn search(address: &str, label: &str, text: &str) -> Markup {
    html! {
        form.search role="search" aria-label=(label) method="get" action=(address) {
            label for="q" { (label) }
            input #q type="search" name="q" value=(text) maxlength="200";
            button { "Search" }
        }
    }
}

fn rows(shown: &[(Instance, Status)]) -> Markup {
    let now = Timestamp::now();
    html! {
        @for (instance, status) in shown {
            @let heads = runs(instance, RUNS).unwrap_or_default();
            tr {
                th scope="row" { a href=(of_instance(&instance.name, "")) { (instance.name) } }
                td { (state(status, now)) }
                td { @if let Some(run) = &status.last_run { (when(run.at, now)) } @else { "never" } }
                td { @if let Some(next) = status.next_run { (when(next, now)) } @else { span.weak { "unknown" } } }
                td { (people(&heads)) }
                td { (durations(&heads)) }
            }
        }
        @if shown.is_empty() { tr { td colspan="6" { "No instance has this name." } } }
    }
}

/// A word with a mark, and what is wrong.
pub(crate) fn state(status: &Status, now: Timestamp) -> Markup {
    html! {
        @if let Some(since) = status.running_since {
            span.mark.running { "running" } " " span.weak { "since " (when(since, now)) }
        } @else if let Some((what, _)) = status.concern() {
            span.mark.danger { (if status.is_held() { "held back" } else { "trouble" }) } " " span.what { (first_line(&what)) }
        } @else if status.last_run.is_some() {
            span.mark.good { "ok" }
        } @else {
            span.mark { "not run yet" }
        }
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// The last runs that are kept of an instance, the latest first. Each folder of a merge has the same, so that one of them may be damaged.
fn runs(instance: &Instance, most: usize) -> Result<Vec<Head>> {
    let files: Vec<DataFile> =
        instance.parts.iter().map(|part| DataFile::in_folder(part.folder.clone())).collect();
    let history = History::of_merged(&files);
    let filter = Filter { most: Some(most), ..Filter::default() };
    history.heads(&filter).map(|found| found.runs)
}

/// The same beside other requests.
pub(crate) async fn runs_of(instance: Instance, most: usize) -> Result<Vec<Head>> {
    let read = tokio::task::spawn_blocking(move || runs(&instance, most)).await;
    read.map_err(|error| Error::new(format!("Reading the history: {error}")))?
}

#[expect(clippy::cast_precision_loss, reason = "a chart is a few pixels high")]
fn people(heads: &[Head]) -> Markup {
    let changed = |head: &Head| {
        let made = &head.counts.made;
        (made.invite + made.stage + made.restore + made.revoke + made.remove) as f64
    };
    spark::bars(&heads.iter().rev().map(changed).collect::<Vec<_>>(), " changes to people")
}

fn durations(heads: &[Head]) -> Markup {
    let known: Vec<f64> = heads.iter().rev().filter_map(|head| head.duration_seconds).collect();
    html! {
        (spark::bars(&known, " s"))
        @if let Some(last) = known.last() { " " span.weak { (seconds(*last)) } }
    }
}

//! `bwdc approve`

use std::path::PathBuf;

use bwdc_core::error::{Error, Exit, Result};
use bwdc_core::organization::Span;
use bwdc_core::organization::document::{Document, Moved};
use bwdc_core::organization::pending::Pending;
use bwdc_sync::{Planned, SyncJob};
use clap::Args;
use serde_json::json;

use super::consent::{Judge, Question};
use super::planning::{self, Among, Told, Wanted};
use super::which::{Which, Wish};
use super::{Interaction, Invocation, apply, pending};
use crate::overview::Overview;
use crate::ui::{self, Answer, Style};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    pub(super) which: Which,
    /// Approve without asking. Without a terminal and without this option, nothing is approved and the exit code is 5.
    #[arg(long)]
    yes: bool,
    /// Approve only if everything that is held back is held back in this plan, saved by `bwdc plan --out`, as well.
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
}

pub(super) async fn run(
    invocation: &Invocation,
    arguments: Arguments,
    interaction: Interaction,
) -> Result<(Answer, Exit)> {
    let style = invocation.style;
    let jobs = arguments.which.jobs(invocation, Wish::Sync)?;
    let judge = Judge::of(arguments.yes, interaction, style);
    let shown = arguments.plan.as_deref().map(apply::read).transpose()?;
    planning::each(jobs, invocation, Wanted::json_or_text(false, style), async |job: &SyncJob, among| {
        let Planned { document, pending: seen, .. } = planning::planned(job, Span::DAY).await?;
        if let Some(shown) = &shown {
            check_shown(shown, &document)?;
        }
        if !seen.held.is_empty() {
            show(job, &seen, among, style);
        }
        approve(job, &seen, judge).await
    })
    .await
}

/// Refuses to approve what somebody has not seen.
fn check_shown(shown: &Document, now: &Document) -> Result<()> {
    let more = now.held_beyond(shown);
    if more.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = more.iter().map(|Moved(name)| name.as_str()).take(10).collect();
    Err(Error::new(format!(
        "More is held back than in the plan, {} change(s), such as of {}. Nothing was approved.",
        more.len(),
        names.join(", ")
    ))
    .hint("Make another plan and look at it: bwdc plan --out FILE.")
    .exit(Exit::Blocked))
}

/// Shows what is held back before anybody decides.
fn show(job: &SyncJob, seen: &Pending, among: Among, style: Style) {
    if style.quiet || style.response {
        return;
    }
    let overview = Overview::from(&seen.held_only());
    let overview = if among == Among::Others { overview.named(job.name()) } else { overview };
    ui::say(&overview.written(ui::form(style)));
}

async fn approve(job: &SyncJob, seen: &Pending, judge: Judge) -> Result<Told> {
    if seen.held.is_empty() {
        let overview = Overview::sentence("Nothing is held back, so there is nothing to approve.");
        let value = json!({ "object": "approval", "approved": false, "until": null, "pending": pending::value(seen)? });
        return Ok(Told { overview, value, exit: Exit::Success });
    }
    decide(judge)?;
    let until = Box::pin(bwdc_sync::approve(job, seen)).await?.until;
    let overview = Overview::sentence(&format!(
        "Approved. The next sync carries out exactly this, if it runs before {}.",
        crate::overview::time(&until)
    ));
    let value = json!({ "object": "approval", "approved": true, "until": until, "pending": pending::value(&seen.held_only())? });
    Ok(Told { overview, value, exit: Exit::Success })
}

fn decide(judge: Judge) -> Result<()> {
    judge.decide(&Question {
        question: "Let exactly this through in the next sync?",
        what: "approval",
        refused: "Nothing was approved.",
        nobody_to_ask: "Nothing was approved: there is no terminal to ask at.",
        next_step: "Check what is held back, then run: bwdc approve --yes",
    })
}

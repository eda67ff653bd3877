//! `bwdc approve`

use std::io::IsTerminal as _;

use bwdc_core::error::{Error, Exit, Result};
use bwdc_core::organization::Span;
use bwdc_core::organization::pending::Pending;
use bwdc_sync::SyncJob;
use clap::Args;
use serde_json::json;

use super::planning::{self, Among, Told, Wanted};
use super::which::{Which, Wish};
use super::{Interaction, Invocation, pending};
use crate::overview::Overview;
use crate::ui::{self, Answer, Style};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    pub(super) which: Which,
    /// Approve without asking. Without a terminal and without this option, nothing is approved and the exit code is 5.
    #[arg(long)]
    yes: bool,
}

/// Who decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Judge {
    /// Whoever typed `--yes`.
    Decided,
    /// Somebody at a terminal.
    Asked,
    Nobody,
}

pub(super) async fn run(
    invocation: &Invocation,
    arguments: Arguments,
    interaction: Interaction,
) -> Result<(Answer, Exit)> {
    let style = invocation.style;
    let jobs = arguments.which.jobs(invocation, Wish::Sync)?;
    let judge = judge(&arguments, interaction, style);
    planning::each(jobs, invocation, Wanted::json_or_text(false, style), async |job: &SyncJob, among| {
        let seen = planning::planned(job, Span::DAY).await?.pending;
        if !seen.held.is_empty() {
            show(job, &seen, among, style);
        }
        approve(job, &seen, judge).await
    })
    .await
}

fn judge(arguments: &Arguments, interaction: Interaction, style: Style) -> Judge {
    let can_ask = interaction == Interaction::Terminal
        && !style.response
        && !style.quiet
        && std::io::stdin().is_terminal();
    match (arguments.yes, can_ask) {
        (true, _) => Judge::Decided,
        (false, true) => Judge::Asked,
        (false, false) => Judge::Nobody,
    }
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
    let is_wanted = match judge {
        Judge::Decided => true,
        Judge::Asked => ui::confirm_no("Let exactly this through in the next sync?")
            .map_err(|error| Error::new(format!("Asking for approval: {error}")))?,
        Judge::Nobody => {
            return Err(Error::new("Nothing was approved: there is no terminal to ask at.")
                .hint("Check what is held back, then run: bwdc approve --yes")
                .exit(Exit::Blocked));
        }
    };
    if is_wanted { Ok(()) } else { Err(Error::new("Nothing was approved.").exit(Exit::Blocked)) }
}

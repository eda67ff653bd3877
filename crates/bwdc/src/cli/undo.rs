//! `bwdc undo`

use std::collections::BTreeSet;

use bwdc_config::settings;
use bwdc_core::error::{Error, Exit, Result};
use bwdc_core::organization::Span;
use bwdc_core::organization::undo::{Named, Unclear};
use bwdc_core::plan::ImportSummary;
use bwdc_store::report;
use bwdc_sync::{PlannedUndo, SyncJob, UndoOrder, plan_undo};
use clap::Args;
use serde::Serialize;
use serde_json::{Value, json};

use super::consent::{Judge, Question};
use super::which::{Jobs, Which, Wish};
use super::{Interaction, Invocation, several, sync};
use crate::overview::{Overview, time as local};
use crate::ui::{self, Answer};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Id of the run, or the beginning of it, as `bwdc history` shows it.
    run: String,
    #[command(flatten)]
    pub(super) which: Which,
    /// Print what would be done, and change nothing.
    #[arg(long)]
    dry_run: bool,
    /// Print it as JSON, in the form of a plan.
    #[arg(long, requires = "dry_run")]
    json: bool,
    /// Undo without asking. Without a terminal and without this option, nothing is undone and the exit code is 5.
    #[arg(long, conflicts_with = "dry_run")]
    yes: bool,
    /// Time for which syncs keep whoever comes back: 12h, 7d, or 0 for no protection. Default: 7d.
    #[arg(long, value_name = "TIME", value_parser = protection, default_value = "7d", hide_default_value = true)]
    protect_for: Span,
    /// Allow this undo to remove up to this many people, even if that is more than sync.limitRemovals allows.
    #[arg(long, value_name = "NUMBER")]
    allow_removals: Option<usize>,
}

fn protection(text: &str) -> std::result::Result<Span, String> {
    if text.trim() == "0" {
        return Ok(Span::NONE);
    }
    let time = settings::length(text).map(|length| Span(length.as_secs()));
    time.ok_or_else(|| "it must be a time such as 12h or 7d, or 0".to_owned())
}

pub(super) async fn run(
    invocation: &Invocation,
    arguments: Arguments,
    interaction: Interaction,
) -> Result<(Answer, Exit)> {
    let style = invocation.style;
    let Jobs::One(job) = arguments.which.jobs(invocation, Wish::Sync)? else {
        return Err(Error::new("A run is of one instance, and several were named.").hint("Name one."));
    };
    job.check_folders()?;
    let order = UndoOrder {
        run: arguments.run.clone(),
        protect_for: arguments.protect_for,
        allow_removals: arguments.allow_removals,
    };
    let planned = Box::pin(plan_undo(&job, &order)).await?;
    let overview = Overview::from(&planned);
    if arguments.dry_run {
        let value = value(&planned)?;
        let text = || overview.written(ui::form(style));
        let answer =
            if arguments.json { Answer::Object(value) } else { Answer::Written { text: text(), value } };
        return Ok((answer, Exit::Success));
    }
    if !style.quiet && !style.response {
        ui::say(&overview.written(ui::form(style)));
    }
    if planned.is_empty() {
        let title = "Nothing was undone: there is nothing left to do.".to_owned();
        return Ok((Answer::Message { title, message: None }, Exit::Success));
    }
    decide(Judge::of(arguments.yes, interaction, style), &planned)?;
    undo(invocation, &job, &order, &planned).await
}

async fn undo(
    invocation: &Invocation,
    job: &SyncJob,
    order: &UndoOrder,
    planned: &PlannedUndo,
) -> Result<(Answer, Exit)> {
    let style = invocation.style;
    let judgement = sync::judgement(std::slice::from_ref(job), invocation).await;
    let permit = judgement.permit(job);
    let report = job.undo(report::new_run(), permit, order, planned, asked_to_end(&planned.head.run)).await;
    let outcome = match report.result {
        Ok(outcome) => outcome,
        Err(error) => return several::alone(error, style),
    };
    let is_kept = job.history().run(&report.run).is_ok_and(|found| !found.runs.is_empty());
    let back = if is_kept {
        format!("To take this back: bwdc undo {}", report.run)
    } else {
        "It is not in the history, so no undo can take it back.".to_owned()
    };
    ui::progress(&format!("{} {back}", afterwards(planned)), style);
    let ImportSummary { groups, users, .. } = outcome.sent;
    let message = format!("{groups} group(s) and {users} user(s) were sent.");
    Ok((Answer::Message { title: "Undone.".to_owned(), message: Some(message) }, Exit::Success))
}

/// Waits for SIGTERM or Ctrl-C.
async fn asked_to_end(run: &str) -> Error {
    sync::asked_to_end().await;
    Error::new("The undo was stopped before it was done.").hint(format!(
        "To finish it, run it again: bwdc undo {run}. What is undone already is not done twice."
    ))
}

/// What the next sync will make of it.
fn afterwards(PlannedUndo { protected_until, .. }: &PlannedUndo) -> String {
    let protected = protected_until.as_deref().map_or_else(String::new, |until| {
        format!("Whoever came back is protected until {}: no sync takes them away before. ", local(until))
    });
    format!(
        "{protected}Everything else is made again by the next sync, as the directory says: names, memberships of people who stayed, and \
         newcomers. Correct the directory or the filters first."
    )
}

fn decide(judge: Judge, planned: &PlannedUndo) -> Result<()> {
    judge.decide(&Question {
        question: match planned.unclear {
            Some(_) => "Undo the run, of which it is not known how it ended?",
            None => "Undo the run?",
        },
        what: "consent",
        refused: "Nothing was undone.",
        nobody_to_ask: "Nothing was undone: there is no terminal to ask at.",
        next_step: &format!("Check what would be done, then run: bwdc undo {} --yes", planned.head.run),
    })
}

/// A plan, with what is an undo's own under `undo`.
fn value(planned: &PlannedUndo) -> Result<Value> {
    let PlannedUndo { head, document, left, lost, back, unclear, held, protected_until } = planned;
    let mut value = ui::as_json("the undo", document)?;
    value["undo"] = json!({
        "run": head.run,
        "back": back,
        "unclear": unclear.map(|Unclear { count, back, acknowledged }| json!({ "count": count, "back": back, "acknowledged": acknowledged })),
        "held": held.as_ref().map(|held| json!({ "text": held.message, "wayOut": held.next_step })),
        "left": listed(left, |why| why.text()),
        "lost": listed(lost, |what| what.text()),
        "protectedUntil": protected_until,
    });
    Ok(value)
}

fn listed<T: Copy + Serialize>(named: &Named<T>, text: impl Fn(T) -> &'static str) -> Vec<Value> {
    let entry = |(code, subjects): (&T, &BTreeSet<String>)| json!({ "code": code, "text": text(*code), "subjects": subjects });
    named.iter().map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_protection_is_read() {
        assert_eq!((protection("7d"), protection("0")), (Ok(Span::days(7)), Ok(Span::NONE)));
        assert!(protection("soon").is_err() && protection("-1").is_err());
    }
}

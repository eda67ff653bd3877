//! `bwdc sync`

use bwdc_core::check::Removals;
use bwdc_core::note::{Severity, by_cause};
use clap::Args;

use crate::error::{Exit, Result};
use crate::run::{self, Context};
use crate::ui::{self, Answer};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    removals: RemovalArguments,
}

/// What `sync` and `test` allow for this run.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct RemovalArguments {
    /// Let this run remove up to so many people who are in the directory no more (sync.removeMissing), though it is more than
    /// a tenth of those last known.
    #[arg(long = "allow-removals", value_name = "NUMBER")]
    allowed: Option<usize>,
}

impl From<RemovalArguments> for Removals {
    fn from(arguments: RemovalArguments) -> Self {
        arguments.allowed.map_or(Self::Few, Self::UpTo)
    }
}

pub(super) async fn run(context: &Context, arguments: Arguments) -> Result<(Answer, Exit)> {
    let outcome = run::sync(context, arguments.removals.into()).await?;
    let mut notes = by_cause(&outcome.notes);
    for note in &notes {
        tracing::info!(count = note.entries.len(), "{}", note.reason);
    }
    // What is as configured is told by `test`; a sync that runs every few minutes keeps to what wants action.
    notes.retain(|note| note.severity == Severity::Warning);
    ui::notes(&notes, context.style);
    let exit = if outcome.left_out > 0 { Exit::LeftOut } else { Exit::Success };
    let message = format!("Synced {} group(s) and {} user(s).", outcome.sent.groups, outcome.sent.users);
    Ok((Answer::Message { title: "Syncing complete.".to_owned(), message: Some(message) }, exit))
}

//! `bwdc sync`

use bwdc_core::note::{Severity, by_cause};

use crate::error::{Exit, Result};
use crate::run::{self, Context};
use crate::ui::{self, Answer};

pub(super) async fn run(context: &Context) -> Result<(Answer, Exit)> {
    let outcome = run::sync(context).await?;
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

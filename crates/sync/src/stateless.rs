//! A run that keeps nothing and knows nothing of earlier ones (`sync --state none`). It does nothing that a run with a ledger would not
//! do: [`Settings::without_ledger`](bwdc_core::organization::Settings::without_ledger).

use bwdc_core::error::{Error, Result};
use bwdc_store::DataFile;

use crate::job::SyncJob;

fn keeps_nothing(job: &SyncJob) -> bool {
    job.contexts().iter().any(|context| !context.file.has_state())
}

/// Says what is lost, in a line of the run.
pub(crate) fn warn(job: &SyncJob) {
    if let Some(first) = job.contexts().first().filter(|_| keeps_nothing(job)) {
        first.warn(
            "Nothing is known of earlier runs (--state none): nobody leaves for being missing, and whatever a limit counts is held back unless \
             that limit is off.",
        );
    }
}

/// What is held back, with the way out that there is without a ledger.
pub(crate) fn advised(job: &SyncJob, held: Error) -> Error {
    if !keeps_nothing(job) {
        return held;
    }
    held.hint(
        "Without a state (--state none) nobody knows what the last 24 hours have brought. Give each run a number (--allow-removals), set the \
         limit to off, or give the sync a folder to keep its state in, where limits count and `bwdc approve` works.",
    )
}

/// Refuses a server whose contents are known from a ledger alone: everything would be imported in every run, manual changes would be undone
/// and people invited again.
///
/// # Errors
/// Nothing is kept.
pub(crate) fn unreadable(file: &DataFile) -> Result<()> {
    if file.has_state() {
        return Ok(());
    }
    Err(Error::new("This server does not let the organization be read (Vaultwarden, or an older Bitwarden), and nothing is known of earlier runs (--state none).")
        .hint("Give the sync a folder to keep its state in: without --state none. Nothing was sent."))
}

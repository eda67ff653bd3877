//! A plan for people: what a sync would do, what waits for an administrator, and carrying out exactly what was planned.

use std::sync::Arc;

use bwdc_core::error::{Error, Exit, Result, shown};
use bwdc_core::note::Note;
use bwdc_core::organization::Span;
use bwdc_core::organization::document::{Document, Heading, Moved};
use bwdc_core::organization::ledger::WINDOW;
use bwdc_core::organization::pending::Pending;
use bwdc_core::snapshot::Coverage;
use jiff::{SignedDuration, Timestamp};

use crate::apply::{carry_out, locks, only_locks};
use crate::decide::{Decision, Look, written};
use crate::history::RunHistory;
use crate::job::SyncJob;
use crate::outcome::{SyncOutcome, left_out, named};
use crate::plan::{Decided, View, decided, permitted, ready};
use crate::read::{Keep, ReadPurpose};

/// Next step with a plan that is of no use any more.
const ANOTHER: &str = "Make another one: bwdc plan --out FILE. Nothing was sent.";

/// What a sync would do.
#[derive(Clone, Debug)]
pub struct Planned {
    /// The changes, as a document that can be carried out.
    pub document: Document,
    /// What waits for an administrator.
    pub pending: Pending,
    /// Why entries of the directory were dropped or changed.
    pub notes: Vec<Note>,
    /// Entries that have to be left out.
    pub left_out: usize,
}

/// What was let through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approved {
    /// Until when, as RFC 3339 in UTC.
    pub until: String,
}

/// Reads directory and organization and says what a sync would change. Changes and keeps nothing.
///
/// # Errors
/// Something could not be read whole, or a sync would be refused.
pub async fn plan(job: &SyncJob, expires: Span) -> Result<Planned> {
    let started = Timestamp::now();
    let decided = everything(job, started, Keep::Nothing).await?;
    decided.check()?;
    let document = document(&decided, expires);
    let pending = decided.decision.pending();
    let notes = decided.whole.notes.iter().cloned().chain(left_out(&decided.whole.bad_records)).collect();
    Ok(Planned { document, pending, notes, left_out: decided.whole.bad_records.len() })
}

/// Lets what is held back through once, in the next 24 hours, if it is still what was seen.
///
/// # Errors
/// Others, or more, are held than were seen: nothing is let through.
pub async fn approve(job: &SyncJob, seen: &Pending) -> Result<Approved> {
    let started = Timestamp::now();
    let _locks = only_locks(job, started)?;
    let mut decided = everything(job, started, Keep::Nothing).await?;
    let pending = decided.decision.pending();
    if !seen.has_shown(&pending) {
        return Err(Error::new("What is held back has changed since it was shown. Nothing was approved.")
            .hint("Look again: bwdc approve.")
            .exit(Exit::Blocked));
    }
    let known = &decided.decision.known;
    let mut ledger = known.ledger.clone().approved(&decided.decision.changes, known.now);
    let until = written(known.now.plus(WINDOW));
    decided.ledgers.store(&mut ledger)?;
    Ok(Approved { until })
}

/// Carries out exactly this plan, or nothing.
pub(crate) async fn apply(
    job: &SyncJob,
    history: &RunHistory<'_>,
    planned: &Document,
) -> Result<SyncOutcome> {
    let started = Timestamp::now();
    still_good(planned, started)?;
    let _locks = locks(job, history, started)?;
    let decided = everything(job, started, Keep::Nothing).await?;
    let fresh = document(&decided, Span::NONE);
    is_of_this(planned, &fresh)?;
    let Decision { known, changes } = Arc::unwrap_or_clone(decided.decision);
    match changes.limited_to(planned, &fresh) {
        Ok(changes) => {
            let decided = Decided { decision: Arc::new(Decision { known, changes }), ..decided };
            Box::pin(carry_out(job, history, decided)).await
        }
        Err(moved) => {
            let names = named(moved.iter().map(|Moved(name)| shown(name)).collect());
            let why = format!("directory or organization have changed since it was made: {names}");
            Err(refused(&why).hint(ANOTHER))
        }
    }
}

fn refused(why: &str) -> Error {
    Error::new(format!("The plan is not carried out: {why}.")).exit(Exit::Blocked)
}

fn still_good(planned: &Document, now: Timestamp) -> Result<()> {
    let expires: Timestamp =
        planned.expires_at.parse().map_err(|_| refused("its time of expiry cannot be read").hint(ANOTHER))?;
    if expires <= now {
        return Err(refused(&format!("it expired at {expires}")).hint(ANOTHER));
    }
    Ok(())
}

fn is_of_this(planned: &Document, now: &Document) -> Result<()> {
    let (before, here) = (&planned.organization, &now.organization);
    let why = if before.id != here.id {
        format!("it is of organization.{}, and this is organization.{}", shown(&before.id), here.id)
    } else if before.server != here.server || before.kind != here.kind {
        format!("it is of the server {}, and this is {}", shown(&before.server), here.server)
    } else if planned.basis != now.basis {
        "the organization could be read when it was made and cannot be now, or the other way round".to_owned()
    } else {
        return Ok(());
    };
    Err(refused(&why).hint("Nothing was sent."))
}

/// Reads all directories and the organization completely.
pub(crate) async fn everything(job: &SyncJob, started: Timestamp, keep: Keep) -> Result<Decided<'_>> {
    let ready = ready(job, permitted(job).await?).await?;
    let view = View {
        purpose: ReadPurpose::Everything,
        look: Look::Everything,
        allow_removals: None,
        started,
        keep,
    };
    let nothing = || {
        Error::new("Neither sync.users nor sync.groups is on, so there is nothing to plan.")
            .hint("Switch on what is to be synced: bwdc config sync.users true.")
    };
    Box::pin(decided(job, ready, view)).await?.ok_or_else(nothing)
}

fn document(decided: &Decided<'_>, expires: Span) -> Document {
    let is_full = decided.reading.sources.iter().all(|source| source.coverage == Coverage::Full);
    let seconds = i64::try_from(expires.0).unwrap_or(i64::MAX);
    let end = decided.started.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX);
    let heading = Heading {
        created_at: bwdc_store::iso(decided.started),
        expires_at: bwdc_store::iso(end),
        organization: decided.organization.account.organization_id.clone(),
        server: decided.organization.api_url.clone(),
        coverage: if is_full { Coverage::Full } else { Coverage::Changes },
    };
    Document::of(&decided.decision.changes, heading)
}

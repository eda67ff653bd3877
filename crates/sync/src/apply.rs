//! A whole sync: what [`crate::decide`] decides is sent, request by request, and what the next run needs is kept.

use std::sync::Arc;
use std::thread;
use std::time::Instant;

use bwdc_core::Prepared;
use bwdc_core::changes::{ImportChange, LeftOut, Subject};
use bwdc_core::error::{Error, Result};
use bwdc_core::note::{Note, Severity, by_cause};
use bwdc_core::organization::changes::Stopped;
use bwdc_core::organization::record::{Deeds, RunRecord};
use bwdc_core::organization::roster::Basis;
use bwdc_core::organization::server::Call;
use bwdc_core::organization::{Ledger, Step, requests};
use bwdc_core::plan::{self, ImportSummary, Plan};
use bwdc_store::{LastImport, Memory as _, RunLock, iso, runs};
use jiff::Timestamp;

use crate::beside::{free_beside, side_by_side};
use crate::context::Context;
use crate::decide::{Decision, Look, target};
use crate::history::RunHistory;
use crate::in_step::{decided_at_rest, still_at_rest};
use crate::job::SyncJob;
use crate::ledger::{AtRest, LeftLedger};
use crate::lines;
use crate::open::{Opened, files};
use crate::organization::FailedCall;
use crate::outcome::{SyncOutcome, Tense, held, notes};
use crate::plan::{Decided, Gathered, Loaded, View, gathered, permitted, ready};
use crate::read::{DecidedRead, Keep, ReadPurpose};
use crate::record::{Digest, Done, Ended, commit};
use crate::send::{Begun, Sending, Unsent};
use crate::stateless;
use crate::under_way::{self, ImportEnd};

/// Reads, decides, checks, sends and keeps what the next run needs.
pub(crate) async fn sync(
    job: &SyncJob,
    history: &RunHistory<'_>,
    allow_removals: Option<usize>,
) -> Result<SyncOutcome> {
    let started = Timestamp::now();
    let account = permitted(job).await?;
    let _locks = locks(job, history, started)?;
    stateless::warn(job);
    let ready = ready(job, account).await?;
    let view =
        View { purpose: ReadPurpose::Sync, look: Look::Due, allow_removals, started, keep: Keep::Nothing };
    let Some(mut gathered) = Box::pin(gathered(job, ready, view)).await? else {
        return Ok(SyncOutcome::nothing());
    };
    if let Some(rest) = Box::pin(still_at_rest(&mut gathered)).await? {
        return stay(job, gathered, rest);
    }
    let decided = Box::pin(gathered.decided()).await?;
    Box::pin(carry_out(job, history, decided)).await
}

/// Ends a run that has nothing to do.
fn stay(job: &SyncJob, gathered: Gathered<'_>, rest: AtRest) -> Result<SyncOutcome> {
    let started = gathered.started();
    let Gathered { opened, organization, reading, ledger, .. } = gathered;
    let organization_id = &organization.account.organization_id;
    let changes = newly_left_out(&opened, organization_id, &reading.prepared);
    lines::changes(&changes);
    nothing_sent();
    let warnings = rest.evidence.warnings.clone();
    let (Loaded::Ledger(ledgers, _) | Loaded::AtRest(ledgers, _)) = ledger;
    let ended = Ended {
        opened: &opened,
        sources: &reading.sources,
        organization_id,
        digest: Digest::AsBefore,
        started,
        done: Done::All,
    };
    let stored = ledgers.keep_at_rest(rest).and_then(|()| commit(job, &ended));
    stored.map_err(|error| unrecorded(error, ImportSummary::default()))?;
    let left_out = reading.prepared.bad_records.len();
    let notes = notes(reading.prepared.notes, &reading.prepared.bad_records, &warnings);
    Ok(SyncOutcome { sent: ImportSummary::default(), left_out, notes, changes })
}

fn nothing_sent() {
    tracing::info!("nothing has changed since the last import, so nothing was sent");
}

/// Nobody else syncs any of the folders meanwhile, and whoever looks sees that a sync is running.
pub(crate) fn locks(job: &SyncJob, history: &RunHistory<'_>, started: Timestamp) -> Result<Vec<RunLock>> {
    taken(job, started, |context| runs::begin(&context.file, history.begun(context)))
}

/// Nobody syncs any of the folders meanwhile.
pub(crate) fn only_locks(job: &SyncJob, started: Timestamp) -> Result<Vec<RunLock>> {
    taken(job, started, |_| {})
}

/// The lock of each folder; `note` is done under it.
fn taken(job: &SyncJob, started: Timestamp, note: impl Fn(&Context)) -> Result<Vec<RunLock>> {
    let take = |context: &&Context| {
        let lock = RunLock::take(context.file.folder(), &iso(started));
        let lock = lock.map_err(|error| job.about(context, error))?;
        note(context);
        Ok(lock)
    };
    // Where nothing is kept, nobody can be kept from it.
    job.contexts().iter().filter(|context| context.file.has_state()).map(take).collect()
}

/// Sends what was decided, and keeps what the next run needs. What a limit holds back is told by an error when all else is done.
pub(crate) async fn carry_out(
    job: &SyncJob,
    history: &RunHistory<'_>,
    mut decided: Decided<'_>,
) -> Result<SyncOutcome> {
    decided.reading.forget_entries();
    // Told when the history knows what was decided; the digest takes what it looks at.
    let checked = decided.check();
    let digesting = decided.digesting();
    let steps = decided.laid_out(history);
    checked?;
    let held = held(&decided.decision, Tense::Done).map(|held| stateless::advised(job, held));
    if let (Some(held), Stopped::Yes) = (&held, decided.decision.changes.stopped) {
        return Err(held.clone());
    }
    let Decided { decision, ledgers, .. } = &mut decided;
    let now = decision.known.now;
    // Nobody asks the question of before again.
    let begun = Begun::of(history, ledgers, now, steps, take_ledger(decision));
    let steps = Arc::clone(&begun.steps);
    let (finish, stage) = (finishing(&decided.decision), decided.ledgers.staging());
    let finished = move |ledger| stage(finish(ledger));
    let (mut left, mut done) = match decided.sending(history).send(begun, finished).await {
        Ok(left) => (left, told(&decided, &steps)),
        Err(unsent) => {
            let mut done = told(&decided, &steps);
            let acknowledged = steps.get(..unsent.acknowledged).unwrap_or_default();
            let unsent =
                unsent.explained(steps.len(), "before it were carried out; the next run goes on from there");
            let clear = outcome_of(&mut decided, unsent).await;
            let ledger = clear.inspect_err(|_| {
                // No later run tells them: for it they are done.
                let acknowledged = Deeds::of(acknowledged);
                done.retain(|change| is_among(change, &acknowledged));
                lines::changes(&done);
            })?;
            history.acknowledged(steps.len());
            (finishing(&decided.decision)(ledger), done)
        }
    };
    let organization_id = &decided.organization.account.organization_id;
    done.extend(newly_left_out(&decided.opened, organization_id, &decided.reading.prepared));
    lines::changes(&done);
    let sent = sent(&steps);
    if sent.is_nothing() && held.is_none() {
        nothing_sent();
    }
    let digest = digesting();
    let ended = Ended {
        opened: &decided.opened,
        sources: &decided.reading.sources,
        organization_id,
        digest: Digest::New(digest.as_ref().map(plan::Digest::as_str)),
        started: decided.started,
        done: if held.is_some() { Done::Partly } else { Done::All },
    };
    let evidence = decided_at_rest(&decided, &left.ledger);
    let stored = history.with_room(|| {
        decided.ledgers.finish(&mut left, evidence.as_ref())?;
        commit(job, &ended)
    });
    stored.map_err(|error| unrecorded(error, sent))?;
    let Plan { bad_records, notes, .. } = decided.whole;
    let left_out = bad_records.len();
    let notes = self::notes(notes, &bad_records, &decided.decision.changes.warnings);
    let DecidedRead { prepared, parts, .. } = decided.reading;
    free_beside((left, decided.decision, prepared, parts));
    if let Some(held) = held {
        warn_of(&decided.opened, &notes);
        return Err(held);
    }
    Ok(SyncOutcome { sent, left_out, notes, changes: done })
}

/// What becomes of the ledger after the last request, when the run has come to its end.
fn finishing(decision: &Arc<Decision>) -> impl Fn(Ledger) -> LeftLedger + Send + Sync + use<> {
    let decision = Arc::clone(decision);
    move |ledger| LeftLedger::of(ledger.finished(&decision.known.question(), &decision.changes))
}

/// The ledger of what was decided, which has none any more. Nobody else has the decision by now: nothing is copied.
fn take_ledger(decision: &mut Arc<Decision>) -> Ledger {
    std::mem::take(&mut Arc::make_mut(decision).known.ledger)
}

/// What the requests of a run do, to be told.
fn told(decided: &Decided<'_>, steps: &[Step]) -> Vec<ImportChange> {
    if steps.is_empty() { Vec::new() } else { decided.decision.changes.told() }
}

/// Tells what a run that ends with an error has to say besides.
fn warn_of(opened: &[Opened<'_>], notes: &[Note]) {
    let Some(first) = opened.first() else { return };
    for note in by_cause(notes).into_iter().filter(|note| note.severity == Severity::Warning) {
        first.context.warn(&note.sentence());
    }
}

impl<'a> Decided<'a> {
    /// Digest of everything as one import, computed beside what follows. The import has been checked, and nobody else needs it. Waiting for
    /// it cannot be cut off: what was sent is still to be recorded. Without a digest the next run reads everything.
    fn digesting(&mut self) -> impl FnOnce() -> Option<plan::Digest> + use<> {
        let requests = std::mem::take(&mut self.whole.requests);
        let (api_url, id) =
            (self.organization.api_url.clone(), self.organization.account.organization_id.clone());
        let target = target(api_url, id, self.decision.known.roster.kind);
        let thread = thread::Builder::new().spawn(move || plan::digest(&requests, &target));
        move || thread.ok()?.join().ok()?
    }

    /// The requests. What they are to change is noted beside, for the history.
    fn laid_out(&self, history: &RunHistory<'_>) -> Arc<[Step]> {
        let Decision { known, changes } = &*self.decision;
        let question = known.question();
        let (record, steps) =
            side_by_side(|| RunRecord::of(&question, changes), || requests(&question, changes).into());
        history.decided(self, record);
        steps
    }

    fn sending<'b>(&'b mut self, history: &'b RunHistory<'b>) -> Sending<'b, 'a> {
        let Self { ledgers, organization, opened, .. } = self;
        Sending { organization, ledgers, files: files(opened), history }
    }
}

/// What became of a request whose answer was lost: the organization is read until it is as planned. The ledger, if it is; the error, if
/// it is not when the server has surely come to its end, or where nothing can be read.
async fn outcome_of(decided: &mut Decided<'_>, unsent: Unsent) -> Result<Ledger> {
    let Unsent { failed: FailedCall { error, ended }, ledger, .. } = unsent;
    let is_live = decided.decision.known.roster.basis == Basis::Live;
    let (Some(ledger), ImportEnd::Unclear, true) = (ledger, ended, is_live) else { return Err(error) };
    let Some(first) = decided.opened.first() else { return Err(error) };
    let quiet = under_way::quiet(first.context)?;
    tracing::warn!("{error}: the organization is read until it is clear what was done");
    let begun = Instant::now();
    while begun.elapsed() < quiet {
        tokio::time::sleep(under_way::pause(quiet)).await;
        // A server that is still busy may not answer: it is asked again.
        let Ok(decision) = decided.again(&ledger).await else { continue };
        if requests(&decision.known.question(), &decision.changes).is_empty() {
            decided.decision = Arc::new(decision);
            return Ok(take_ledger(&mut decided.decision));
        }
    }
    under_way::failed(&files(&decided.opened), ImportEnd::Surely)?;
    Err(error)
}

/// Whether a change is among what was done.
fn is_among(change: &ImportChange, done: &Deeds<'_>) -> bool {
    match &change.subject {
        Subject::Person { email, external_id } => {
            let has_moved =
                if change.kind.is_leaving() { done.has_left(email) } else { done.has_come(email) };
            has_moved || external_id.as_ref().is_some_and(|id| done.has_renamed(id.as_str()))
        }
        Subject::Group { external_id, .. } => done.has_changed_group(external_id.as_str()),
        Subject::Entry(_) => false,
    }
}

/// Size of what was sent.
pub(crate) fn sent(steps: &[Step]) -> ImportSummary {
    let mut sum = ImportSummary::default();
    for Step { call, .. } in steps {
        match call {
            Call::Import(request) => {
                sum.users += request.members.len();
                sum.groups += request.groups.len();
                sum.leavers += request.members.iter().filter(|member| member.deleted).count();
            }
            Call::Revoke(_) | Call::Remove(_) => {
                sum.users += 1;
                sum.leavers += 1;
            }
            Call::Restore(_) | Call::Relink { .. } | Call::Reinvite(_) => sum.users += 1,
            Call::PutGroup { .. } | Call::PutGroupMembers { .. } | Call::DeleteGroup(_) => sum.groups += 1,
        }
    }
    sum
}

/// People who are left out for another reason than at the last run. Nobody where that is not known.
fn newly_left_out(opened: &[Opened<'_>], id: &str, prepared: &Prepared) -> Vec<ImportChange> {
    let Some(first) = opened.first() else { return Vec::new() };
    let file = &first.context.file;
    let before = file.last_import().filter(|last| last.organization_id == id);
    let import = LastImport { organization_id: id.to_owned(), left_out: LeftOut::of(prepared) };
    if before.as_ref() == Some(&import) {
        return Vec::new();
    }
    if let Err(error) = file.keep_last_import(&import) {
        tracing::warn!("the next run cannot tell who is newly left out: {error}");
    }
    let has_synced = first.remembered.has_synced();
    match before {
        Some(before) => before.left_out.new_in(prepared),
        None if has_synced => Vec::new(),
        None => LeftOut::default().new_in(prepared),
    }
}

fn unrecorded(error: Error, sent: ImportSummary) -> Error {
    let ImportSummary { groups, users, .. } = sent;
    error.while_doing(format!(
        "The import was done ({groups} groups, {users} users), but that could not be recorded (the next run compares, which is safe)"
    ))
}

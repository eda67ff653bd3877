//! Undoing a run: from its record and from what the organization holds now, by the same requests, journal and ledger as a sync. No
//! directory is read.

use std::sync::Arc;
use std::time::Instant;

use bwdc_core::error::{Error, Exit, Result, shown};
use bwdc_core::organization::changes::Stopped;
use bwdc_core::organization::directory::DirectoryNow;
use bwdc_core::organization::document::{Document, Heading};
use bwdc_core::organization::limits::LimitName;
use bwdc_core::organization::pending::{HeldByLimit, Pending};
use bwdc_core::organization::record::{Made, RunRecord};
use bwdc_core::organization::roster::Basis;
use bwdc_core::organization::undo::{Left, Lost, Named, Protecting, Unclear, needs_staging, to_read};
use bwdc_core::organization::{Ledger, Question, Settings, Span, Undo, requests};
use bwdc_core::snapshot::Coverage;
use bwdc_store::history::{Head, KeptRun};
use bwdc_store::runs::Ending;
use bwdc_store::{Memory as _, iso};
use jiff::Timestamp;

use crate::apply::{locks, sent};
use crate::decide::{Known, moment, written};
use crate::history::{RunHistory, warned};
use crate::job::SyncJob;
use crate::ledger::LedgerFiles;
use crate::lines;
use crate::open::{Opened, files};
use crate::organization::{FailedCall, Found, OpenOrganization};
use crate::outcome::{SyncOutcome, Tense, exceeded, named, setting};
use crate::plan::{Ready, permitted, ready, settings};
use crate::send::{Begun, Sending, Unsent};
use crate::under_way::{self, ImportEnd};

/// Run to be undone, and how.
#[derive(Clone, Debug)]
pub struct UndoOrder {
    /// Its id, or the beginning of it.
    pub run: String,
    /// Time for which those who come back are protected; none at all: they are not.
    pub protect_for: Span,
    /// Number of people who may leave, even if that is more than `sync.limitRemovals` allows.
    pub allow_removals: Option<usize>,
}

/// What an undo would do.
#[derive(Clone, Debug)]
pub struct PlannedUndo {
    /// The run to be undone.
    pub head: Head,
    /// The changes, in the form of a plan.
    pub document: Document,
    /// What has changed since, and stays as it is.
    pub left: Named<Left>,
    /// What cannot come back.
    pub lost: Named<Lost>,
    /// Number of changes that are undone already.
    pub back: usize,
    /// Changes of which nobody knows whether the run made them; `None` if its end is known.
    pub unclear: Option<Unclear>,
    /// What the limits would hold back, by name, and the way out.
    pub held: Option<Error>,
    /// Time until which those who come back are protected, as RFC 3339 in UTC. `None`: nobody is.
    pub protected_until: Option<String>,
}

impl PlannedUndo {
    /// Whether nothing is to be done, not even what a limit holds back.
    pub fn is_empty(&self) -> bool {
        self.document.members.is_empty() && self.document.groups.is_empty()
    }
}

/// Says what an undo would do. Changes and keeps nothing.
///
/// # Errors
/// The run cannot be undone, or the organization not be read.
pub async fn plan_undo(job: &SyncJob, order: &UndoOrder) -> Result<PlannedUndo> {
    let kept = kept(job, &order.run)?;
    Ok(decided(job, order, kept, Timestamp::now()).await?.planned())
}

/// Undoes a run as was shown, or not at all.
pub(crate) async fn undo(
    job: &SyncJob,
    history: &RunHistory<'_>,
    order: &UndoOrder,
    shown: &PlannedUndo,
) -> Result<SyncOutcome> {
    let started = Timestamp::now();
    let _locks = locks(job, history, started)?;
    let kept = kept(job, &shown.head.run)?;
    let decided = Box::pin(decided(job, order, kept, started)).await?;
    let fresh = decided.document();
    if (&fresh.members, &fresh.groups) != (&shown.document.members, &shown.document.groups) {
        return Err(Error::new("The organization has changed since this was shown. Nothing was undone.")
            .hint(format!("Look again: bwdc undo {}", shown.head.run))
            .exit(Exit::Blocked));
    }
    Box::pin(decided.carry_out(history)).await
}

/// The record of a run that can be undone.
fn kept(job: &SyncJob, run: &str) -> Result<KeptRun> {
    let found = warned(job, job.history().run(run)?).into_iter().next();
    let Some(kept) = found else {
        return Err(Error::new(format!("There is no run {} in the history of {}.", shown(run), job.name()))
            .hint("Look for its id: bwdc history. Runs that changed nothing are not kept."));
    };
    match &kept.record {
        _ if kept.head.result == Ending::Running => {
            Err(refused(&kept.head, "it is still running").hint("Wait until it is over."))
        }
        Some(record) if record.has(Made::Yes) || record.has(Made::Unclear) => Ok(kept),
        Some(_) | None => {
            Err(refused(&kept.head, "it changed nothing").hint("Look for another run: bwdc history."))
        }
    }
}

/// Records of the runs that came after this one, to the same organization.
fn later(job: &SyncJob, head: &Head) -> Result<Vec<RunRecord>> {
    let runs = warned(job, job.history().later(head)?);
    let is_same = |run: &KeptRun| match (&run.head.target, &head.target) {
        (Some(one), Some(other)) => (&one.organization, &one.server) == (&other.organization, &other.server),
        _ => false,
    };
    // An undo of this run that failed is finished by this one.
    let is_undo = |run: &KeptRun| run.head.undoes.as_ref() == Some(&head.run);
    let runs = runs.into_iter().filter(|run| is_same(run) && !is_undo(run));
    Ok(runs.filter_map(|run| run.record.map(Arc::unwrap_or_clone)).collect())
}

fn refused(head: &Head, why: &str) -> Error {
    Error::new(format!("The run {} cannot be undone: {why}.", head.run))
}

/// An undo whose requests are known.
struct Undoing<'a> {
    opened: Vec<Opened<'a>>,
    organization: OpenOrganization<'a>,
    ledgers: LedgerFiles<'a>,
    known: Known,
    undo: Undo,
    head: Head,
    record: RunRecord,
    /// Records of later runs.
    later: Vec<RunRecord>,
    protecting: Protecting,
    started: Timestamp,
}

/// Reads the organization as far as the run is about it, and decides.
async fn decided<'a>(
    job: &'a SyncJob,
    order: &UndoOrder,
    kept: KeptRun,
    started: Timestamp,
) -> Result<Undoing<'a>> {
    let KeptRun { head, record } = kept;
    let record = record.ok_or_else(|| refused(&head, "it changed nothing"))?;
    let record = Arc::unwrap_or_clone(record);
    let Ready { opened, mut organization } = ready(job, permitted(job).await?).await?;
    is_of_this(&head, &organization)?;
    let (ledgers, stored) = LedgerFiles::load(files(&opened), &organization.account.organization_id).await?;
    let ledger = stored.ok_or_else(|| {
        refused(&head, "the ledger of the organization is gone")
            .hint("Run a sync first: bwdc sync. It makes a new one.")
    })?;
    let settings = settings(&opened, order.allow_removals).for_undo();
    let known = look(&mut organization, &record, ledger, settings, started).await?;
    if known.roster.kind != record.kind {
        return Err(refused(&head, "the server is of another kind by now"));
    }
    let protecting = match order.protect_for {
        Span::NONE => Protecting::Nobody,
        time => Protecting::Until(known.now.plus(time)),
    };
    let later = later(job, &head)?;
    let undo = Undo::of(&known.question(), &record, &later, protecting);
    Ok(Undoing { opened, organization, ledgers, known, undo, head, record, later, protecting, started })
}

/// A run of another organization, or on another server, says nothing about this one.
fn is_of_this(head: &Head, organization: &OpenOrganization<'_>) -> Result<()> {
    let Some(target) = &head.target else { return Err(refused(head, "it changed nothing")) };
    let id = &organization.account.organization_id;
    let why = if target.organization != *id {
        format!("it was about organization.{}, and this is organization.{id}", shown(&target.organization))
    } else if target.server != organization.api_url {
        format!("it was about the server {}, and this is {}", shown(&target.server), organization.api_url)
    } else {
        return Ok(());
    };
    Err(refused(head, &why).hint("Name the instance that the run is of: --instance NAME or --appdata DIR."))
}

/// What the organization holds of what the run was about.
async fn look(
    organization: &mut OpenOrganization<'_>,
    record: &RunRecord,
    ledger: Ledger,
    settings: Settings,
    started: Timestamp,
) -> Result<Known> {
    let (now, directory) = (moment(started), DirectoryNow::default());
    let mut roster = match organization.look().await?.decoded().await? {
        Found::Live(roster) => roster,
        Found::Unreadable(kind) => {
            let ledger = ledger.settled(None, now).about(&organization.api_url, None);
            return Ok(Known { directory, roster: ledger.roster(kind), ledger, settings, now });
        }
    };
    let ledger = ledger.settled(Some(&roster), now).about(&organization.api_url, Some(&roster));
    let wanted = to_read(record, &roster, &ledger, &settings);
    organization.read_memberships(&mut roster, &wanted).await?;
    if needs_staging(record) {
        roster.staging = organization.staging().await?;
    }
    roster.seats = organization.seats().await?;
    Ok(Known { directory, roster: ledger.sharing(roster), ledger, settings, now })
}

impl Undoing<'_> {
    fn document(&self) -> Document {
        let at = iso(self.started);
        let heading = Heading {
            created_at: at.clone(),
            expires_at: at,
            organization: self.organization.account.organization_id.clone(),
            server: self.organization.api_url.clone(),
            coverage: Coverage::Full,
        };
        Document::of(&self.undo.changes, heading)
    }

    fn planned(&self) -> PlannedUndo {
        let Undo { left, lost, back, unclear, .. } = self.undo.clone();
        let has_protected = self.undo.protects_anybody();
        PlannedUndo {
            head: self.head.clone(),
            document: self.document(),
            left,
            lost,
            back,
            unclear,
            held: self.held(Tense::Rehearsed),
            protected_until: match self.protecting {
                Protecting::Until(until) if has_protected => Some(written(until)),
                Protecting::Until(_) | Protecting::Nobody => None,
            },
        }
    }

    /// Sends what was decided, and keeps the ledger. What a limit holds back is told by an error when all else is done.
    async fn carry_out(mut self, history: &RunHistory<'_>) -> Result<SyncOutcome> {
        history.is_about(&self.organization, RunRecord::of(&self.known.question(), &self.undo.changes));
        let held = self.held(Tense::Done);
        if let (Some(held), Stopped::Yes) = (&held, self.undo.changes.stopped) {
            return Err(held.clone());
        }
        let Self { known, undo, ledgers, .. } = &mut self;
        let steps = requests(&known.question(), &undo.changes).into();
        let begun = Begun::of(history, ledgers, known.now, steps, known.ledger.clone());
        let steps = Arc::clone(&begun.steps);
        let done = if steps.is_empty() { Vec::new() } else { self.undo.changes.told() };
        let sending = Sending {
            organization: &mut self.organization,
            ledgers: &mut self.ledgers,
            files: files(&self.opened),
            history,
        };
        let ledger = match sending.send(begun, |ledger| ledger).await {
            Ok(ledger) => ledger,
            Err(unsent) => self.outcome_of(unsent, history, steps.len()).await?,
        };
        lines::changes(&done);
        self.keep(ledger, history)?;
        match held {
            Some(held) => Err(held),
            None => Ok(SyncOutcome { sent: sent(&steps), notes: Vec::new(), left_out: 0, changes: done }),
        }
    }

    /// Keeps the ledger, and that no import is under way. The next sync reads everything, since it does not know what it sent last.
    fn keep(&mut self, ledger: Ledger, history: &RunHistory<'_>) -> Result<()> {
        let mut ledger = ledger.undone(&self.known.question(), &self.undo.changes);
        let stored = history.with_room(|| {
            self.ledgers.store(&mut ledger)?;
            files(&self.opened).iter().try_for_each(|file| file.import_ended())
        });
        stored.map_err(|error| {
            error.while_doing(
                "The undo was done, but that could not be recorded (the next run compares, which is safe)",
            )
        })
    }

    /// What the limits hold back, and the way out.
    fn held(&self, tense: Tense) -> Option<Error> {
        let Undo { changes, .. } = &self.undo;
        if !changes.is_held() {
            return None;
        }
        let pending = Pending::of(&self.known.question(), changes, written);
        Some(exceeded(&pending, changes.stopped, tense).hint(way_out(&pending, &self.head.run)))
    }

    /// What became of a request that failed, and what was done before it, by name. The ledger, if all turns out to be done.
    async fn outcome_of(&mut self, unsent: Unsent, history: &RunHistory<'_>, count: usize) -> Result<Ledger> {
        let unsent = unsent.explained(count, "before it were carried out; the rest is not undone yet");
        let Unsent { failed: FailedCall { error, ended }, ledger, .. } = unsent;
        let is_live = self.known.roster.basis == Basis::Live;
        if let (Some(ledger), ImportEnd::Unclear, true) = (ledger, ended, is_live)
            && let Some(ledger) = self.seen_done(&ledger).await?
        {
            history.acknowledged(count);
            return Ok(ledger);
        }
        let record = history.record();
        Err(error.also(&so_far(record.as_deref(), &self.head.run)))
    }

    /// Reads the organization until everything is undone or the server has surely come to its end.
    async fn seen_done(&mut self, ledger: &Ledger) -> Result<Option<Ledger>> {
        let Some(first) = self.opened.first() else { return Ok(None) };
        let quiet = under_way::quiet(first.context)?;
        tracing::warn!("an answer was lost: the organization is read until it is clear what was done");
        let begun = Instant::now();
        while begun.elapsed() < quiet {
            tokio::time::sleep(under_way::pause(quiet)).await;
            let settings = self.known.settings.clone();
            let known = look(&mut self.organization, &self.record, ledger.clone(), settings, self.started);
            // A server that is still busy may not answer: it is asked again.
            let Ok(known) = known.await else { continue };
            let question: Question<'_> = known.question();
            let undo = Undo::of(&question, &self.record, &self.later, self.protecting);
            if requests(&question, &undo.changes).is_empty() {
                let ledger = known.ledger.clone();
                (self.known, self.undo) = (known, undo);
                return Ok(Some(ledger));
            }
        }
        under_way::failed(&files(&self.opened), ImportEnd::Surely)?;
        Ok(None)
    }
}

/// How to let through what the limits hold back of an undo. An approval is for syncs.
fn way_out(pending: &Pending, run: &str) -> String {
    let of = |held: &HeldByLimit| match held.limit {
        LimitName::Removals => {
            let number = held.held.people.len();
            format!("let the people leave: bwdc undo {run} --allow-removals {number}")
        }
        limit => {
            format!("raise {0} or switch it off (bwdc config {0} off), then: bwdc undo {run}", setting(limit))
        }
    };
    let ways: Vec<String> = pending.held.iter().map(of).collect();
    format!("If this is right, {}. `bwdc approve` is for syncs only.", ways.join(". And "))
}

/// What an undo that failed has done and what not, by name.
fn so_far(record: Option<&RunRecord>, run: &str) -> String {
    let again =
        format!("To finish it, run it again: bwdc undo {run}. What is undone already is not done twice.");
    let Some(record) = record else { return again };
    let lists = [
        (Made::Yes, "Undone"),
        (Made::Unclear, "Possibly undone"),
        (Made::No, "Not undone"),
        (Made::Held, "Held back by a limit"),
    ];
    let told = lists.iter().filter_map(|(made, title)| {
        let names = subjects(record, *made);
        (!names.is_empty()).then(|| format!("{title}: {}.", named(names)))
    });
    told.chain([again]).collect::<Vec<_>>().join(" ")
}

/// Addresses and names of those of whom this was made.
fn subjects(record: &RunRecord, made: Made) -> Vec<String> {
    let people = record.members.iter().filter(|entry| entry.made == made);
    let people = people.filter_map(|entry| entry.after.as_ref().or(entry.before.as_ref()));
    let groups = record.groups.iter().filter(|entry| entry.made == made);
    let groups = groups.filter_map(|entry| entry.after.as_ref().or(entry.before.as_ref()));
    let people = people.map(|state| shown(&state.email));
    let mut names: Vec<String> =
        people.chain(groups.map(|state| format!("the group {}", shown(&state.name)))).collect();
    names.dedup();
    names
}

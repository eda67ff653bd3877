//! The road of every run up to the requests: open, read, decide, check. `plan` and `test` end here; a sync goes on to [`crate::apply`].

use std::sync::Arc;

use bwdc_core::entry::{Email, ExternalId, FoundAs, Status};
use bwdc_core::error::{Error, Result};
use bwdc_core::merge;
use bwdc_core::note::{Note, Step};
use bwdc_core::organization::changes::Changes;
use bwdc_core::organization::roster::Kind;
use bwdc_core::organization::{Ledger, Settings};
use bwdc_core::plan::Plan;
use bwdc_core::prepare::{Fate, Person};
use bwdc_core::{Prepared, organization};
use bwdc_store::Data;
use foldhash::{HashMap as FastMap, HashSet as FastSet};
use jiff::Timestamp;

use crate::context::Context;
use crate::decide::{Decision, Look, Matter, Read, decide, target};
use crate::job::SyncJob;
use crate::ledger::{AtRest, LedgerFiles};
use crate::merge::not_merged;
use crate::open::{Opened, files, of_one_organization, of_people, open};
use crate::organization::{Answer, Found, OpenOrganization, account, limits};
use crate::outcome::{Tense, blocked, held, left_out, nothing_read, protects_nobody};
use crate::read::{DecidedRead, Keep, ReadPurpose, Wanted, read};
use crate::session::OrganizationLogin;
use crate::under_way;

/// The directory that speaks for all of a job, and its data.json.
pub(crate) fn leading(job: &SyncJob) -> Result<(&Context, Data)> {
    let Some(first) = job.contexts().into_iter().next() else { return Err(job.has_nothing()) };
    let data = first.file.load().map_err(|error| job.about(first, error))?;
    Ok((first, data))
}

/// A folder that is synced alone may be.
pub(crate) fn may_run(job: &SyncJob, data: &Data) -> Result<()> {
    match job {
        SyncJob::Usual(context) | SyncJob::One(context) => not_merged(context, data.remembered().merged_by),
        SyncJob::Merged(_) => Ok(()),
    }
}

/// A job whose directories are ready to be read, and the organization that they are synced into.
pub(crate) struct Ready<'a> {
    pub(crate) opened: Vec<Opened<'a>>,
    pub(crate) organization: OpenOrganization<'a>,
}

/// Who a job is to its organization, if it may run.
pub(crate) async fn permitted(job: &SyncJob) -> Result<OrganizationLogin> {
    let (first, data) = leading(job)?;
    may_run(job, &data)?;
    account(first, &data).await
}

/// Opens the directories of a job, all of one organization. Nobody is asked anything yet.
async fn assembled(job: &SyncJob, account: OrganizationLogin) -> Result<Ready<'_>> {
    let opened = open(job).await?;
    let Some(first) = opened.first() else { return Err(job.has_nothing()) };
    of_one_organization(&opened, &account.organization_id)?;
    let organization = OpenOrganization::open(first.context, &first.data, account)?;
    Ok(Ready { opened, organization })
}

/// Opens the directories of a job and logs in to the organization, once the last import is surely over.
pub(crate) async fn ready(job: &SyncJob, account: OrganizationLogin) -> Result<Ready<'_>> {
    let mut ready = assembled(job, account).await?;
    ready.organization.log_in().await?;
    for opened in &ready.opened {
        under_way::wait(opened.context, opened.remembered.import_begun).await?;
    }
    Ok(ready)
}

/// How a job is looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View {
    pub(crate) purpose: ReadPurpose,
    pub(crate) look: Look,
    pub(crate) allow_removals: Option<usize>,
    pub(crate) started: Timestamp,
    pub(crate) keep: Keep,
}

/// What was read of the directories of a job and of its organization.
pub(crate) struct Gathered<'a> {
    pub(crate) opened: Vec<Opened<'a>>,
    pub(crate) organization: OpenOrganization<'a>,
    pub(crate) reading: DecidedRead,
    pub(crate) settings: Settings,
    pub(crate) contents: Contents,
    pub(crate) ledger: Loaded<'a>,
    view: View,
}

/// Contents of the organization, as far as they are needed.
pub(crate) struct Contents {
    pub(crate) kind: Kind,
    /// Digest of the answer.
    pub(crate) digest: String,
    found: Undecoded,
}

/// Contents that are decoded only if something has to be decided.
enum Undecoded {
    Answer(Answer),
    Found(Found),
}

/// The ledger, or what is beside it.
pub(crate) enum Loaded<'a> {
    /// `None` where there is none yet.
    Ledger(LedgerFiles<'a>, Option<Box<Ledger>>),
    /// It is read only if something has to be decided.
    AtRest(LedgerFiles<'a>, AtRest),
}

/// Reads the directories, the organization and the ledger. `None` if neither users nor groups are synced.
pub(crate) async fn gathered<'a>(
    job: &'a SyncJob,
    ready: Ready<'a>,
    view: View,
) -> Result<Option<Gathered<'a>>> {
    let Ready { opened, mut organization } = ready;
    let id = organization.account.organization_id.clone();
    let files = files(&opened);
    let is_known = LedgerFiles::are_there(&files, &id);
    let purpose = if is_known { view.purpose } else { view.purpose.complete() };
    let at_rest = match view.look {
        Look::Due => LedgerFiles::at_rest(files.clone(), &id),
        Look::Everything | Look::Remembered => None,
    };
    let is_at_rest = at_rest.is_some();
    let loading = async {
        match at_rest {
            Some((files, rest)) => Ok(Loaded::AtRest(files, rest)),
            None => LedgerFiles::load(files, &id)
                .await
                .map(|(files, ledger)| Loaded::Ledger(files, ledger.map(Box::new))),
        }
    };
    let looking = async {
        let answer = match view.look {
            Look::Due | Look::Everything if is_anything_read(&opened) => organization.look().await?,
            Look::Due | Look::Everything | Look::Remembered => Answer::Unreadable(Kind::Official),
        };
        let (answer, digest) = answer.digested().await?;
        let kind = answer.kind();
        let found =
            if is_at_rest { Undecoded::Answer(answer) } else { Undecoded::Found(answer.decoded().await?) };
        Ok::<_, Error>(Contents { kind, digest, found })
    };
    // Side by side. What is wrong with our own files is told first, then what is wrong with the directory.
    let (ledger, read, contents) =
        futures_util::join!(loading, read(job, &opened, Wanted { purpose, keep: view.keep }, &id), looking);
    let ledger = ledger?;
    let Some(reading) = read? else { return Ok(None) };
    let contents = contents?;
    let settings = settings(&opened, view.allow_removals);
    Ok(Some(Gathered { opened, organization, reading, settings, contents, ledger, view }))
}

/// A job whose directories and organization were read, and what follows.
pub(crate) struct Decided<'a> {
    pub(crate) opened: Vec<Opened<'a>>,
    pub(crate) organization: OpenOrganization<'a>,
    pub(crate) ledgers: LedgerFiles<'a>,
    pub(crate) reading: DecidedRead,
    pub(crate) started: Timestamp,
    /// Shared with what is computed from it beside the requests.
    pub(crate) decision: Arc<Decision>,
    /// Digest of what the organization answered.
    pub(crate) contents: String,
    /// Everything as one import: its digest, and what the server would refuse.
    pub(crate) whole: Plan,
}

/// Reads and decides. `None` if neither users nor groups are synced.
pub(crate) async fn decided<'a>(
    job: &'a SyncJob,
    ready: Ready<'a>,
    view: View,
) -> Result<Option<Decided<'a>>> {
    match gathered(job, ready, view).await? {
        Some(gathered) => Box::pin(gathered.decided()).await.map(Some),
        None => Ok(None),
    }
}

impl<'a> Gathered<'a> {
    /// Time at which the run began.
    pub(crate) fn started(&self) -> Timestamp {
        self.view.started
    }

    /// What follows from it.
    pub(crate) async fn decided(self) -> Result<Decided<'a>> {
        let Self { opened, mut organization, mut reading, settings, contents, ledger, view } = self;
        let id = organization.account.organization_id.clone();
        let (ledgers, stored) = match ledger {
            Loaded::Ledger(ledgers, stored) => (ledgers, stored.map(|ledger| *ledger)),
            Loaded::AtRest(ledgers, _) => LedgerFiles::load(ledgers.into_files(), &id).await?,
        };
        let Contents { digest: contents, found, .. } = contents;
        let found = match found {
            Undecoded::Found(found) => found,
            Undecoded::Answer(answer) => answer.decoded().await?,
        };
        let directory = std::mem::take(&mut reading.directory);
        let started = view.started;
        let matter = Matter { opened: &opened, reading: &reading, settings, organization_id: &id, started };
        let read = Read { stored, directory, found };
        let decision = Arc::new(decide(&matter, read, &mut organization, view.look).await?);
        let target = target(organization.api_url.clone(), id, decision.known.roster.kind);
        let prepared = with_addresses(reading.prepared.clone(), &decision.known.ledger);
        let whole = bwdc_core::plan(prepared, &opened[0].instance.rules, &target);
        Ok(Decided { opened, organization, ledgers, reading, started, decision, contents, whole })
    }
}

/// Whether any of these directories is read at all.
fn is_anything_read(opened: &[Opened<'_>]) -> bool {
    opened.iter().any(|opened| opened.instance.scope.is_some())
}

/// Gives leavers whose entry has no address any more the one that was imported.
pub(crate) fn with_addresses(mut prepared: Prepared, ledger: &Ledger) -> Prepared {
    let mut unknown: Vec<&mut Person> =
        prepared.people.iter_mut().filter(|person| person.email.is_none()).collect();
    if unknown.is_empty() {
        return prepared;
    }
    let mut imported: FastMap<&ExternalId, &Email> = FastMap::default();
    for (id, record) in ledger.people() {
        imported.extend(record.ids.keys().map(|known| (known, &record.email)));
        imported.insert(id, &record.email);
    }
    for person in &mut unknown {
        person.email = imported.get(&person.external_id).map(|email| (*email).clone());
    }
    prepared
}

/// Settings about the organization, which all directories of a merge agree in; who is protected is joined.
pub(crate) fn settings(opened: &[Opened<'_>], allow_removals: Option<usize>) -> Settings {
    let Some(first) = of_people(opened) else { return Settings::default() };
    let mut settings = Settings { allow_removals, ..first.instance.organization.clone() };
    if !first.context.file.has_state() {
        settings = settings.without_ledger();
    }
    for other in opened {
        let protect = other.instance.organization.protect.clone();
        settings.protect.people.extend(protect.people);
        settings.protect.groups.extend(protect.groups);
    }
    settings
}

impl Decided<'_> {
    /// What follows when the organization is read again; `ledger` is what is known of it by now.
    pub(crate) async fn again(&mut self, ledger: &Ledger) -> Result<Decision> {
        let organization_id = self.organization.account.organization_id.clone();
        let matter = Matter {
            opened: &self.opened,
            reading: &self.reading,
            settings: self.decision.known.settings.clone(),
            organization_id: &organization_id,
            started: self.started,
        };
        let directory = self.decision.known.directory.clone();
        let found = self.organization.look().await?.decoded().await?;
        let read = Read { stored: Some(ledger.clone()), directory, found };
        decide(&matter, read, &mut self.organization, Look::Due).await
    }

    /// Whether nothing speaks against it that no approval removes.
    pub(crate) fn check(&self) -> Result<()> {
        let Some(first) = self.opened.first() else { return Ok(()) };
        let rules = &first.instance.rules;
        let extent = organization::requests::extent(&self.decision.known.question(), &self.decision.changes);
        let mut findings = bwdc_core::check(&self.whole, rules, limits(&first.data)?, extent);
        findings.extend(merge::check(&self.reading.parts, rules));
        if findings.is_empty() { Ok(()) } else { Err(blocked(&findings)) }
    }
}

/// Reads, decides and checks, with what is known of the organization from the imports before; sends nothing, keeps nothing and logs no
/// run.
///
/// # Errors
/// The directory could not be read whole, or the import would be held back.
pub async fn rehearse(
    job: &SyncJob,
    purpose: ReadPurpose,
    allow_removals: Option<usize>,
) -> Result<Prepared> {
    let (first, data) = leading(job)?;
    let ready = assembled(job, account(first, &data).await?).await?;
    let view = View {
        purpose,
        look: Look::Remembered,
        allow_removals,
        started: Timestamp::now(),
        keep: Keep::Nothing,
    };
    let Some(decided) = Box::pin(decided(job, ready, view)).await? else {
        return Ok(nothing_read());
    };
    decided.check()?;
    if let Some(error) = held(&decided.decision, Tense::Rehearsed) {
        return Err(error);
    }
    let mut prepared = decided.reading.prepared;
    leavers(&mut prepared, &decided.decision.changes);
    prepared.notes.extend(left_out(&prepared.bad_records));
    prepared.notes.extend(protects_nobody(&decided.decision.changes));
    Ok(prepared)
}

/// Adds those who leave although the directory has no entry that says so, and says why.
fn leavers(prepared: &mut Prepared, changes: &Changes) {
    let known: FastSet<ExternalId> =
        prepared.people.iter().map(|person| person.external_id.clone()).collect();
    for change in changes.visible().filter(|change| change.action.is_leaving()) {
        let Some(slot) = changes.slot(change.slot) else { continue };
        let Some(id) = slot.before.as_ref().filter(|id| !known.contains(*id)) else { continue };
        let reason = format!("would leave: {}", change.cause.reason());
        prepared.notes.push(Note::info(Step::Leavers, &slot.email, reason));
        prepared.people.push(Person {
            external_id: id.clone(),
            email: Some(slot.email.clone()),
            status: Status::Deleted,
            fate: Fate::Leaves,
            found_as: FoundAs::default(),
        });
    }
}

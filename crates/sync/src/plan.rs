//! The road of every run up to the requests: open, read, decide, check. `plan` and `test` end here; a sync goes on to [`crate::apply`].

use bwdc_connect::directory::ReadScope;
use bwdc_core::check::Finding;
use bwdc_core::entry::{Email, ExternalId, FoundAs, Status};
use bwdc_core::error::Result;
use bwdc_core::merge;
use bwdc_core::note::{Note, Step};
use bwdc_core::organization::changes::Changes;
use bwdc_core::organization::roster::Kind;
use bwdc_core::organization::{Ledger, Settings};
use bwdc_core::plan::{Plan, Server, Target};
use bwdc_core::prepare::{Fate, Person};
use bwdc_core::{Prepared, organization};
use bwdc_store::{Data, DataFile};
use foldhash::{HashMap as FastMap, HashSet as FastSet};
use jiff::Timestamp;

use crate::context::Context;
use crate::decide::{Decision, Look, Matter, Read, decide};
use crate::job::SyncJob;
use crate::ledger::LedgerFiles;
use crate::merge::not_merged;
use crate::open::{Opened, of_one_organization, open};
use crate::organization::{Found, OpenOrganization, account, limits};
use crate::outcome::{blocked, held, left_out, nothing_read};
use crate::read::{DecidedRead, ReadPurpose, read};

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

/// How a job is looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View {
    pub(crate) purpose: ReadPurpose,
    pub(crate) look: Look,
    pub(crate) allow_removals: Option<usize>,
    pub(crate) started: Timestamp,
}

/// A job whose directories and organization were read, and what follows.
pub(crate) struct Decided<'a> {
    pub(crate) opened: Vec<Opened<'a>>,
    pub(crate) organization: OpenOrganization<'a>,
    pub(crate) ledgers: LedgerFiles<'a>,
    pub(crate) reading: DecidedRead,
    pub(crate) started: Timestamp,
    pub(crate) decision: Decision,
    /// Everything as one import: its digest, and what the server would refuse.
    pub(crate) whole: Plan,
}

/// Opens, reads and decides. `None` if neither users nor groups are synced.
pub(crate) async fn decided<'a>(
    job: &'a SyncJob,
    opened: Vec<Opened<'a>>,
    mut organization: OpenOrganization<'a>,
    view: View,
) -> Result<Option<Decided<'a>>> {
    let id = organization.account.organization_id.clone();
    let files: Vec<&'a DataFile> = opened.iter().map(|opened| &opened.context.file).collect();
    let is_known = LedgerFiles::are_there(&files, &id);
    let purpose = if is_known { view.purpose } else { view.purpose.complete() };
    let looking = async {
        match view.look {
            Look::Due | Look::Everything if is_anything_read(&opened) => organization.look().await,
            Look::Due | Look::Everything | Look::Remembered => Ok(Found::Unreadable(Kind::Official)),
        }
    };
    // Side by side. What is wrong with our own files is told first, then what is wrong with the directory.
    let (loaded, read, found) =
        futures_util::join!(LedgerFiles::load(files, &id), read(job, &opened, purpose, &id), looking);
    let (ledgers, stored) = loaded?;
    let Some(mut reading) = read? else { return Ok(None) };
    let found = found?;
    let settings = settings(&opened, view.allow_removals);
    let directory = std::mem::take(&mut reading.directory);
    let matter =
        Matter { opened: &opened, reading: &reading, settings, organization_id: &id, started: view.started };
    let decision = decide(&matter, Read { stored, directory, found }, &mut organization, view.look).await?;
    let target = Target {
        api_url: organization.api_url.clone(),
        organization_id: id,
        server: server(decision.known.roster.kind),
    };
    let prepared = with_addresses(reading.prepared.clone(), &decision.known.ledger);
    let whole = bwdc_core::plan(prepared, &opened[0].instance.rules, &target);
    Ok(Some(Decided { opened, organization, ledgers, reading, started: view.started, decision, whole }))
}

/// Whether any of these directories is read at all.
fn is_anything_read(opened: &[Opened<'_>]) -> bool {
    opened.iter().any(|opened| opened.instance.scope.is_some())
}

/// Gives leavers whose entry has no address any more the one that was imported.
fn with_addresses(mut prepared: Prepared, ledger: &Ledger) -> Prepared {
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
fn settings(opened: &[Opened<'_>], allow_removals: Option<usize>) -> Settings {
    // People leave only directories that people are imported from.
    let has_users = |opened: &&Opened<'_>| opened.instance.scope.is_some_and(ReadScope::has_users);
    let Some(first) = opened.iter().find(has_users).or(opened.first()) else { return Settings::default() };
    let mut settings = Settings { allow_removals, ..first.instance.organization.clone() };
    for other in opened {
        let protect = other.instance.organization.protect.clone();
        settings.protect.people.extend(protect.people);
        settings.protect.groups.extend(protect.groups);
    }
    settings
}

/// The server by the rules that it follows.
pub(crate) fn server(kind: Kind) -> Server {
    match kind {
        Kind::Official => Server::Official,
        Kind::Vaultwarden => Server::Vaultwarden,
    }
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
        let found = self.organization.look().await?;
        let read = Read { stored: Some(ledger.clone()), directory, found };
        decide(&matter, read, &mut self.organization, Look::Due).await
    }

    /// Objections that no approval removes.
    pub(crate) fn findings(&self) -> Result<Vec<Finding>> {
        let Some(first) = self.opened.first() else { return Ok(Vec::new()) };
        let rules = &first.instance.rules;
        let extent = organization::requests::extent(&self.decision.known.question(), &self.decision.changes);
        let findings = bwdc_core::check(&self.whole, rules, limits(&first.data)?, extent);
        Ok(findings.into_iter().chain(merge::check(&self.reading.parts, rules)).collect())
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
    let account = account(first, &data).await?;
    let opened = open(job).await?;
    let Some(first) = opened.first() else { return Err(job.has_nothing()) };
    of_one_organization(&opened, &account.organization_id)?;
    let organization = OpenOrganization::open(first.context, &first.data, account)?;
    let view = View { purpose, look: Look::Remembered, allow_removals, started: Timestamp::now() };
    let Some(decided) = Box::pin(decided(job, opened, organization, view)).await? else {
        return Ok(nothing_read());
    };
    let findings = decided.findings()?;
    if !findings.is_empty() {
        return Err(blocked(&findings));
    }
    if let Some(error) = held(&decided.decision) {
        return Err(error);
    }
    let mut prepared = decided.reading.prepared;
    leavers(&mut prepared, &decided.decision.changes);
    prepared.notes.extend(left_out(&prepared.bad_records));
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

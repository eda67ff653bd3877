//! A company: a directory, an organization, a ledger, a clock; what people do to them; and a sync that may fail half-way.

use std::collections::{BTreeMap, BTreeSet};

use bwdc_core::entry::{Email, ExternalId, FoundAs};
use bwdc_core::organization::changes::Changes;
use bwdc_core::organization::directory::{
    DirectoryNow, Entry, GroupsRead, LeftOut, Place, Scope, Source, State,
};
use bwdc_core::organization::in_step::Evidence;
use bwdc_core::organization::ledger::Times;
use bwdc_core::organization::record::{Progress, RunRecord};
use bwdc_core::organization::roster::{
    Account, Basis, Group, GroupId, Held, Kind, Member, MemberId, Role, Roster, Status,
};
use bwdc_core::organization::server::carry_out;
use bwdc_core::organization::settings::Settings;
use bwdc_core::organization::{Ledger, Moment, Question, Span, Step, changes, requests};
use bwdc_core::prepare::PreparedGroup;
use bwdc_core::rules::DisabledUsers;
use bwdc_core::snapshot::Coverage;
use bwdc_core::text::digest;

use crate::made::owner;
use crate::records;

/// A human being, whatever the accounts.
pub(crate) type Soul = u8;

/// An account in the directory.
#[derive(Clone, Debug)]
pub(crate) struct Account_ {
    pub(crate) id: String,
    pub(crate) email: Option<String>,
    pub(crate) life: Life,
    pub(crate) created: Moment,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    Active,
    Disabled,
    Tombstone,
}

#[derive(Clone, Debug)]
pub(crate) struct DirectoryGroup {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) souls: BTreeSet<Soul>,
}

#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) accounts: BTreeMap<Soul, Account_>,
    pub(crate) groups: BTreeMap<u8, DirectoryGroup>,
    /// Whom the filter leaves out.
    pub(crate) excluded: BTreeSet<Soul>,
    pub(crate) server: Roster,
    pub(crate) ledger: Ledger,
    pub(crate) settings: Settings,
    pub(crate) now: Moment,
    /// Which accounts have another id or another address than at the last run that ended well.
    pub(crate) moved: BTreeSet<Soul>,
    pub(crate) versions: u32,
    /// Which soul an address belongs to.
    pub(crate) owners: BTreeMap<String, Soul>,
    /// The member that a soul was at the end of the last run that ended well.
    pub(crate) memory: BTreeMap<Soul, MemberId>,
    /// What the sync revoked, and why it would be removed.
    pub(crate) trace: Vec<String>,
    /// Whether any run did not come to its end.
    pub(crate) has_failed: bool,
    pub(crate) last: Option<LastRun>,
    /// What the last run leaves if it found nothing to do, with the ledger's print.
    pub(crate) rest: Option<(u64, Evidence)>,
}

/// What happens to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// This request never arrives, and the run ends.
    Lost(usize),
    /// This request is carried out, nobody hears of it, and the run ends.
    Unheard(usize),
}

impl World {
    pub(crate) fn new(kind: Kind, settings: Settings) -> Self {
        let mut server = Roster::new(kind, Basis::Live);
        server.put_member(owner("boss", ""));
        Self {
            accounts: BTreeMap::new(),
            groups: BTreeMap::new(),
            excluded: BTreeSet::new(),
            server,
            ledger: Ledger::default(),
            settings,
            now: Moment(1_000_000),
            moved: BTreeSet::new(),
            versions: 0,
            owners: BTreeMap::new(),
            memory: BTreeMap::new(),
            trace: Vec::new(),
            has_failed: false,
            last: None,
            rest: None,
        }
    }

    pub(crate) fn fresh(&mut self, what: &str, soul: Soul) -> String {
        self.versions += 1;
        format!("{what}{soul}v{}", self.versions)
    }

    pub(crate) fn soul_of(&self, member: &Member) -> Option<Soul> {
        self.owners.get(member.email.as_str()).copied()
    }

    pub(crate) fn directory(&self) -> DirectoryNow {
        let entry = |(soul, account): (&Soul, &Account_)| {
            let is_excluded = self.excluded.contains(soul);
            let removes = self.settings.disabled == DisabledUsers::Remove;
            let state = match account.life {
                Life::Tombstone => State::Deleted,
                Life::Disabled if removes && is_excluded => State::Disabled(Scope::LeftOut),
                Life::Disabled if removes => State::Disabled(Scope::Matched),
                _ if is_excluded => State::LeftOut(LeftOut::Filter),
                _ if account.email.is_none() => State::LeftOut(LeftOut::Other),
                _ => State::Imported,
            };
            Entry {
                id: ExternalId::from(account.id.as_str()),
                email: account.email.as_deref().and_then(Email::parse),
                source: 0,
                state,
                created: Some(account.created),
                found_as: FoundAs::default(),
            }
        };
        let group = |group: &DirectoryGroup| {
            let living = group.souls.iter().filter_map(|soul| self.accounts.get(soul));
            let living = living.filter(|account| account.life != Life::Tombstone);
            let mut members: Vec<ExternalId> =
                living.map(|account| ExternalId::from(account.id.as_str())).collect();
            members.sort();
            PreparedGroup {
                external_id: group.id.as_str().into(),
                name: group.name.clone(),
                members: members.into(),
                found_as: FoundAs::default(),
            }
        };
        let mut groups: Vec<PreparedGroup> = self.groups.values().map(group).collect();
        groups.sort_by(|a, b| a.external_id.cmp(&b.external_id));
        DirectoryNow {
            people: self.accounts.iter().map(entry).collect(),
            sources: vec![Source {
                place: Some(Place::from("dc=x")),
                covers: Vec::new(),
                coverage: Coverage::Full,
                filters: format!("{:?}", self.excluded),
            }],
            groups_read: GroupsRead::Completely,
            groups,
            unusable_groups: BTreeSet::new(),
        }
    }

    /// What a run reads: of the official server everything but the memberships that need not be read.
    fn read(&self, ledger: &Ledger, directory: &DirectoryNow) -> Roster {
        if self.server.kind == Kind::Vaultwarden {
            return ledger.roster(Kind::Vaultwarden);
        }
        let mut roster = self.server.clone();
        for group in self.server.groups() {
            roster.put_group(Group { members: Held::Unread, ..group.clone() });
        }
        let question =
            Question { directory, roster: &roster, ledger, settings: &self.settings, now: self.now };
        let first = changes(&question);
        let wanted = Ledger::to_read(&question, &first);
        for id in &wanted {
            roster.put_group(self.server.group(id).unwrap().clone());
        }
        let question =
            Question { directory, roster: &roster, ledger, settings: &self.settings, now: self.now };
        if question.is_as_imported(&wanted) {
            assert_same(&first, &changes(&question));
        }
        roster
    }

    /// The next run up to its requests. `plan` reads everything.
    pub(crate) fn compute(&self, reading: Reading) -> (Ledger, DirectoryNow, Roster, Changes, Vec<Step>) {
        let live = (self.server.kind == Kind::Official).then_some(&self.server);
        let ledger = self.ledger.clone().settled(live, self.now);
        let directory = self.directory();
        let roster = match (reading, live) {
            (Reading::Everything, Some(live)) => live.clone(),
            _ => self.read(&ledger, &directory),
        };
        let question = self.question(&directory, &roster, &ledger);
        let changes = changes(&question);
        let steps = requests(&question, &changes);
        (ledger, directory, roster, changes, steps)
    }

    pub(crate) fn question<'a>(
        &'a self,
        directory: &'a DirectoryNow,
        roster: &'a Roster,
        ledger: &'a Ledger,
    ) -> Question<'a> {
        Question { directory, roster, ledger, settings: &self.settings, now: self.now }
    }

    /// One run. What was computed, if it came to its end.
    pub(crate) fn sync(&mut self, fault: Fault) -> Option<Changes> {
        let server = self.server.clone();
        let rested = self.at_rest();
        let (ledger, directory, roster, changes, steps) = self.compute(Reading::Due);
        let print = self.ledger.print();
        let record = RunRecord::of(&self.question(&directory, &roster, &ledger), &changes);
        self.ledger = stored(&ledger);
        if !steps.is_empty() {
            self.ledger = stored(&self.ledger.clone().begun(&steps, self.now));
        }
        let begun = self.ledger.clone();
        for (at, step) in steps.iter().enumerate() {
            if fault == Fault::Lost(at) {
                self.has_failed = true;
                self.recorded(record.after(&progress(&steps, at)), &roster, server);
                return None;
            }
            let answer = carry_out(&mut self.server, &step.call);
            assert_eq!(answer, Ok(()), "{:#?}\n{:#?}", step.call, self.server);
            if fault == Fault::Unheard(at) {
                self.has_failed = true;
                self.recorded(record.after(&progress(&steps, at)), &roster, server);
                return None;
            }
            let one_by_one = self.ledger.clone().acknowledged(1);
            self.ledger = stored(&begun.clone().acknowledged(at + 1));
            assert_eq!(self.ledger, one_by_one);
        }
        let question = self.question(&directory, &roster, &ledger);
        let after = stored(&self.ledger.clone().finished(&question, &changes));
        let before = std::mem::replace(&mut self.ledger, after);
        assert_kept_by_times(before.clone(), &self.ledger);
        if let Some((evidence, times)) = rested {
            // Whoever does not decide anew misses nothing, tells the same, and leaves the same.
            assert!(steps.is_empty() && changes.is_empty(), "{changes:#?}");
            assert_eq!(evidence.warnings, changes.warnings);
            assert_eq!(before.at(&times), self.ledger);
        }
        let evidence =
            Evidence::of(|| self.seen(&directory), &roster, &self.ledger, &self.settings, &changes, self.now);
        self.rest = evidence.filter(|_| self.ledger.print() == print).map(|evidence| (print, evidence));
        assert_eq!(record.clone().after(&progress(&steps, steps.len())), record.clone().all_made());
        let record = record.all_made();
        assert_eq!(record.counts().made, changes.summary());
        if roster.basis == Basis::Live {
            assert_eq!(records::is_complete(&record, &roster, &self.server), Ok(()), "{record:#?}");
        }
        self.recorded(record, &roster, server);
        Some(changes)
    }

    /// What a run reads of directory and organization, but for the memberships.
    fn seen(&self, directory: &DirectoryNow) -> String {
        let mut lists = self.server.clone();
        for group in self.server.groups() {
            lists.put_group(Group { members: Held::Unread, ..group.clone() });
        }
        let lists = match self.server.kind {
            Kind::Official => format!("{lists:?}"),
            Kind::Vaultwarden => String::new(),
        };
        digest([directory.digest(), format!("{:?}", self.settings), lists])
    }

    /// Evidence of the last run and the times of this one, if it finds everything as it was.
    fn at_rest(&self) -> Option<(Evidence, Times)> {
        let (print, evidence) = self.rest.as_ref()?;
        if *print != self.ledger.print() || !evidence.is_about(&self.seen(&self.directory()), self.now) {
            return None;
        }
        let times = self.ledger.times();
        let due = evidence.due(&times, &self.settings, self.now);
        let is_as_left = |id: &GroupId, group| {
            self.server.group(id).is_some_and(|now| evidence.is_as_left(group, &now.members))
        };
        if !due.iter().all(|(id, group)| is_as_left(id, group)) {
            return None;
        }
        let read: Vec<ExternalId> = due.into_iter().map(|(_, group)| group.clone()).collect();
        Some((evidence.clone(), times.after(read, self.now)))
    }

    /// Compares a record with what was known before, and with what is there now.
    fn recorded(&mut self, record: RunRecord, before: &Roster, server: Roster) {
        let after = match self.server.kind {
            Kind::Official => self.server.clone(),
            Kind::Vaultwarden => self.ledger.roster(Kind::Vaultwarden),
        };
        if let Err(text) = records::check(&record, before, &after) {
            panic!("{text}\n{record:#?}\n{}\n{after:#?}", self.trace.join("\n"));
        }
        self.last = Some(LastRun { record, before: server });
    }

    pub(crate) fn pass(&mut self, span: Span) {
        self.now = self.now.plus(span);
    }

    pub(crate) fn member(&self, soul: Soul) -> Option<&Member> {
        let account = self.accounts.get(&soul)?;
        let mine = |member: &&Member| self.soul_of(member) == Some(soul);
        let known = self.memory.get(&soul).and_then(|id| self.server.member(id));
        let by_email =
            || self.server.members().find(|member| Some(member.email.as_str()) == account.email.as_deref());
        let by_id = || {
            let has_id =
                |member: &&Member| member.external_id.as_ref().is_some_and(|id| id.as_str() == account.id);
            self.server.members().filter(has_id).find(mine)
        };
        match self.server.kind {
            Kind::Official => known.or_else(by_id).or_else(by_email),
            Kind::Vaultwarden => by_email().or(known).filter(|member| !member.status.is_revoked()),
        }
    }

    pub(crate) fn by_soul_mut(&mut self, soul: Soul, edit: impl FnOnce(&mut Member)) {
        let found = self.member(soul).cloned();
        if let Some(mut member) = found {
            edit(&mut member);
            self.server.put_member(member);
        }
    }

    pub(crate) fn confirm(&mut self, soul: Soul) {
        self.by_soul_mut(soul, |member| {
            if matches!(member.status, Status::Invited | Status::Staged) {
                member.status = Status::Confirmed;
                member.account = Account::Linked;
            }
        });
    }

    /// Not somebody whose id another account has by now: an owner stays, and the id with him, so that the other is not imported.
    pub(crate) fn make_owner(&mut self, soul: Soul) {
        let id = self.member(soul).and_then(|member| member.external_id.clone());
        let others = self.accounts.iter().filter(|(other, _)| **other != soul);
        if others.into_iter().any(|(_, account)| id.as_ref().is_some_and(|id| id.as_str() == account.id)) {
            return;
        }
        self.confirm(soul);
        self.by_soul_mut(soul, |member| member.role = Role::Owner);
    }
}

/// So many requests were acknowledged, and of the next nobody knows.
fn progress(steps: &[Step], acknowledged: usize) -> Progress<'_> {
    let (acknowledged, rest) = steps.split_at(acknowledged);
    let (doubtful, unsent) = rest.split_at(rest.len().min(1));
    Progress { acknowledged, doubtful, unsent }
}

/// The last run: its record, and the organization before it.
#[derive(Clone, Debug)]
pub(crate) struct LastRun {
    pub(crate) record: RunRecord,
    pub(crate) before: Roster,
}

/// What is read before something is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    Due,
    Everything,
}

fn assert_same(a: &Changes, b: &Changes) {
    assert_eq!((&a.slots, &a.members, &a.groups), (&b.slots, &b.members, &b.groups));
    assert_eq!((&a.reinvites, &a.vanished, &a.waiting), (&b.reinvites, &b.vanished, &b.waiting));
    assert_eq!((&a.kept, &a.warnings, &a.limits), (&b.kept, &b.warnings, &b.limits));
    assert_eq!((a.unchanged, a.seats, a.stopped), (b.unchanged, b.seats, b.stopped));
}

/// Of two ledgers with one print, either is the other with its times.
fn assert_kept_by_times(before: Ledger, after: &Ledger) {
    if before.print() == after.print() {
        assert_eq!(before.at(&after.times()), *after);
    }
}

/// As it comes back from the disk.
pub(crate) fn stored(ledger: &Ledger) -> Ledger {
    let text = serde_json::to_string(ledger).unwrap();
    let read: Ledger = serde_json::from_str(&text).unwrap();
    assert_eq!(read, *ledger);
    read
}

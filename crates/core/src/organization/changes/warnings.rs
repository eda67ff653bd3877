//! Warnings: facts that an administrator should know, whether or not anything changes.

use std::collections::BTreeSet;

use foldhash::{HashMap as FastMap, HashSet as FastSet};
use serde::{Deserialize, Serialize};

use super::compute::{MOST_INVITATIONS, Question};
use super::groups::Groups;
use super::people::People;
use super::protected::{to_be_listed, unmatched};
use super::{Action, Changes, Edge, GroupChange, Hold, KeptBy, SlotId, Vanished};
use crate::entry::{Email, ExternalId};
use crate::organization::directory::{GroupsRead, LeftOut, State};
use crate::organization::identity::{Human, Identities, Match, Wanted};
use crate::organization::ledger::{Invited, Record};
use crate::organization::moment::Span;
use crate::organization::roster::{Account, Basis, Kind, Member, Status};
use crate::organization::settings::VanishedGroups;
use crate::rules::{ExistingMembers, Newcomers};
use crate::snapshot::Coverage;
use crate::text::{counted, first_of};

/// Kinds of warnings, for machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Code {
    /// Somebody is not imported, because a member with another external id has the address.
    AddressTaken,
    /// The directory has another address than the organization.
    AddressDiffers,
    /// Somebody is imported by an id that the directory does not have any more.
    IdChanged,
    /// An owner stays who would leave.
    OwnerKept,
    /// Somebody stays whom `sync.protect` names, or whom an undo has brought back.
    ProtectedKept,
    /// An entry of `sync.protect` matches nobody.
    ProtectsNobody,
    /// Somebody has left this directory, and another one, of a former merge, had the person last.
    LivesElsewhere,
    /// A revoked member stays revoked.
    RevokedStays,
    /// A staged member stays staged.
    StagedStays,
    /// The server will refuse an import that replaces everybody.
    OverwriteWouldFail,
    /// Several members, or several groups, have one external id: the server refuses every import.
    DuplicateExternalId,
    /// A group of ours is not in the directory any more.
    GroupVanished,
    /// A group is made beside one of the same name that has no external id.
    GroupTwin,
    /// Members whom the directory had before are no longer in it, and stay.
    MissingStays,
    /// People in groups are not in the organization.
    UnknownMembers,
    /// The directory yields nobody, or no membership, where there were some.
    EmptyRead,
    /// A filter matches nobody.
    FilterMatchesNothing,
    /// There are too few seats.
    SeatsMissing,
    /// People get an invitation by mail.
    MailsSent,
    /// An invitation has expired without an answer.
    InviteExpired,
    /// The server is another one than before, and cannot be read.
    ServerChanged,
    /// The organization cannot be read: what it holds is known from the imports before.
    NotVerified,
}

/// Something that an administrator should know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// For machines.
    pub code: Code,
    /// An address, an external id or a group's name; empty where it is about everything.
    pub subject: String,
    /// For people.
    pub text: String,
}

/// At most so many are named in a sentence.
const NAMED: usize = 20;

/// Time for which the official server takes an invitation.
pub(in crate::organization) const INVITATION: Span = Span::days(5);

pub(super) fn warnings(
    question: &Question<'_>,
    identities: &Identities,
    people: &People,
    groups: &Groups,
) -> Vec<Warning> {
    let mut list = List { question, warnings: Vec::new() };
    list.humans(identities, people);
    list.kept(people);
    list.protection();
    list.taken(identities, people);
    list.invited();
    list.duplicates();
    list.overwrite(people);
    list.groups(groups);
    list.memberships(people, groups);
    list.reads(identities);
    list.warnings.sort_by(|a, b| (a.code, &a.subject).cmp(&(b.code, &b.subject)));
    list.warnings
}

/// Adds the warnings that depend on what the limits hold back.
pub(super) fn after_holds(question: &Question<'_>, changes: &mut Changes) {
    let invited = changes.members.iter().filter(|change| change.hold == Hold::Free);
    let mails = invited.filter(|change| change.action == Action::Invite).count() + changes.reinvites.len();
    let seats = changes.seats;
    let mut list = List { question, warnings: Vec::new() };
    list.missing(changes);
    if let Some(available) = seats.available.filter(|available| seats.in_use + seats.needed > *available) {
        list.add(
            Code::SeatsMissing,
            "",
            format!("{} seats are needed, and there are {available}.", seats.in_use + seats.needed),
        );
    }
    match mails {
        0 => {}
        1 => list.add(Code::MailsSent, "", "One person gets an invitation by mail."),
        _ => list.add(Code::MailsSent, "", format!("{mails} people get an invitation by mail.")),
    }
    changes.warnings.extend(list.warnings);
}

struct List<'a> {
    question: &'a Question<'a>,
    warnings: Vec<Warning>,
}

impl List<'_> {
    fn add(&mut self, code: Code, subject: impl ToString, text: impl Into<String>) {
        self.warnings.push(Warning { code, subject: subject.to_string(), text: text.into() });
    }

    fn record(&self, member: &Member) -> Option<&Record> {
        self.question.ledger.person(member.external_id.as_ref()?)
    }

    fn humans(&mut self, identities: &Identities, people: &People) {
        let changed: FastSet<SlotId> = people.changes.iter().map(|change| change.slot).collect();
        for (human, found) in identities.humans.iter().zip(&identities.matches) {
            let Match::Member { member, .. } = found else { continue };
            let slot = people.by_member.get(member).copied();
            let Some((slot, member)) = slot.zip(self.question.roster.member(member)) else { continue };
            let after = people.slots.get(slot as usize).and_then(|slot| slot.after.as_ref());
            self.identity(human, member, after);
            if human.wanted == Wanted::Imported && !changed.contains(&slot) {
                self.status(member);
            }
        }
    }

    fn identity(&mut self, human: &Human, member: &Member, after: Option<&ExternalId>) {
        if let (Some(id), Some(after)) = (human.id(), after)
            && !human.ids.contains(after)
        {
            let text = format!(
                "The directory has {} by the external id {id}, and the organization by {after}: imported as {after}. Set \
                 sync.relink to `address` to give the member the new one.",
                member.email
            );
            self.add(Code::IdChanged, &member.email, text);
        }
        if let Some(email) = human.email.as_ref().filter(|email| **email != member.email) {
            let text = format!(
                "The directory has the address {email}, and the organization {}: no import changes it.",
                member.email
            );
            self.add(Code::AddressDiffers, &member.email, text);
        }
    }

    fn status(&mut self, member: &Member) {
        match member.status {
            Status::Revoked(_) => {
                let text = format!("{} is revoked in the organization, and stays so.", member.email);
                self.add(Code::RevokedStays, &member.email, text);
            }
            Status::Staged if self.question.settings.newcomers == Newcomers::Invite => {
                let text = format!("{} is staged, and no import invites a staged member.", member.email);
                self.add(Code::StagedStays, &member.email, text);
            }
            _ => {}
        }
    }

    /// Those who are no longer in the directory, and what becomes of their groups.
    fn missing(&mut self, changes: &Changes) {
        let emails = changes.missing.iter().filter_map(|slot| Some(changes.slot(*slot)?.email.as_str()));
        let emails: BTreeSet<&str> = emails.collect();
        let count = changes.missing.len();
        if count == 0 {
            return;
        }
        let lost = |list: fn(&GroupChange) -> &[Edge]| {
            let edges = changes.groups.iter().flat_map(list);
            edges.filter(|edge| changes.missing.contains(&edge.slot)).count()
        };
        let (now, held) = (lost(|group| &group.leave), lost(|group| &group.held_leave));
        let groups = match (now, held) {
            (0, 0) => String::new(),
            (now, 0) => format!(", but lose the directory's groups (memberships lost in this run: {now})"),
            (_, held) => format!(". Held back: the loss of {held} of their memberships in groups"),
        };
        let more = count.saturating_sub(NAMED);
        let more = if more == 0 { String::new() } else { format!("; and {more} more") };
        let names = emails.into_iter().take(NAMED).collect::<Vec<_>>().join("; ");
        let members = if count == 1 { "member" } else { "members" };
        let text = format!(
            "No longer in the directory: {count} {members} ({names}{more}). Members stay in the organization, since sync.removeMissing is \
             off{groups}."
        );
        self.add(Code::MissingStays, "", text);
    }

    fn protection(&mut self) {
        let Question { directory, roster, ledger, settings, .. } = *self.question;
        for entry in unmatched(&settings.protect, directory, roster, ledger) {
            let text = format!(
                "sync.protect names {entry}, which matches nobody: it protects nobody. Correct it, for example after a group was renamed."
            );
            self.add(Code::ProtectsNobody, &entry, text);
        }
        self.listed();
    }

    /// Those whom an import carries since they are protected, and of whom nobody knows whether they are members.
    fn listed(&mut self) {
        let imported = self.question.directory.people.iter().filter(|entry| entry.state == State::Imported);
        let imported: FastSet<&Email> = imported.filter_map(|entry| entry.email.as_ref()).collect();
        for email in to_be_listed(self.question).into_iter().filter(|email| !imported.contains(email)) {
            let text = format!(
                "sync.protect names {email}, and no import has brought the person before: with sync.overwriteExisting every import has the \
                 address, so that Vaultwarden keeps the member. If there is none, the person is invited."
            );
            self.add(Code::ProtectedKept, &email, text);
        }
    }

    fn kept(&mut self, people: &People) {
        for kept in &people.kept {
            let Some(slot) = people.slots.get(kept.slot as usize) else { continue };
            let (code, why) = match kept.by {
                KeptBy::Owner => (Code::OwnerKept, "an owner, whom no import removes".to_owned()),
                KeptBy::Protection => (Code::ProtectedKept, "protected by sync.protect".to_owned()),
                KeptBy::Undo => (Code::ProtectedKept, self.brought_back(slot.before.as_ref())),
                KeptBy::OtherDirectory => (
                    Code::LivesElsewhere,
                    "when last read, another directory had the person by another id. If the person has left there as well, remove the \
                     member by hand"
                        .to_owned(),
                ),
            };
            self.add(code, &slot.email, format!("{} would leave, but stays: {why}.", slot.email));
        }
    }

    fn brought_back(&self, id: Option<&ExternalId>) -> String {
        let record = id.and_then(|id| self.question.ledger.person(id));
        match record.and_then(|record| record.protection(self.question.now)) {
            Some(protection) => {
                format!("brought back by bwdc undo, and protected until {}", protection.until)
            }
            None => "brought back by bwdc undo".to_owned(),
        }
    }

    /// Memberships in groups that stay because an undo has given them back.
    fn memberships(&mut self, people: &People, groups: &Groups) {
        for (group, at) in &groups.protected {
            let Some(slot) = people.slots.get(*at as usize) else { continue };
            let why = self.brought_back(slot.before.as_ref());
            let text = format!("{} would leave the group {group}, and stays in it: {why}.", slot.email);
            self.add(Code::ProtectedKept, &slot.email, text);
        }
    }

    fn taken(&mut self, identities: &Identities, people: &People) {
        for (human, member) in &people.taken {
            let human = identities.humans.get(*human);
            let email = human.and_then(|human| human.email.as_ref()).map_or("", Email::as_str);
            let own = human.and_then(Human::id).map_or("", ExternalId::as_str);
            let member = self.question.roster.member(member);
            let id = member.and_then(|member| member.external_id.as_ref()).map_or("", ExternalId::as_str);
            let text = format!(
                "{email} with the external id {own} is not imported: the member with the address has the external id {id}."
            );
            self.add(Code::AddressTaken, email, text);
        }
    }

    fn invited(&mut self) {
        for member in self.question.roster.members().filter(|member| member.status == Status::Invited) {
            let invited = self.record(member).and_then(|record| record.invited);
            let Some(Invited { last, count, .. }) = invited else { continue };
            let is_over = self.question.settings.reinvite.is_none() || count >= MOST_INVITATIONS;
            if is_over && self.question.now.since(last) >= INVITATION {
                let text = format!("The invitation of {} has expired without an answer.", member.email);
                self.add(Code::InviteExpired, &member.email, text);
            }
        }
    }

    fn duplicates(&mut self) {
        let roster = self.question.roster;
        if roster.kind == Kind::Vaultwarden {
            return;
        }
        let members =
            roster.members().filter_map(|member| Some((member.external_id.as_ref()?, member.email.as_str())));
        let groups =
            roster.groups().filter_map(|group| Some((group.external_id.as_ref()?, group.name.as_str())));
        self.duplicates_among("members", members);
        self.duplicates_among("groups", groups);
    }

    fn duplicates_among<'a>(
        &mut self,
        what: &str,
        named: impl Iterator<Item = (&'a ExternalId, &'a str)> + Clone,
    ) {
        let mut seen: FastSet<&ExternalId> = FastSet::default();
        let twice: FastSet<&ExternalId> =
            named.clone().map(|(id, _)| id).filter(|id| !seen.insert(id)).collect();
        if twice.is_empty() {
            return;
        }
        let mut by_id: FastMap<&ExternalId, Vec<&str>> = FastMap::default();
        for (id, name) in named.filter(|(id, _)| twice.contains(id)) {
            by_id.entry(id).or_default().push(name);
        }
        for (id, mut names) in by_id {
            names.sort_unstable();
            let names = names.join(", ");
            let text = format!(
                "Several {what} have the external id {id}: {names}. The server refuses every import."
            );
            self.add(Code::DuplicateExternalId, id, text);
        }
    }

    fn overwrite(&mut self, people: &People) {
        if self.question.settings.existing == ExistingMembers::Keep
            || self.question.roster.kind == Kind::Vaultwarden
        {
            return;
        }
        let leaving = people.changes.iter().filter(|change| change.cause == super::Cause::Overwrite);
        for slot in leaving.filter_map(|change| people.slots.get(change.slot as usize)) {
            let member = slot.member.as_ref().and_then(|id| self.question.roster.member(id));
            if member.is_some_and(|member| member.account == Account::None) {
                let text = format!(
                    "{} has no account yet: the server refuses an import with sync.overwriteExisting that would remove such a \
                     member.",
                    slot.email
                );
                self.add(Code::OverwriteWouldFail, &slot.email, text);
            }
        }
    }

    fn groups(&mut self, groups: &Groups) {
        for Vanished { name, members, .. } in &groups.vanished {
            let text = match self.question.settings.vanished_groups {
                VanishedGroups::Keep => {
                    let who = match members {
                        0 => "it has no members".to_owned(),
                        1 => "its one member keeps its collections".to_owned(),
                        _ => format!("its {members} members keep its collections"),
                    };
                    format!(
                        "The group {name} is not among the directory's groups any more; {who}. Set sync.vanishedGroups to empty or delete it."
                    )
                }
                VanishedGroups::Empty | VanishedGroups::Delete if *members == 0 => continue,
                VanishedGroups::Empty | VanishedGroups::Delete => {
                    format!(
                        "The group {name} with {} is not among the directory's groups any more.",
                        counted(*members, "member", "members")
                    )
                }
            };
            self.add(Code::GroupVanished, name, text);
        }
        for name in &groups.twins {
            let text =
                format!("There is a group {name} without an external id: a second one of that name is made.");
            self.add(Code::GroupTwin, name, text);
        }
        let what = match groups.unknown.len() {
            0 => return,
            1 => "One person in a group is not in the organization".to_owned(),
            unknown => format!("{unknown} people in groups are not in the organization"),
        };
        self.add(Code::UnknownMembers, "", format!("{what}: {}.", first_of(&self.named(&groups.unknown))));
    }

    /// People of the directory by their addresses, or ids where they have none.
    fn named(&self, ids: &[ExternalId]) -> Vec<String> {
        let wanted: FastSet<&ExternalId> = ids.iter().collect();
        let people = self.question.directory.people.iter().filter(|entry| wanted.contains(&entry.id));
        let emails: FastMap<&ExternalId, &Email> =
            people.filter_map(|entry| Some((&entry.id, entry.email.as_ref()?))).collect();
        let name = |id: &ExternalId| emails.get(id).map_or_else(|| id.to_string(), ToString::to_string);
        ids.iter().map(name).collect()
    }

    fn reads(&mut self, identities: &Identities) {
        let directory = self.question.directory;
        if self.question.roster.basis == Basis::Ledger {
            let text =
                "The server cannot be read: what the organization holds is known from the imports before.";
            self.add(Code::NotVerified, "", text);
        }
        if let Some(before) = self.question.ledger.moved_from() {
            let text = format!(
                "The server has changed: the imports before went to {before}. This one cannot be read, so everything is imported."
            );
            self.add(Code::ServerChanged, "", text);
        }
        let is_complete = directory.sources.iter().any(|source| source.coverage == Coverage::Full);
        if is_complete && identities.humans.is_empty() && self.question.ledger.people().next().is_some() {
            self.add(Code::EmptyRead, "", "The directory yields nobody, and there were people before.");
        }
        let had_members = self.question.ledger.groups().any(|(_, group)| !group.members.is_empty());
        let is_empty =
            !directory.groups.is_empty() && directory.groups.iter().all(|group| group.members.is_empty());
        if directory.groups_read == GroupsRead::Completely && is_empty && had_members {
            self.add(
                Code::EmptyRead,
                "groups",
                "No group of the directory has members, and there were some before.",
            );
        }
        let out = |state| state == State::LeftOut(LeftOut::Filter);
        let is_filtered = directory.people.iter().any(|entry| out(entry.state));
        let is_imported = directory.people.iter().any(|entry| entry.state == State::Imported);
        if is_filtered && !is_imported {
            self.add(
                Code::FilterMatchesNothing,
                "",
                "The filters match none of the people in the directory.",
            );
        }
    }
}

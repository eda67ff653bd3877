//! The one way from a directory and an organization to what changes.

use std::collections::{BTreeMap, BTreeSet};

use foldhash::HashSet as FastSet;

use super::groups::{self, Groups};
use super::people::{self, People};
use super::protected::{brought_back, protected};
use super::{Action, Basing, Changes, SeatsNeeded, SlotId, Stopped, warnings};
use crate::organization::directory::DirectoryNow;
use crate::organization::identity::{self, Identities, Wanted, identify};
use crate::organization::leaving::{self, departures};
use crate::organization::ledger::{Invited, Ledger};
use crate::organization::limits::hold;
use crate::organization::moment::{Moment, Span};
use crate::organization::roster::{Basis, Former, MemberId, Roster, Status};
use crate::organization::settings::Settings;

/// Everything that decides what changes.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The directory as it was read.
    pub directory: &'a DirectoryNow,
    /// Organization as it is: read, or [`Ledger::roster`].
    pub roster: &'a Roster,
    /// Knowledge from before, after [`Ledger::settled`].
    pub ledger: &'a Ledger,
    /// Decisions of the administrator.
    pub settings: &'a Settings,
    /// The time of the run.
    pub now: Moment,
}

/// Computes the changes, and holds back those over a limit.
pub fn changes(question: &Question<'_>) -> Changes {
    let Question { directory, roster, ledger, settings, now } = *question;
    let mut protected = protected(&settings.protect, directory, roster, ledger);
    let brought_back = brought_back(roster, ledger, &protected, now);
    protected.extend(brought_back.iter().cloned());
    let identities = identities(question, &protected);
    let facts = leaving::Facts {
        directory,
        roster,
        ledger,
        settings,
        identities: &identities,
        protected: &protected,
        brought_back: &brought_back,
        now,
    };
    let people = people::people(question, &identities, &departures(&facts));
    let groups = groups::groups(question, &identities, &people);
    let warnings = warnings::warnings(question, &identities, &people, &groups);
    let listed = listed(&people, &protected);
    let People { slots, changes, waiting, kept, missing, human_slots, .. } = people;
    let Groups { changes: group_changes, vanished, unchanged, .. } = groups;
    let mut changes = Changes {
        kind: roster.kind,
        basis: roster.basis,
        basing: Basing::Directory,
        slots,
        members: changes,
        groups: group_changes,
        reinvites: Vec::new(),
        vanished,
        waiting,
        kept,
        missing,
        warnings,
        limits: Vec::new(),
        unchanged: 0,
        seats: SeatsNeeded::default(),
        stopped: Stopped::No,
        protections: BTreeMap::new(),
        identities,
        human_slots,
        unchanged_groups: unchanged,
        listed,
    };
    changes.unchanged = unchanged_people(&changes);
    changes.reinvites = reinvites(question, &changes);
    held(changes, question)
}

/// Holds back what is over a limit, and adds what depends on it: seats, and warnings.
pub(in crate::organization) fn held(changes: Changes, question: &Question<'_>) -> Changes {
    let mut changes = hold(changes, question);
    changes.seats = seats(question.roster, &changes);
    warnings::after_holds(question, &mut changes);
    changes
}

pub(super) fn identities(question: &Question<'_>, protected: &FastSet<MemberId>) -> Identities {
    let Question { directory, roster, ledger, now, .. } = *question;
    identify(&identity::Facts { directory, roster, ledger, protected, now })
}

/// Members whom an import that replaces everybody would remove, and must not.
fn listed(people: &People, protected: &FastSet<MemberId>) -> BTreeSet<SlotId> {
    let protected = protected.iter().filter_map(|member| people.by_member.get(member).copied());
    let waiting = people.waiting.iter().map(|waiting| waiting.slot);
    let mut listed: BTreeSet<SlotId> = protected.chain(waiting).collect();
    listed.extend(people.kept.iter().map(|kept| kept.slot));
    listed
}

fn unchanged_people(changes: &Changes) -> usize {
    let changed: FastSet<SlotId> = changes.members.iter().map(|change| change.slot).collect();
    changes.human_slots.iter().flatten().filter(|slot| !changed.contains(slot)).count()
}

/// Three invitations in all within 40 days, none in the first seven, at most one a day.
fn reinvites(question: &Question<'_>, changes: &Changes) -> Vec<SlotId> {
    let Some(after) = question.settings.reinvite.filter(|_| question.roster.basis == Basis::Live) else {
        return Vec::new();
    };
    let changed: FastSet<SlotId> = changes.members.iter().map(|change| change.slot).collect();
    let imported = changes.human_slots.iter().zip(&changes.identities.humans);
    let imported = imported.filter(|(_, human)| human.wanted == Wanted::Imported);
    let slots = imported.filter_map(|(slot, _)| *slot).filter(|slot| !changed.contains(slot));
    let mut slots: Vec<SlotId> = slots.filter(|slot| is_due(question, changes, *slot, after)).collect();
    slots.sort_unstable();
    slots
}

/// The most invitations to one person, the first among them.
pub(super) const MOST_INVITATIONS: u32 = 3;

fn is_due(question: &Question<'_>, changes: &Changes, slot: SlotId, after: Span) -> bool {
    let Some(slot) = changes.slot(slot) else { return false };
    let member = slot.member.as_ref().and_then(|id| question.roster.member(id));
    if member.is_none_or(|member| member.status != Status::Invited) {
        return false;
    }
    let record = slot.before.as_ref().and_then(|id| question.ledger.person(id));
    let Some(Invited { first, last, count }) = record.and_then(|record| record.invited) else { return false };
    let (since_first, since_last) = (question.now.since(first), question.now.since(last));
    count < MOST_INVITATIONS
        && since_last >= after.max(Span::DAY)
        && since_first >= Span::days(7)
        && since_first <= Span::days(40)
}

/// Whether a member who is restored takes a seat again.
fn takes_seat(roster: &Roster, member: Option<&MemberId>) -> bool {
    let status = member.and_then(|id| roster.member(id)).map(|member| member.status);
    !matches!(status, Some(Status::Revoked(Former::Staged)))
}

fn seats(roster: &Roster, changes: &Changes) -> SeatsNeeded {
    let free = changes.members.iter().filter(|change| change.hold == super::Hold::Free);
    let needed = free
        .filter(|change| match change.action {
            Action::Invite => true,
            Action::Restore => {
                takes_seat(roster, changes.slot(change.slot).and_then(|slot| slot.member.as_ref()))
            }
            _ => false,
        })
        .count();
    SeatsNeeded {
        in_use: roster.seats_in_use(),
        needed,
        available: roster.seats.map(|seats| seats.available),
    }
}

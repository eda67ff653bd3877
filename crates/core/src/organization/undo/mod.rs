//! Undoing a run: from its record and from what the organization holds now to what changes.
//!
//! Each entry of the record is compared with the organization. What the run left is brought back to what there was before; what is
//! as before already stays; what somebody else has changed since is left alone, and named. The changes are the same type that a sync
//! makes, so limits, plan, requests, journal and ledger are those of a sync.

mod groups;
mod later;
mod notes;
mod people;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use foldhash::HashSet as FastSet;

use self::groups::Groups;
pub use self::later::Unclear;
pub use self::notes::{Left, Lost, Named, Subjects};
use self::people::People;
use super::changes::{Basing, Changes, Question, SeatsNeeded, SlotId, Stopped, held};
use super::identity::Identities;
use super::ledger::{Ledger, Protection};
use super::moment::Moment;
use super::record::{GroupEntry, Made, MemberEntry, RunRecord, StatusWord};
use super::roster::{Basis, GroupId, Kind, Roster};
use super::settings::Settings;
use crate::entry::ExternalId;
use crate::rules::{ExistingMembers, Newcomers};

/// Changes that undo a run, and what must be known beforehand.
#[derive(Clone, Debug)]
pub struct Undo {
    /// The changes.
    pub changes: Changes,
    /// What has changed since, and stays as it is.
    pub left: Named<Left>,
    /// What cannot come back.
    pub lost: Named<Lost>,
    /// Number of changes of the run that are undone already.
    pub back: usize,
    /// Changes of which nobody knows whether the run made them; `None` if its end is known.
    pub unclear: Option<Unclear>,
}

/// Protection of those who come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protecting {
    /// Until then.
    Until(Moment),
    /// Nobody is protected.
    Nobody,
}

impl Undo {
    /// What undoes a run, after which there were the later ones. The question needs no directory; its settings are
    /// [`Settings::for_undo`], and the memberships of [`to_read`] are in its roster.
    pub fn of(
        question: &Question<'_>,
        record: &RunRecord,
        later: &[RunRecord],
        protecting: Protecting,
    ) -> Self {
        let (rest, subjects) = record.clone().without(later);
        let mut undo = Self::computed(question, &rest, protecting);
        undo.unclear = record.has(Made::Unclear).then(|| Unclear {
            count: record.number(Made::Unclear),
            back: Self::computed(question, &rest.unclear(), protecting).back,
            acknowledged: record.number(Made::Yes),
        });
        if !subjects.is_empty() {
            undo.leave_to_later(&Self::computed(question, record, protecting), subjects);
        }
        undo
    }

    /// Names what a later run did as well, as far as there is anything to undo of it: the rest is as before already.
    fn leave_to_later(&mut self, whole: &Self, subjects: Subjects) {
        let touched = whole.touched();
        let (left, back): (Subjects, Subjects) =
            subjects.into_iter().partition(|subject| touched.contains(subject));
        self.back += back.len();
        if !left.is_empty() {
            self.left.insert(Left::LaterRun, left);
        }
    }

    /// People, groups and memberships that it is about.
    fn touched(&self) -> Subjects {
        let Changes { members, groups, .. } = &self.changes;
        let email = |slot: SlotId| self.changes.slot(slot).map(|slot| slot.email.to_string());
        let mut touched: Subjects = members.iter().filter_map(|change| email(change.slot)).collect();
        for group in groups {
            let names: Vec<&String> = std::iter::once(&group.name)
                .chain(group.renamed.iter().map(|renamed| &renamed.from))
                .collect();
            touched.extend(names.iter().map(|name| (*name).clone()));
            let lists = [&group.join, &group.leave, &group.held_join, &group.held_leave];
            for email in lists.into_iter().flatten().filter_map(|edge| email(edge.slot)) {
                touched.extend(names.iter().map(|name| format!("{email} in {name}")));
            }
        }
        touched
    }

    fn computed(question: &Question<'_>, record: &RunRecord, protecting: Protecting) -> Self {
        let mut people = People::of(question, record);
        let groups = Groups::of(question, record, &mut people);
        let protections = protections(&people, &groups, protecting);
        let People { slots, changes, notes, .. } = people;
        let changes = Changes {
            kind: question.roster.kind,
            basis: question.roster.basis,
            basing: Basing::Record,
            slots,
            members: changes,
            groups: groups.changes,
            protections,
            reinvites: Vec::new(),
            vanished: Vec::new(),
            waiting: Vec::new(),
            kept: Vec::new(),
            missing: BTreeSet::new(),
            warnings: Vec::new(),
            limits: Vec::new(),
            unchanged: 0,
            seats: SeatsNeeded::default(),
            stopped: Stopped::No,
            identities: Identities::default(),
            human_slots: Vec::new(),
            unchanged_groups: Vec::new(),
            listed: BTreeSet::new(),
        };
        let changes = held(changes, question);
        Self { changes, left: notes.left, lost: notes.lost, back: notes.back, unclear: None }
    }
}

impl Undo {
    /// Whether anybody comes back who is protected then.
    pub fn protects_anybody(&self) -> bool {
        !self.changes.protections.is_empty()
    }
}

/// Groups whose memberships must be read to undo a run: those that it was about, and those that people it was about are in as far as the
/// ledger knows.
pub fn to_read(record: &RunRecord, roster: &Roster, ledger: &Ledger, settings: &Settings) -> Vec<GroupId> {
    let made = record.groups.iter().filter(|entry| is_made(entry.made));
    let ids = made.clone().filter_map(|entry| entry.group_id.as_deref());
    let ids: FastSet<&str> = ids.collect();
    let states = made.flat_map(|entry| entry.before.iter().chain(&entry.after));
    let of_people = record.members.iter().filter(|entry| is_made(entry.made));
    let of_people = of_people.flat_map(|entry| entry.before.iter().flat_map(|state| state.groups.keys()));
    let external: FastSet<&str> =
        states.map(|state| state.external_id.as_str()).chain(of_people.map(String::as_str)).collect();
    let people = made_members(record).flat_map(|entry| entry.before.iter().chain(&entry.after));
    let people: FastSet<&str> = people.filter_map(|state| state.external_id.as_deref()).collect();
    let has_any = |id: &ExternalId| {
        let known = ledger.groups.get(id);
        known.is_some_and(|known| known.members.iter().any(|member| people.contains(member.as_str())))
    };
    let is_meant = |group: &&super::roster::Group| {
        ids.contains(group.id.as_str())
            || group.external_id.as_ref().is_some_and(has_any)
            || group.external_id.as_ref().is_some_and(|id| external.contains(id.as_str()))
            || settings.protect.has_group(&group.name)
    };
    roster.groups().filter(is_meant).map(|group| group.id.clone()).collect()
}

/// Whether somebody whom the run removed was not invited yet: then the question needs to know whether the server stages newcomers.
pub fn needs_staging(record: &RunRecord) -> bool {
    let removed = record.members.iter().filter(|entry| is_made(entry.made) && entry.after.is_none());
    removed.filter_map(|entry| entry.before.as_ref()).any(|state| state.status == StatusWord::Staged)
}

impl Settings {
    /// Settings with which a run is undone: those of the syncs, without what is about a directory. Whoever comes back is invited.
    #[must_use]
    pub fn for_undo(self) -> Self {
        Self { existing: ExistingMembers::Keep, newcomers: Newcomers::Invite, reinvite: None, ..self }
    }
}

impl Ledger {
    /// The ledger to store when every request of an undo was acknowledged. Unlike [`Ledger::finished`] it takes over nothing about a
    /// directory, since none was read.
    #[must_use]
    pub fn undone(mut self, question: &Question<'_>, changes: &Changes) -> Self {
        self.see_changed_groups(question, changes);
        self.end_run();
        self
    }
}

/// Whether a change was made, or may have been.
fn is_made(made: Made) -> bool {
    matches!(made, Made::Yes | Made::Unclear)
}

fn made_members(record: &RunRecord) -> impl Iterator<Item = &MemberEntry> {
    record.members.iter().filter(|entry| is_made(entry.made))
}

fn made_groups(record: &RunRecord) -> impl Iterator<Item = &GroupEntry> {
    record.groups.iter().filter(|entry| is_made(entry.made))
}

/// Whether the server has calls for single members and groups.
fn has_calls(question: &Question<'_>) -> bool {
    question.roster.kind == Kind::Official && question.roster.basis == Basis::Live
}

/// Those who come back, with the groups to which they come back.
fn protections(
    people: &People<'_>,
    groups: &Groups,
    protecting: Protecting,
) -> BTreeMap<SlotId, Arc<Protection>> {
    let Protecting::Until(until) = protecting else { return BTreeMap::new() };
    let of = |slot| {
        let joined = groups.changes.iter().filter(|group| group.join.iter().any(|edge| edge.slot == slot));
        let groups: BTreeSet<ExternalId> = joined.map(|group| group.external_id.clone()).collect();
        (slot, Arc::new(Protection { until, groups }))
    };
    people.coming.iter().copied().map(of).collect()
}

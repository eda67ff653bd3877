//! Changes of which nobody knows whether the run made them, and which a later run was about as well: those are the later run's, and are
//! not undone with this one.

use std::collections::BTreeSet;

use super::notes::Subjects;
use crate::organization::changes::Action;
use crate::organization::record::{
    GroupEntry, GroupMember, GroupState, Made, MemberEntry, MemberState, RunRecord, is_invitation,
};
use crate::organization::roster::Basis;

/// Changes of which nobody knows whether the run made them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unclear {
    /// Number of members and groups that they are about.
    pub count: usize,
    /// Number of those that are as before the run: not made, or undone already.
    pub back: usize,
    /// Number of members and groups that the run surely changed.
    pub acknowledged: usize,
}

impl RunRecord {
    /// The record without what later runs did, and what that is. Only what is unclear can be theirs.
    #[must_use]
    pub fn without(self, later: &[Self]) -> (Self, Subjects) {
        let mut taken = Taken { later: later.iter().map(Later::of).collect(), subjects: BTreeSet::new() };
        let members = self.members.into_iter().filter_map(|entry| taken.member(entry)).collect();
        let groups = self.groups.into_iter().filter_map(|entry| taken.group(entry)).collect();
        (Self { members, groups, ..self }, taken.subjects)
    }

    /// The part of the record of which nobody knows whether it was made.
    pub(super) fn unclear(&self) -> Self {
        let mut record = self.clone();
        record.members.retain(|entry| entry.made == Made::Unclear);
        record.groups.retain(|entry| entry.made == Made::Unclear);
        record
    }
}

/// Changes of a later run.
struct Later<'a> {
    basis: Basis,
    members: Vec<&'a MemberEntry>,
    groups: Vec<&'a GroupEntry>,
}

impl<'a> Later<'a> {
    /// What a later run made or may have made. One that could read the organization found everything that it lists not done by then.
    fn of(record: &'a RunRecord) -> Self {
        let is_its = |made: Made| record.basis == Basis::Live || matches!(made, Made::Yes | Made::Unclear);
        Self {
            basis: record.basis,
            members: record.members.iter().filter(|entry| is_its(entry.made)).collect(),
            groups: record.groups.iter().filter(|entry| is_its(entry.made)).collect(),
        }
    }
}

struct Taken<'a> {
    later: Vec<Later<'a>>,
    subjects: Subjects,
}

impl<'a> Taken<'a> {
    /// Addresses of those whom a later run invited that could not read the organization: with their groups, which it took for done.
    fn invited(&self) -> BTreeSet<&'a str> {
        let blind = self.later.iter().filter(|run| run.basis == Basis::Ledger);
        let invited = blind.flat_map(|run| &run.members).filter(|entry| is_invitation(entry.action));
        invited.filter_map(|entry| Some(entry.after.as_ref()?.email.as_str())).collect()
    }

    /// The entry without what a later run did; `None` if nothing is left of it.
    fn member(&mut self, entry: MemberEntry) -> Option<MemberEntry> {
        if entry.made != Made::Unclear {
            return Some(entry);
        }
        let later: Vec<&MemberEntry> =
            self.later.iter().flat_map(|run| run.members.iter().copied()).collect();
        let (email, rest) = match (&entry.before, &entry.after) {
            (Some(before), Some(after)) => (after.email.clone(), rest_of(&entry, before, after, &later)),
            (Some(state), None) | (None, Some(state)) => {
                let is_of = |other: &&MemberEntry| is_same_move(&entry, other, &state.email);
                let rest = (!later.iter().any(is_of)).then(|| entry.clone());
                (state.email.clone(), rest)
            }
            (None, None) => return Some(entry),
        };
        if rest.as_ref() != Some(&entry) {
            self.subjects.insert(email);
        }
        rest
    }

    fn group(&mut self, entry: GroupEntry) -> Option<GroupEntry> {
        if entry.made != Made::Unclear {
            return Some(entry);
        }
        let later = self.later.iter().flat_map(|run| run.groups.iter().copied());
        let later: Vec<&GroupEntry> = later.filter(|other| is_same_group(&entry, other)).collect();
        let state = entry.after.as_ref().or(entry.before.as_ref());
        let name = state.map(|state| state.name.clone()).unwrap_or_default();
        let is_new_or_gone = entry.before.is_none() || entry.after.is_none();
        let is_same = |other: &&GroupEntry| {
            (other.before.is_some(), other.after.is_some()) == (entry.before.is_some(), entry.after.is_some())
        };
        if is_new_or_gone && later.iter().any(is_same) {
            self.subjects.insert(name);
            return None;
        }
        let mut rest = entry.clone();
        if later.iter().any(|other| has_same_name(&entry, other)) {
            self.subjects.insert(name.clone());
            keep_identity(&mut rest);
        }
        let lists = [(&mut rest.join, &entry.join), (&mut rest.leave, &entry.leave)];
        let theirs = [
            emails(&later, |other| [&other.join, &other.held_join]),
            emails(&later, |other| [&other.leave, &other.held_leave]),
        ];
        let [came, left] = theirs;
        let theirs = [came.into_iter().chain(self.invited()).collect(), left];
        for ((rest, all), theirs) in lists.into_iter().zip(theirs) {
            rest.retain(|member| !theirs.contains(member.email.as_str()));
            let taken = all.iter().filter(|member| theirs.contains(member.email.as_str()));
            self.subjects.extend(taken.map(|member| format!("{} in {name}", member.email)));
        }
        let is_nothing = rest.join.is_empty() && rest.leave.is_empty() && !has_other_identity(&rest);
        (rest == entry || !is_nothing).then_some(rest)
    }
}

/// Addresses of those who came or went in later runs.
fn emails<'a>(
    later: &[&'a GroupEntry],
    lists: impl Fn(&'a GroupEntry) -> [&'a Vec<GroupMember>; 2],
) -> BTreeSet<&'a str> {
    later.iter().flat_map(|other| lists(other)).flatten().map(|member| member.email.as_str()).collect()
}

/// Whether somebody came in both, or left in both.
fn is_same_move(one: &MemberEntry, other: &MemberEntry, email: &str) -> bool {
    let is_email = |state: &Option<MemberState>| state.as_ref().is_some_and(|state| state.email == email);
    let came = is_email(&other.after) && other.before.is_none();
    let left = is_email(&other.before) && other.after.is_none();
    if one.before.is_none() { came } else { left }
}

/// What is left of a change to a member who stays: another id, or the access.
fn rest_of(
    entry: &MemberEntry,
    before: &MemberState,
    after: &MemberState,
    later: &[&MemberEntry],
) -> Option<MemberEntry> {
    let mut rest = before.clone();
    for other in later.iter().filter(|other| is_same_member(entry, other)) {
        let (Some(from), Some(to)) = (&other.before, &other.after) else { continue };
        let is_given_id =
            matches!(other.action, Action::Relink | Action::Adopt) || from.external_id != to.external_id;
        if is_given_id && to.external_id == after.external_id {
            rest.external_id.clone_from(&after.external_id);
        }
        let is_moved =
            !matches!(other.action, Action::Relink | Action::Adopt) || from.is_revoked() != to.is_revoked();
        if is_moved && to.is_revoked() == after.is_revoked() {
            rest.status = after.status;
        }
    }
    if rest == *before {
        return Some(entry.clone());
    }
    let is_left = rest.external_id != after.external_id || rest.is_revoked() != after.is_revoked();
    is_left.then(|| MemberEntry { before: Some(rest), ..entry.clone() })
}

fn is_same_member(one: &MemberEntry, other: &MemberEntry) -> bool {
    let emails = |entry: &MemberEntry| {
        [&entry.before, &entry.after]
            .into_iter()
            .flatten()
            .map(|state| state.email.clone())
            .collect::<Vec<_>>()
    };
    let is_same_id = one.member_id.is_some() && one.member_id == other.member_id;
    is_same_id || emails(one).iter().any(|email| emails(other).contains(email))
}

fn is_same_group(one: &GroupEntry, other: &GroupEntry) -> bool {
    let ids = |entry: &GroupEntry| {
        let states = [&entry.before, &entry.after].into_iter().flatten();
        states.map(|state| state.external_id.clone()).collect::<Vec<_>>()
    };
    let is_same_id = one.group_id.is_some() && one.group_id == other.group_id;
    is_same_id || ids(one).iter().any(|id| ids(other).contains(id))
}

/// Whether a later run gave a group the same name or the same id.
fn has_same_name(entry: &GroupEntry, other: &GroupEntry) -> bool {
    let (Some(after), Some(from), Some(to)) = (&entry.after, &other.before, &other.after) else {
        return false;
    };
    has_other_identity(entry)
        && (from.name != to.name && to.name == after.name
            || from.external_id != to.external_id && to.external_id == after.external_id)
}

fn has_other_identity(GroupEntry { before, after, .. }: &GroupEntry) -> bool {
    let identity = |state: &Option<GroupState>| {
        state.as_ref().map(|state| (state.name.clone(), state.external_id.clone()))
    };
    identity(before) != identity(after)
}

/// Has a group keep its name and its id.
fn keep_identity(GroupEntry { before, after, .. }: &mut GroupEntry) {
    if let (Some(before), Some(after)) = (before, after) {
        before.name.clone_from(&after.name);
        before.external_id.clone_from(&after.external_id);
    }
}

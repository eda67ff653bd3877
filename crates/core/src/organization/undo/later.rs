//! Changes that a later run made again, as after having been undone or changed by hand in between, and those of which nobody knows
//! whether this run made them or a later one: they are the later run's, and are not undone with this one.

use std::collections::BTreeSet;
use std::sync::Arc;

use foldhash::HashMap as FastMap;

use super::is_made;
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
    /// The record without what later runs did as well, and what that is.
    #[must_use]
    pub fn without(self, later: &[Self]) -> (Self, Subjects) {
        let mut taken = Taken { later: Later::of(later), subjects: BTreeSet::new() };
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

/// What later runs made or may have made, found by whom and what it is about.
struct Later<'a> {
    members: About<'a, MemberEntry>,
    groups: About<'a, GroupEntry>,
    /// Addresses of those whom a run invited that could not read the organization: with their groups, which it took for done.
    invited: BTreeSet<&'a str>,
}

impl<'a> Later<'a> {
    fn of(later: &'a [RunRecord]) -> Self {
        let members = later.iter().flat_map(|run| run.members.iter().filter(|entry| is_its(run, entry.made)));
        let groups = later.iter().flat_map(|run| run.groups.iter().filter(|entry| is_its(run, entry.made)));
        let blind = later.iter().filter(|run| run.basis == Basis::Ledger);
        let invited = blind
            .flat_map(|run| run.members.iter().filter(|entry| is_its(run, entry.made)))
            .filter(|entry| is_invitation(entry.action));
        Self {
            members: About::of(members, member_keys),
            groups: About::of(groups, group_keys),
            invited: invited.filter_map(|entry| Some(entry.after.as_ref()?.email.as_ref())).collect(),
        }
    }
}

/// Whether a later run made it or may have made it. One that could read the organization found everything that it lists not done by then.
fn is_its(run: &RunRecord, made: Made) -> bool {
    run.basis == Basis::Live || matches!(made, Made::Yes | Made::Unclear)
}

/// Id on the server, or another name by which two entries are about the same member or group.
type Key = (KeyKind, Arc<str>);

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum KeyKind {
    Server,
    Name,
}

/// Entries in their order, by what they are about.
struct About<'a, E> {
    entries: Vec<&'a E>,
    keys: FastMap<Key, Vec<usize>>,
    keys_of: fn(&E) -> Vec<Key>,
}

impl<'a, E> About<'a, E> {
    fn of(entries: impl Iterator<Item = &'a E>, keys_of: fn(&E) -> Vec<Key>) -> Self {
        let entries: Vec<&E> = entries.collect();
        let mut keys: FastMap<Key, Vec<usize>> = FastMap::default();
        for (number, entry) in entries.iter().enumerate() {
            keys_of(entry).into_iter().for_each(|key| keys.entry(key).or_default().push(number));
        }
        Self { entries, keys, keys_of }
    }

    /// Those about the same member or group.
    fn same(&self, entry: &E) -> Vec<&'a E> {
        let numbers = (self.keys_of)(entry).into_iter().filter_map(|key| self.keys.get(&key)).flatten();
        let numbers: BTreeSet<usize> = numbers.copied().collect();
        numbers.into_iter().filter_map(|number| self.entries.get(number).copied()).collect()
    }
}

fn member_keys(MemberEntry { member_id, before, after, .. }: &MemberEntry) -> Vec<Key> {
    let emails = [before, after].into_iter().flatten().map(|state| (KeyKind::Name, state.email.clone()));
    emails.chain(member_id.iter().map(|id| (KeyKind::Server, id.as_str().into()))).collect()
}

fn group_keys(GroupEntry { group_id, before, after, .. }: &GroupEntry) -> Vec<Key> {
    let ids =
        [before, after].into_iter().flatten().map(|state| (KeyKind::Name, state.external_id.as_str().into()));
    ids.chain(group_id.iter().map(|id| (KeyKind::Server, id.as_str().into()))).collect()
}

struct Taken<'a> {
    later: Later<'a>,
    subjects: Subjects,
}

impl Taken<'_> {
    /// The entry without what a later run did; `None` if nothing is left of it.
    fn member(&mut self, entry: MemberEntry) -> Option<MemberEntry> {
        if !is_made(entry.made) {
            return Some(entry);
        }
        let later = self.later.members.same(&entry);
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
            self.subjects.insert(email.to_string());
        }
        rest
    }

    fn group(&mut self, entry: GroupEntry) -> Option<GroupEntry> {
        if !is_made(entry.made) {
            return Some(entry);
        }
        let later = self.later.groups.same(&entry);
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
        let theirs = [&came | &self.later.invited, left];
        for ((rest, all), theirs) in lists.into_iter().zip(theirs) {
            rest.retain(|member| !theirs.contains(member.email.as_ref()));
            let taken = all.iter().filter(|member| theirs.contains(member.email.as_ref()));
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
    later.iter().flat_map(|other| lists(other)).flatten().map(|member| member.email.as_ref()).collect()
}

/// Whether somebody came in both, or left in both.
fn is_same_move(one: &MemberEntry, other: &MemberEntry, email: &str) -> bool {
    let is_email = |state: &Option<MemberState>| state.as_ref().is_some_and(|state| *state.email == *email);
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
    for other in later {
        let Some(to) = &other.after else { continue };
        let is_about_id = matches!(other.action, Action::Relink | Action::Adopt);
        let from = other.before.as_ref();
        let is_given_id = is_about_id || from.is_none_or(|from| from.external_id != to.external_id);
        if is_given_id && to.external_id == after.external_id {
            rest.external_id.clone_from(&after.external_id);
        }
        let is_moved = !is_about_id || from.is_some_and(|from| from.is_revoked() != to.is_revoked());
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

/// Whether a later run gave a group the same name or the same id, or made it anew with them.
fn has_same_name(entry: &GroupEntry, other: &GroupEntry) -> bool {
    let (Some(after), Some(to)) = (&entry.after, &other.after) else { return false };
    let is_given = |of: fn(&GroupState) -> &String| {
        of(to) == of(after) && other.before.as_ref().is_none_or(|from| of(from) != of(to))
    };
    has_other_identity(entry) && (is_given(|state| &state.name) || is_given(|state| &state.external_id))
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

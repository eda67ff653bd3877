//! Groups to keep, and their members.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::{HashMap as FastMap, HashMapExt as _};

use super::flatten::{Direct, flatten};
use super::{Draft, PreparedGroup};
use crate::entry::{ExternalId, Group, ReferenceId, Status, User};
use crate::note::{Note, Step};
use crate::rules::{Nesting, Rules};

/// Applies the group filter and resolves nested membership. Members are the people of the directory, even those who are
/// not in this import: a person known to the organization must not lose a group because this import is about others.
/// Deleted people are not members.
pub(super) fn resolve(
    mut draft: Draft,
    users: &[User],
    others: &[User],
    mut groups: Vec<Group>,
    other_groups: Vec<Group>,
    rules: &Rules,
) -> Draft {
    let people = living(users, others);
    let is_kept = |group: &Group| rules.group_filter.as_ref().is_none_or(|filter| filter.keeps(&group.name));
    let mut roles: Vec<Role> =
        groups.iter().map(|group| if is_kept(group) { Role::Synced } else { Role::LeftOut }).collect();
    groups.extend(other_groups);
    roles.resize(groups.len(), Role::Outside);
    let direct = direct_members(&people, &groups, &mut draft.notes);
    let members = match rules.nesting {
        Nesting::AllGroups => flatten(&direct, people.len()),
        Nesting::KeptGroups => through_kept_groups(direct, &roles, &groups, people.len(), &mut draft.notes),
    };
    let mut lists = SharedLists::new(&people);
    for ((group, members), role) in groups.into_iter().zip(&members).zip(roles) {
        match role {
            Role::Synced => {
                let members = lists.external_ids(members);
                draft.groups.push(PreparedGroup {
                    external_id: group.external_id,
                    name: group.name,
                    members,
                    found_as: group.found_as,
                });
            }
            Role::LeftOut => {
                draft.notes.push(Note::info(Step::Filter, group.label(), "left out by the group filter"));
            }
            Role::Outside => {}
        }
    }
    draft.groups.sort_by(|a, b| a.external_id.cmp(&b.external_id));
    draft
}

/// Role of a group in this import.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// Imported.
    Synced,
    /// Left out by the group filter.
    LeftOut,
    /// Read only for its members.
    Outside,
}

/// Everybody who can be a member, sorted by external id, so that sorted numbers give sorted ids.
fn living<'a>(users: &'a [User], others: &'a [User]) -> Vec<&'a User> {
    let mut people: Vec<&User> =
        users.iter().chain(others).filter(|user| user.status != Status::Deleted).collect();
    people.sort_by(|a, b| a.external_id.cmp(&b.external_id));
    people
}

enum Target {
    Person(u32),
    Group(u32),
}

fn direct_members(people: &[&User], groups: &[Group], notes: &mut Vec<Note>) -> Vec<Direct> {
    let mut index: FastMap<&ReferenceId, Target> = FastMap::with_capacity(people.len() + groups.len());
    index.extend(groups.iter().zip(0..).map(|(group, at)| (&group.reference_id, Target::Group(at))));
    // A person takes precedence over a group with the same reference.
    index.extend(people.iter().zip(0..).map(|(user, at)| (&user.reference_id, Target::Person(at))));
    groups
        .iter()
        .map(|group| {
            let mut direct = Direct::default();
            let mut unknown = 0_usize;
            for member in &group.members {
                match index.get(member) {
                    Some(Target::Person(at)) => direct.people.push(*at),
                    Some(Target::Group(at)) => direct.groups.push(*at),
                    None => unknown += 1,
                }
            }
            if unknown > 0 {
                notes.push(Note::info(
                    Step::Groups,
                    format!("{} ({unknown})", group.name),
                    "members that are neither a known user nor a known group were ignored",
                ));
            }
            direct
        })
        .collect()
}

fn through_kept_groups(
    direct: Vec<Direct>,
    roles: &[Role],
    groups: &[Group],
    people: usize,
    notes: &mut Vec<Note>,
) -> Vec<Arc<[u32]>> {
    let passes = |at: u32| roles[at as usize] != Role::LeftOut;
    let loses = direct
        .iter()
        .zip(roles)
        .any(|(group, &role)| role != Role::LeftOut && group.groups.iter().any(|&at| !passes(at)));
    if !loses {
        return flatten(&direct, people);
    }
    let everything = flatten(&direct, people);
    let pruned: Vec<Direct> = direct
        .into_iter()
        .map(|mut group| {
            group.groups.retain(|&at| passes(at));
            group
        })
        .collect();
    let members = flatten(&pruned, people);
    for (at, group) in groups.iter().enumerate().filter(|&(at, _)| roles[at] == Role::Synced) {
        let lost = everything[at].len() - members[at].len();
        if lost > 0 {
            notes.push(Note::info(
                Step::Groups,
                format!("{} ({lost})", group.name),
                "people who are members only through groups that the group filter leaves out; set sync.nestedGroups to \
                 `all` to count them",
            ));
        }
    }
    members
}

/// Turns numbers into external ids, once for all groups that share a list.
struct SharedLists<'a> {
    people: &'a [&'a User],
    made: HashMap<*const u32, Arc<[ExternalId]>>,
}

impl<'a> SharedLists<'a> {
    fn new(people: &'a [&'a User]) -> Self {
        Self { people, made: HashMap::new() }
    }

    fn external_ids(&mut self, members: &Arc<[u32]>) -> Arc<[ExternalId]> {
        let people = self.people;
        let list = self.made.entry(members.as_ptr()).or_insert_with(|| {
            let mut ids: Vec<ExternalId> =
                members.iter().map(|&at| people[at as usize].external_id.clone()).collect();
            ids.dedup();
            ids.into()
        });
        Arc::clone(list)
    }
}

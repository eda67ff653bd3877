//! Groups to keep, and their members.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::flatten::{Direct, flatten};
use super::{Draft, PreparedGroup, reasons};
use crate::entry::{ExternalId, Group, Status, User};
use crate::note::{Note, Step};
use crate::rules::{Nesting, Rules};
use crate::snapshot::Snapshot;
use crate::texts::ByText;

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
    let roles = roles(&groups, other_groups.len(), rules);
    groups.extend(other_groups);
    let direct = direct_members(&people, groups.iter(), &mut draft.notes);
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
                draft.notes.push(Note::info(Step::Filter, group.label(), reasons::GROUP_FILTER));
            }
            Role::Outside => {}
        }
    }
    draft.groups.sort_by(|a, b| a.external_id.cmp(&b.external_id));
    draft
}

/// Roles of the groups that were requested, then of so many others.
fn roles(groups: &[Group], others: usize, rules: &Rules) -> Vec<Role> {
    let is_kept = |group: &Group| rules.group_filter.as_ref().is_none_or(|filter| filter.keeps(&group.name));
    let mut roles: Vec<Role> =
        groups.iter().map(|group| if is_kept(group) { Role::Synced } else { Role::LeftOut }).collect();
    roles.resize(groups.len() + others, Role::Outside);
    roles
}

/// Role of a group in this import.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Imported.
    Synced,
    /// Left out by the group filter.
    LeftOut,
    /// Read only for its members.
    Outside,
}

/// A group that somebody is in, with the way there.
pub(crate) struct Reached<'a> {
    pub(crate) group: &'a Group,
    pub(crate) role: Role,
    /// Groups from this one down to the one that lists the person.
    pub(crate) path: Vec<&'a Group>,
    pub(crate) through: Through,
}

/// Whether nesting counts on the way from a group to a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Through {
    /// It counts.
    Open,
    /// Every way leads through a group that the filter leaves out.
    LeftOutGroup,
}

/// All groups that people with this id are in, directly or through others, by the shortest way to each.
pub(crate) fn reached<'a>(snapshot: &'a Snapshot, rules: &Rules, id: &ExternalId) -> Vec<Reached<'a>> {
    let groups: Vec<&Group> = snapshot.groups.iter().chain(&snapshot.other_groups).collect();
    let roles = roles(&snapshot.groups, snapshot.other_groups.len(), rules);
    let people = living(&snapshot.users, &snapshot.others);
    let direct = direct_members(&people, groups.iter().copied(), &mut Vec::new());
    let is_meant = |at: &u32| people[*at as usize].external_id == *id;
    let lists = |group: &Direct| group.people.iter().any(is_meant);
    let first: Vec<usize> = (0..groups.len()).filter(|at| lists(&direct[*at])).collect();
    let passes = |at: usize| rules.nesting == Nesting::AllGroups || roles[at] != Role::LeftOut;
    let open = ways(&direct, &first, passes);
    let all = ways(&direct, &first, |_| true);
    let mut found = Vec::new();
    for at in 0..groups.len() {
        let (way, through) = match (&open[at], &all[at]) {
            (Some(way), _) => (way, Through::Open),
            (None, Some(way)) => (way, Through::LeftOutGroup),
            (None, None) => continue,
        };
        let path = way.iter().map(|at| groups[*at]).collect();
        found.push(Reached { group: groups[at], role: roles[at], path, through });
    }
    found
}

/// The shortest way down from each group to one of the first, itself included; through those that pass.
fn ways(direct: &[Direct], first: &[usize], passes: impl Fn(usize) -> bool) -> Vec<Option<Vec<usize>>> {
    let mut parents: Vec<Vec<usize>> = vec![Vec::new(); direct.len()];
    for (parent, group) in direct.iter().enumerate() {
        group.groups.iter().for_each(|child| parents[*child as usize].push(parent));
    }
    let mut ways: Vec<Option<Vec<usize>>> = vec![None; direct.len()];
    let mut todo: VecDeque<usize> = VecDeque::new();
    for &at in first {
        ways[at] = Some(vec![at]);
        todo.push_back(at);
    }
    while let Some(at) = todo.pop_front() {
        if !passes(at) {
            continue;
        }
        let Some(way) = ways[at].clone() else { continue };
        for &parent in &parents[at] {
            if ways[parent].is_none() {
                ways[parent] = Some(std::iter::once(parent).chain(way.iter().copied()).collect());
                todo.push_back(parent);
            }
        }
    }
    ways
}

/// Everybody who can be a member, sorted by external id, so that sorted numbers give sorted ids.
fn living<'a>(users: &'a [User], others: &'a [User]) -> Vec<&'a User> {
    let mut people: Vec<&User> =
        users.iter().chain(others).filter(|user| user.status != Status::Deleted).collect();
    people.sort_by(|a, b| a.external_id.cmp(&b.external_id));
    people
}

#[derive(Clone, Copy)]
enum Target {
    Person(u32),
    Group(u32),
}

fn direct_members<'a>(
    people: &[&User],
    groups: impl ExactSizeIterator<Item = &'a Group> + Clone,
    notes: &mut Vec<Note>,
) -> Vec<Direct> {
    let of_groups =
        groups.clone().zip(0..).map(|(group, at)| (group.reference_id.as_str(), Target::Group(at)));
    let of_people = people.iter().zip(0..).map(|(user, at)| (user.reference_id.as_str(), Target::Person(at)));
    // A person takes precedence over a group with the same reference.
    let targets: ByText<'_, Target> = of_groups.chain(of_people).collect();
    groups
        .map(|group| {
            let mut direct = Direct::default();
            let mut unknown = 0_usize;
            for member in &group.members {
                match targets.get(member.as_str()) {
                    Some(Target::Person(at)) => direct.people.push(at),
                    Some(Target::Group(at)) => direct.groups.push(at),
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

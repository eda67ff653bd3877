//! Changes that limits hold back, each under the limit towards which it counts.

use super::{Held, HeldByLimit, HeldGroup, HeldMembership, HeldPerson, Way, person};
use crate::organization::changes::{
    Action, Cause, Changes, Edge, GroupAction, GroupChange, Hold, MemberChange,
};
use crate::organization::limits::{LimitName, LimitState, key_of, key_of_edge, limit_of_member};

/// Limits that are exceeded; and whatever else is held back.
pub(super) fn held(changes: &Changes) -> (Vec<HeldByLimit>, Held) {
    let tripped: Vec<&LimitState> = changes.limits.iter().filter(|state| state.is_holding()).collect();
    let by_limit = tripped.iter().map(|state| HeldByLimit {
        limit: state.limit,
        allowed: state.allowed,
        wanted: state.wanted,
        held: collected(changes, |item| item.counts(changes, state)),
    });
    let is_other =
        |item: &Item<'_>| item.is_held() && !tripped.iter().any(|state| item.counts(changes, state));
    (by_limit.collect(), collected(changes, is_other))
}

/// Something that may be held back.
enum Item<'a> {
    Person(&'a MemberChange),
    Group(&'a GroupChange),
    Membership(&'a GroupChange, &'a Edge, Way, Hold),
}

impl Item<'_> {
    fn is_held(&self) -> bool {
        match self {
            Self::Person(change) => change.hold == Hold::Held,
            Self::Group(group) => is_held_as_a_whole(group),
            Self::Membership(_, _, _, hold) => *hold == Hold::Held,
        }
    }

    fn counts(&self, changes: &Changes, state: &LimitState) -> bool {
        match self {
            Self::Person(change) => {
                is_counted(change, state.limit) && state.keys.contains_key(&key_of(changes, change.slot))
            }
            Self::Group(group) => is_group_counted(changes, group, state),
            Self::Membership(group, edge, way, _) => {
                is_edge_counted(edge, *way, state.limit)
                    && state.keys.contains_key(&key_of_edge(changes, group, edge.slot))
            }
        }
    }
}

/// Whether a change counts towards a limit; somebody who was removed by hand and is invited again counts towards two.
fn is_counted(change: &MemberChange, limit: LimitName) -> bool {
    let is_invitation = limit == LimitName::Invites && change.action == Action::Invite;
    is_invitation || limit_of_member(change) == Some(limit)
}

fn is_edge_counted(edge: &Edge, way: Way, limit: LimitName) -> bool {
    match limit {
        LimitName::Leaves => way == Way::Leave && edge.cause != Cause::Drift,
        LimitName::Repairs => edge.cause == Cause::Drift,
        LimitName::Removals | LimitName::Invites => false,
    }
}

fn is_group_counted(changes: &Changes, group: &GroupChange, state: &LimitState) -> bool {
    match state.limit {
        LimitName::Repairs => state.keys.contains_key(group.external_id.as_str()) && group.is_repair(),
        LimitName::Leaves if group.action.is_end() => {
            let mut edges = group.held_leave.iter().chain(&group.leave);
            edges.any(|edge| state.keys.contains_key(&key_of_edge(changes, group, edge.slot)))
        }
        _ => false,
    }
}

/// Whether more of a group is held back than memberships.
fn is_held_as_a_whole(group: &GroupChange) -> bool {
    let is_name_held = group.renamed.as_ref().is_some_and(|renamed| renamed.hold == Hold::Held);
    let is_relink_held = group.relinked.is_some() && group.hold == Hold::Held;
    is_name_held || is_relink_held || (group.hold == Hold::Held && group.action != GroupAction::Update)
}

fn collected(changes: &Changes, is_meant: impl Fn(&Item<'_>) -> bool) -> Held {
    let people = changes.members.iter().filter(|change| is_meant(&Item::Person(change)));
    let groups = changes.groups.iter().filter(|group| is_meant(&Item::Group(group)));
    let memberships = changes.groups.iter().flat_map(memberships);
    let memberships =
        memberships.filter(|(group, edge, way, hold)| is_meant(&Item::Membership(group, edge, *way, *hold)));
    let mut held = Held {
        people: people.filter_map(|change| held_person(changes, change)).collect(),
        groups: groups.map(held_group).collect(),
        memberships: memberships
            .filter_map(|(group, edge, way, _)| held_membership(changes, group, edge, way))
            .collect(),
    };
    held.people.sort();
    held.groups.sort();
    held.memberships.sort();
    held
}

fn memberships(group: &GroupChange) -> impl Iterator<Item = (&GroupChange, &Edge, Way, Hold)> {
    let lists = [
        (&group.join, Way::Join, Hold::Free),
        (&group.leave, Way::Leave, Hold::Free),
        (&group.held_join, Way::Join, Hold::Held),
        (&group.held_leave, Way::Leave, Hold::Held),
    ];
    lists
        .into_iter()
        .flat_map(move |(edges, way, hold)| edges.iter().map(move |edge| (group, edge, way, hold)))
}

fn held_person(changes: &Changes, change: &MemberChange) -> Option<HeldPerson> {
    let person = person(changes, change.slot)?;
    let directory_id = change.directory_id.as_ref().map(ToString::to_string);
    Some(HeldPerson {
        directory_id: directory_id.filter(|id| person.external_id.as_ref() != Some(id)),
        person,
        action: change.action,
        cause: change.cause,
    })
}

fn held_group(group: &GroupChange) -> HeldGroup {
    HeldGroup {
        name: group.name.clone(),
        renamed_from: group.renamed.as_ref().map(|renamed| renamed.from.clone()),
        external_id: group.external_id.to_string(),
        action: group.action,
        cause: group.cause,
    }
}

fn held_membership(changes: &Changes, group: &GroupChange, edge: &Edge, way: Way) -> Option<HeldMembership> {
    Some(HeldMembership {
        group: group.name.clone(),
        group_external_id: group.external_id.to_string(),
        person: person(changes, edge.slot)?,
        action: way,
        cause: cause_of_edge(changes, edge),
    })
}

/// Reason why a membership comes or goes: somebody may be gone from the directory altogether.
fn cause_of_edge(changes: &Changes, edge: &Edge) -> Cause {
    let is_missing = edge.cause != Cause::Drift && changes.missing.contains(&edge.slot);
    if is_missing { Cause::Missing } else { edge.cause }
}

//! What the next sync does with somebody: the entries of its plan, and what holds them.

use std::collections::BTreeSet;

use serde::Serialize;

use super::Facts;
use super::find::{GroupSubject, Person, Subject};
use crate::organization::changes::{
    Action, Cause, Changes, Edge, GroupAction, GroupChange, Hold, KeptBy, MemberChange, SlotId, Stopped,
    Warning, Way,
};
use crate::organization::limits::{LimitName, limit_of_member};
use crate::text::{counted, first_of};

/// What the next sync does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "the keys of the document are its contract")]
pub struct Next {
    pub members: Vec<NextMember>,
    pub memberships: Vec<NextMembership>,
    pub groups: Vec<NextGroup>,
    pub warnings: Vec<Warning>,
    /// Reasons for which it sends nothing at all.
    pub refused: Vec<String>,
}

/// Change to a membership of the organization, or a reason why there is none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the keys of the document are its contract")]
pub struct NextMember {
    pub email: String,
    /// None for somebody who stays, or waits.
    pub action: Option<Action>,
    pub cause: Option<Cause>,
    pub held: bool,
    pub limit: Option<LimitName>,
    pub kept_by: Option<KeptBy>,
    /// End of the grace of somebody who waits.
    pub until: Option<String>,
    pub text: String,
}

/// Membership of a group that comes or goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the keys of the document are its contract")]
pub struct NextMembership {
    pub group: String,
    pub external_id: String,
    pub way: Way,
    pub cause: Cause,
    pub held: bool,
    pub text: String,
}

/// Change to a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the keys of the document are its contract")]
pub struct NextGroup {
    pub name: String,
    pub external_id: String,
    /// None for a group that the directory does not have any more, and that stays.
    pub action: Option<GroupAction>,
    pub cause: Option<Cause>,
    /// Whether nothing of it is done.
    pub held: bool,
    pub join: usize,
    pub leave: usize,
    /// Addresses of those whose joining or leaving is held back.
    pub held_join: Vec<String>,
    pub held_leave: Vec<String>,
    /// Limits that hold anything of it back.
    pub limits: Vec<LimitName>,
    pub text: String,
}

pub(super) fn next(facts: &Facts<'_>, subject: &Subject) -> Next {
    let about = match subject {
        Subject::Person(person) => About::person(facts, person),
        Subject::Group(group) => About::group(facts, group),
    };
    Next { warnings: about.warnings(facts), refused: facts.refused.to_vec(), ..about.next }
}

/// Changes about a subject, and the words by which warnings name it.
struct About {
    next: Next,
    names: BTreeSet<String>,
}

impl About {
    fn warnings(&self, facts: &Facts<'_>) -> Vec<Warning> {
        let is_about = |warning: &&Warning| self.names.contains(&warning.subject.to_lowercase());
        facts.changes.warnings.iter().filter(is_about).cloned().collect()
    }

    fn person(facts: &Facts<'_>, person: &Person) -> Self {
        let changes = facts.changes;
        let slots = slots(changes, person);
        let mut members: Vec<NextMember> = Vec::new();
        members.extend(
            changes
                .members
                .iter()
                .filter(|change| slots.contains(&change.slot))
                .map(|change| member(facts, change)),
        );
        members.extend(changes.waiting.iter().filter(|waiting| slots.contains(&waiting.slot)).map(
            |waiting| {
                let until = (facts.written)(waiting.until);
                NextMember {
                    until: Some(until.clone()),
                    cause: Some(waiting.cause),
                    ..still(
                        changes,
                        waiting.slot,
                        format!(
                            "revoked since {} ({}), and removed after {until} (sync.grace)",
                            (facts.written)(waiting.since),
                            waiting.cause.reason()
                        ),
                    )
                }
            },
        ));
        members.extend(changes.kept.iter().filter(|kept| slots.contains(&kept.slot)).map(|kept| {
            let why = match kept.by {
                KeptBy::Owner => "an owner is never removed by a sync",
                KeptBy::Protection => "protected by sync.protect",
                KeptBy::Undo => "brought back by an undo, and protected for some days",
                KeptBy::OtherDirectory => "when last read, another directory had the person by another id",
            };
            let text = format!("would leave ({}), and stays: {why}", kept.cause.reason());
            NextMember { kept_by: Some(kept.by), cause: Some(kept.cause), ..still(changes, kept.slot, text) }
        }));
        let again = changes.reinvites.iter().filter(|slot| slots.contains(*slot));
        members
            .extend(again.map(|slot| {
                still(changes, *slot, "the invitation is sent again (sync.reinvite)".to_owned())
            }));
        let memberships =
            changes.groups.iter().flat_map(|group| memberships(changes, group, &slots)).collect();
        let emails = person.emails.iter().map(ToString::to_string);
        let names = emails.chain(person.ids.iter().map(|id| id.as_str().to_lowercase())).collect();
        Self { next: Next { members, memberships, ..Next::default() }, names }
    }

    fn group(facts: &Facts<'_>, known: &GroupSubject) -> Self {
        let changes = facts.changes;
        let is_meant = |group: &&GroupChange| {
            known.ids.contains(&group.external_id)
                || group.relinked.as_ref().is_some_and(|id| known.ids.contains(id))
                || group.group.as_ref().is_some_and(|id| known.groups.contains(id))
        };
        let mut groups: Vec<NextGroup> = changes
            .groups
            .iter()
            .filter(is_meant)
            .map(|change| HeldBack::of(changes, change).group(change))
            .collect();
        if groups.is_empty() {
            let vanished = changes.vanished.iter().filter(|group| known.ids.contains(&group.external_id));
            groups.extend(vanished.map(|group| NextGroup {
                name: group.name.clone(),
                external_id: group.external_id.to_string(),
                action: None,
                cause: None,
                held: false,
                join: 0,
                leave: 0,
                held_join: Vec::new(),
                held_leave: Vec::new(),
                limits: Vec::new(),
                text: format!(
                    "not among the directory's groups any more; stays with {} (sync.vanishedGroups)",
                    counted(group.members, "member", "members")
                ),
            }));
        }
        let names = known.names.iter().map(|name| name.to_lowercase());
        let names = names.chain(known.ids.iter().map(|id| id.as_str().to_lowercase())).collect();
        Self { next: Next { groups, ..Next::default() }, names }
    }
}

/// Slots of a person, before or after the changes.
fn slots(changes: &Changes, person: &Person) -> BTreeSet<SlotId> {
    let humans = person.ids.iter().filter_map(|id| changes.identities.by_id.get(id));
    let of_humans = humans.filter_map(|at| changes.human_slots.get(*at).copied().flatten());
    let of_members = changes.slots.iter().zip(0..).filter_map(|(slot, at)| {
        let is_member = slot.member.as_ref().is_some_and(|id| person.members.contains(id));
        is_member.then_some(at)
    });
    of_humans.chain(of_members).collect()
}

fn still(changes: &Changes, slot: SlotId, text: String) -> NextMember {
    let email = changes.slot(slot).map(|slot| slot.email.to_string()).unwrap_or_default();
    NextMember {
        email,
        action: None,
        cause: None,
        held: false,
        limit: None,
        kept_by: None,
        until: None,
        text,
    }
}

fn member(facts: &Facts<'_>, change: &MemberChange) -> NextMember {
    let changes = facts.changes;
    let what = match (change.action, change.grace) {
        (Action::Wait, Some((until, _))) => {
            format!("{}, and removed after {} (sync.grace)", done(Action::Wait), (facts.written)(until))
        }
        (Action::Revoke, Some((until, _))) => {
            format!("{}, and removed after {} (sync.grace)", done(Action::Revoke), (facts.written)(until))
        }
        (action, _) => done(action).to_owned(),
    };
    let limit = holding(changes, change);
    let hold = match (change.hold, limit) {
        (Hold::Free, _) => String::new(),
        (Hold::Held, Some(limit)) => {
            format!("; held back by {}: bwdc approve lets it through", setting(limit))
        }
        (Hold::Held, None) if changes.stopped == Stopped::Yes => {
            "; nothing is sent, since a limit stops the run".to_owned()
        }
        (Hold::Held, None) => "; held back, since somebody who must leave before is".to_owned(),
        (Hold::Unplanned, _) => "; not in the plan".to_owned(),
    };
    let text = format!("{what}: {}{hold}", change.cause.reason());
    NextMember {
        action: Some(change.action),
        cause: Some(change.cause),
        held: change.hold == Hold::Held,
        limit,
        ..still(changes, change.slot, text)
    }
}

/// The limit that holds a change back.
fn holding(changes: &Changes, change: &MemberChange) -> Option<LimitName> {
    let own = limit_of_member(change);
    let limits = own.into_iter().chain(change.action.is_new().then_some(LimitName::Invites));
    limits.filter(|_| change.hold == Hold::Held).find(|limit| is_tripped(changes, *limit))
}

fn is_tripped(changes: &Changes, limit: LimitName) -> bool {
    changes.limits.iter().any(|state| state.limit == limit && state.is_holding())
}

/// The limit that holds a membership of a group back: its own, or that of the person.
fn holding_edge(changes: &Changes, edge: &Edge, way: Way) -> Option<LimitName> {
    let own = match (edge.cause, way) {
        (Cause::Drift, _) => Some(LimitName::Repairs),
        (_, Way::Leave) => Some(LimitName::Leaves),
        (_, Way::Join) => None,
    };
    let of_person = || {
        let change = changes.members.iter().find(|change| change.slot == edge.slot)?;
        holding(changes, change)
    };
    own.filter(|limit| is_tripped(changes, *limit)).or_else(of_person)
}

/// What is held back of a change to a group, and by which limits.
struct HeldBack {
    join: Vec<String>,
    leave: Vec<String>,
    limits: BTreeSet<LimitName>,
}

impl HeldBack {
    fn of(changes: &Changes, group: &GroupChange) -> Self {
        let emails = |edges: &[Edge]| -> Vec<String> {
            edges
                .iter()
                .filter_map(|edge| changes.slot(edge.slot))
                .map(|slot| slot.email.to_string())
                .collect()
        };
        let joins = group.held_join.iter().map(|edge| (edge, Way::Join));
        let edges = joins.chain(group.held_leave.iter().map(|edge| (edge, Way::Leave)));
        let mut limits: BTreeSet<LimitName> =
            edges.filter_map(|(edge, way)| holding_edge(changes, edge, way)).collect();
        let is_held =
            group.hold == Hold::Held || group.renamed.as_ref().is_some_and(|to| to.hold == Hold::Held);
        // A name that is given back counts as a repair, and a run that stops holds everything.
        if is_held && limits.is_empty() {
            let tripped = changes.limits.iter().filter(|state| state.is_holding()).map(|state| state.limit);
            limits = match changes.stopped {
                Stopped::Yes => tripped.collect(),
                Stopped::No => tripped.filter(|limit| *limit == LimitName::Repairs).collect(),
            };
        }
        Self { join: emails(&group.held_join), leave: emails(&group.held_leave), limits }
    }

    /// Who would join and leave, by which limit that is held back, and the way out.
    fn words(&self) -> String {
        let limits: Vec<&str> = self.limits.iter().map(|limit| setting(*limit)).collect();
        let by = if limits.is_empty() { String::new() } else { format!(" by {}", limits.join(" and ")) };
        let moves = [(&self.join, "join"), (&self.leave, "leave")];
        let moves: Vec<String> = moves
            .into_iter()
            .filter(|(people, _)| !people.is_empty())
            .map(|(people, way)| format!("{} would {way} ({})", people.len(), first_of(people)))
            .collect();
        let moves = if moves.is_empty() { String::new() } else { format!(": {}", moves.join(", ")) };
        let out = if limits.is_empty() { "" } else { "; bwdc approve lets it through" };
        format!("held back{by}{moves}{out}")
    }

    fn group(self, group: &GroupChange) -> NextGroup {
        let renamed = match &group.renamed {
            Some(renamed) => format!(" from {} to {}", renamed.from, group.name),
            None => String::new(),
        };
        let what = format!("{}{renamed}", done_to_group(group.action));
        let (join, leave) = (group.join.len(), group.leave.len());
        let is_held = group.hold == Hold::Held;
        let is_free = self.join.is_empty() && self.leave.is_empty() && self.limits.is_empty();
        let text = match (is_held, is_free) {
            (true, _) => format!("not {what}: {}", self.words()),
            (false, true) => format!("{what}: {join} join, {leave} leave"),
            (false, false) => format!("{what}: {join} join, {leave} leave; {}", self.words()),
        };
        NextGroup {
            name: group.name.clone(),
            external_id: group.external_id.to_string(),
            action: Some(group.action),
            cause: Some(group.cause),
            held: is_held,
            join,
            leave,
            held_join: self.join,
            held_leave: self.leave,
            limits: self.limits.into_iter().collect(),
            text,
        }
    }
}

fn done_to_group(action: GroupAction) -> &'static str {
    match action {
        GroupAction::Create => "created",
        GroupAction::Rename => "renamed",
        GroupAction::Update => "updated",
        GroupAction::Empty => "emptied",
        GroupAction::Delete => "deleted",
    }
}

fn memberships(changes: &Changes, group: &GroupChange, slots: &BTreeSet<SlotId>) -> Vec<NextMembership> {
    let lists = [
        (&group.join, Way::Join, group.hold),
        (&group.leave, Way::Leave, group.hold),
        (&group.held_join, Way::Join, Hold::Held),
        (&group.held_leave, Way::Leave, Hold::Held),
    ];
    let membership = |edge: &Edge, way: Way, hold: Hold| {
        let what = match way {
            Way::Join => "joins",
            Way::Leave => "leaves",
        };
        let limit = match (hold, holding_edge(changes, edge, way)) {
            (Hold::Free, _) => String::new(),
            (Hold::Held, Some(limit)) => format!("; held back ({})", setting(limit)),
            (Hold::Held, None) => "; held back with the person or the group".to_owned(),
            (Hold::Unplanned, _) => "; not in the plan".to_owned(),
        };
        let why = match edge.cause {
            Cause::Drift => "changed in the organization by somebody else",
            _ => "as in the directory",
        };
        NextMembership {
            group: group.name.clone(),
            external_id: group.external_id.to_string(),
            way,
            cause: edge.cause,
            held: hold == Hold::Held,
            text: format!("{what} {}: {why}{limit}", group.name),
        }
    };
    let all =
        lists.into_iter().flat_map(|(edges, way, hold)| edges.iter().map(move |edge| (edge, way, hold)));
    let meant = all.filter(|(edge, _, _)| slots.contains(&edge.slot));
    meant.map(|(edge, way, hold)| membership(edge, way, hold)).collect()
}

/// What becomes of somebody, in a word or two.
pub(super) fn done(action: Action) -> &'static str {
    match action {
        Action::Invite => "invited",
        Action::Stage => "added without an invitation",
        Action::Adopt => "given an external id",
        Action::Relink => "given another external id",
        Action::Restore => "restored",
        Action::Revoke => "revoked",
        Action::Remove => "removed",
        Action::Wait => "revoked already",
    }
}

fn setting(limit: LimitName) -> &'static str {
    match limit {
        LimitName::Removals => "sync.limitRemovals",
        LimitName::Leaves => "sync.limitLeaves",
        LimitName::Repairs => "sync.limitRepairs",
        LimitName::Invites => "sync.limitInvites",
    }
}

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
use crate::text::counted;

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
    pub held: bool,
    pub join: usize,
    pub leave: usize,
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
        let memberships = changes.groups.iter().flat_map(|group| memberships(group, &slots)).collect();
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
        let mut groups: Vec<NextGroup> = changes.groups.iter().filter(is_meant).map(group).collect();
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
    let is_tripped =
        |limit: LimitName| changes.limits.iter().any(|state| state.limit == limit && state.is_holding());
    let own = limit_of_member(change);
    let limits = own.into_iter().chain(change.action.is_new().then_some(LimitName::Invites));
    limits.filter(|_| change.hold == Hold::Held).find(|limit| is_tripped(*limit))
}

fn memberships(group: &GroupChange, slots: &BTreeSet<SlotId>) -> Vec<NextMembership> {
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
        let limit = match (hold, way, edge.cause) {
            (Hold::Free, _, _) => "",
            (Hold::Held, _, Cause::Drift) => "; held back (sync.limitRepairs)",
            (Hold::Held, Way::Leave, _) => "; held back (sync.limitLeaves)",
            (Hold::Held, Way::Join, _) => "; held back with the person or the group",
            (Hold::Unplanned, _, _) => "; not in the plan",
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

fn group(group: &GroupChange) -> NextGroup {
    let what = match group.action {
        GroupAction::Create => "created",
        GroupAction::Rename => "renamed",
        GroupAction::Update => "updated",
        GroupAction::Empty => "emptied",
        GroupAction::Delete => "deleted",
    };
    let renamed = match &group.renamed {
        Some(renamed) => format!(" from {} to {}", renamed.from, group.name),
        None => String::new(),
    };
    let held = group.held_join.len() + group.held_leave.len();
    let is_held = group.hold == Hold::Held;
    let hold = match (is_held, held) {
        (true, _) => "; held back by a limit".to_owned(),
        (false, 0) => String::new(),
        (false, held) => format!("; held back: {}", counted(held, "membership", "memberships")),
    };
    let (join, leave) = (group.join.len(), group.leave.len());
    NextGroup {
        name: group.name.clone(),
        external_id: group.external_id.to_string(),
        action: Some(group.action),
        cause: Some(group.cause),
        held: is_held,
        join,
        leave,
        text: format!("{what}{renamed}: {join} join, {leave} leave{hold}"),
    }
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

//! Limits: how much may happen without anybody saying so. Holding back what exceeds them is a step on [`Changes`].

mod count;

use std::collections::BTreeMap;

use foldhash::HashSet as FastSet;
use serde::{Deserialize, Serialize};

use self::count::Counts;
pub(crate) use self::count::limit_of_member;
pub(super) use self::count::{is_loss, key_of, key_of_edge, person_key};
use super::changes::{
    Action, Cause, Changes, Edge, GroupAction, GroupChange, Hold, Question, Resend, SlotId, Stopped, Way,
};
use super::ledger::{Approval, Approved, Effect, Ledger, WINDOW};
use super::moment::Moment;
use super::settings::{Limit, OnLimit, Settings};
use crate::rules::ExistingMembers;

/// The limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum LimitName {
    /// `sync.limitRemovals`: people who leave.
    Removals,
    /// `sync.limitLeaves`: memberships lost by people who stay.
    Leaves,
    /// `sync.limitRepairs`: what only drift explains.
    Repairs,
    /// `sync.limitInvites`: invitations.
    Invites,
}

/// A limit, what may be, and what is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitState {
    /// Which.
    pub limit: LimitName,
    /// Number allowed, in this run and the last 24 hours together. None: any number.
    pub allowed: Option<usize>,
    /// Number there would be.
    pub wanted: usize,
    /// Outcome.
    pub outcome: Outcome,
    /// Keys of what counts in this run, with what is done.
    pub keys: BTreeMap<String, Deed>,
}

/// What is done to somebody or something that counts. An approval is for this alone: whoever may leave a group may not therefore see it
/// deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Deed {
    /// A change to a person.
    Member(Action),
    /// A membership that comes or goes.
    Membership(Way),
    /// A change to a whole group; of a membership, the end of the group.
    Group(GroupAction),
}

/// Outcomes of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Within the limit.
    Within,
    /// Exceeded, and let through by an administrator.
    LetThrough,
    /// Exceeded: held back.
    Tripped,
}

impl LimitState {
    /// Whether the limit holds something back.
    pub fn is_holding(&self) -> bool {
        self.outcome == Outcome::Tripped
    }
}

/// Counts, and holds back what exceeds a limit.
pub(super) fn hold(mut changes: Changes, question: &Question<'_>) -> Changes {
    let mut counts = Counts::of(&changes, question);
    if counts.state(LimitName::Invites, question).is_holding() {
        counts.nobody_comes();
    }
    let states: Vec<LimitState> =
        [LimitName::Removals, LimitName::Leaves, LimitName::Repairs, LimitName::Invites]
            .into_iter()
            .map(|limit| counts.state(limit, question))
            .collect();
    let is_tripped = |limit: LimitName| states.iter().any(|state| state.limit == limit && state.is_holding());
    let settings = question.settings;
    let stops = settings.on_limit == OnLimit::Stop || settings.existing == ExistingMembers::Overwrite;
    if stops && states.iter().any(LimitState::is_holding) {
        hold_everything(&mut changes);
        changes.stopped = Stopped::Yes;
    } else {
        if is_tripped(LimitName::Removals) {
            hold_members(&mut changes, |change| is_removal(change.action, change.cause));
        }
        if is_tripped(LimitName::Invites) {
            hold_members(&mut changes, |change| change.action.is_new());
        }
        if is_tripped(LimitName::Repairs) {
            hold_members(&mut changes, |change| change.cause == Cause::Drift);
            changes.groups.iter_mut().for_each(hold_repairs);
        }
        hold_dependents(&mut changes);
        hold_memberships(&mut changes);
        if is_tripped(LimitName::Leaves) {
            let leaving = leaving(&changes);
            changes.groups.iter_mut().for_each(|group| hold_leaves(group, &leaving));
        }
    }
    changes.groups.retain_mut(settle);
    changes.limits = states;
    changes
}

/// Whether somebody leaves in a way that counts: grace has counted when it began, and drift is a repair.
fn is_removal(action: Action, cause: Cause) -> bool {
    action.is_leaving() && !matches!(cause, Cause::Grace | Cause::Drift)
}

fn leaving(changes: &Changes) -> FastSet<SlotId> {
    let leaving = changes.members.iter().filter(|change| change.action.is_leaving());
    leaving.map(|change| change.slot).collect()
}

fn hold_members(changes: &mut Changes, is_held: impl Fn(&super::changes::MemberChange) -> bool) {
    changes.members.iter_mut().filter(|change| is_held(change)).for_each(|change| change.hold = Hold::Held);
}

fn held_slots(changes: &Changes, is_meant: impl Fn(Action) -> bool) -> FastSet<SlotId> {
    let held = changes.members.iter().filter(|change| change.hold != Hold::Free && is_meant(change.action));
    held.map(|change| change.slot).collect()
}

/// Holds those who would get an id or an address that somebody else still has; and those who wait for them.
pub(super) fn hold_dependents(changes: &mut Changes) {
    loop {
        let held = held_slots(changes, |_| true);
        let waits = |change: &super::changes::MemberChange| {
            change.hold == Hold::Free && change.after.is_some_and(|slot| held.contains(&slot))
        };
        if !changes.members.iter().any(waits) {
            break;
        }
        hold_members(changes, |change| waits(change) || change.hold == Hold::Held);
    }
    // Whoever is held keeps the id, by which groups know the person.
    let held =
        held_slots(changes, |action| matches!(action, Action::Relink | Action::Restore | Action::Revoke));
    for slot in held {
        if let Some(slot) = changes.slots.get_mut(slot as usize) {
            slot.after.clone_from(&slot.before);
        }
    }
}

/// Holds memberships: somebody who is not invited joins nothing, somebody whose leaving is held leaves nothing, and no group ends that
/// such a person is in.
fn hold_memberships(changes: &mut Changes) {
    let (staying, absent) = (held_slots(changes, Action::is_leaving), held_slots(changes, Action::is_new));
    if staying.is_empty() && absent.is_empty() {
        return;
    }
    for group in &mut changes.groups {
        if !group.action.is_end() {
            group.leave.retain(|edge| !staying.contains(&edge.slot));
        } else if group.current.iter().any(|slot| staying.contains(slot)) {
            hold_end(group);
        }
        let (held, free) =
            std::mem::take(&mut group.join).into_iter().partition(|edge| absent.contains(&edge.slot));
        group.join = free;
        group.held_join.extend::<Vec<Edge>>(held);
    }
}

fn hold_repairs(group: &mut GroupChange) {
    let is_drift = |edge: &Edge| edge.cause == Cause::Drift;
    let (held, free) = std::mem::take(&mut group.join).into_iter().partition(is_drift);
    group.join = free;
    group.held_join.extend::<Vec<Edge>>(held);
    let (held, free) = std::mem::take(&mut group.leave).into_iter().partition(is_drift);
    group.leave = free;
    group.held_leave.extend::<Vec<Edge>>(held);
    match group.action {
        GroupAction::Create if group.cause == Cause::Drift => {
            group.hold = Hold::Held;
            group.held_join.append(&mut group.join);
        }
        GroupAction::Rename if group.cause == Cause::Drift => group.hold = Hold::Held,
        _ => {}
    }
    if let Some(renamed) = group.renamed.as_mut().filter(|renamed| renamed.cause == Cause::Drift) {
        renamed.hold = Hold::Held;
    }
}

fn hold_leaves(group: &mut GroupChange, leaving: &FastSet<SlotId>) {
    let counts = |edge: &Edge| edge.cause != Cause::Drift && !leaving.contains(&edge.slot);
    if group.action.is_end() {
        if group.leave.iter().any(counts) {
            hold_end(group);
        }
        return;
    }
    let (held, free) = std::mem::take(&mut group.leave).into_iter().partition(counts);
    group.leave = free;
    group.held_leave.extend::<Vec<Edge>>(held);
}

fn hold_end(group: &mut GroupChange) {
    group.held_leave.append(&mut group.leave);
    group.hold = Hold::Held;
}

fn hold_everything(changes: &mut Changes) {
    hold_members(changes, |_| true);
    changes.reinvites.clear();
    for group in &mut changes.groups {
        group.hold = Hold::Held;
        if let Some(renamed) = &mut group.renamed {
            renamed.hold = Hold::Held;
        }
        group.held_join.append(&mut group.join);
        group.held_leave.append(&mut group.leave);
    }
}

/// Says of a group that nothing happens to it, if all of it is held. False if nothing is left of it.
fn settle(group: &mut GroupChange) -> bool {
    for edges in [&mut group.held_join, &mut group.held_leave] {
        edges.sort_unstable_by_key(|edge| edge.slot);
    }
    let is_content = matches!(group.action, GroupAction::Update);
    let is_nothing = group.join.is_empty()
        && group.leave.is_empty()
        && group.free_name().is_none()
        && group.relinked.is_none()
        && group.resend == Resend::No;
    let has_held = group.renamed.is_some() || !group.held_join.is_empty() || !group.held_leave.is_empty();
    if is_content && is_nothing {
        group.hold = Hold::Held;
        return has_held;
    }
    true
}

impl Ledger {
    /// Lets through once what these changes hold back: exactly that or less of it, within the next 24 hours.
    #[must_use]
    pub fn approved(mut self, changes: &Changes, now: Moment) -> Self {
        self.approvals.retain(|approval| approval.until >= now);
        for state in changes.limits.iter().filter(|state| state.is_holding()) {
            self.approvals.retain(|approval| approval.limit != state.limit);
            self.approvals.push(Approval {
                limit: state.limit,
                changes: state.keys.clone(),
                until: now.plus(WINDOW),
            });
        }
        self
    }

    /// Approvals that are good at this time. One that does not say what may be done, of an older release, is good for nothing.
    pub fn approvals(&self, now: Moment) -> impl Iterator<Item = &Approval> {
        self.approvals.iter().filter(move |approval| approval.until >= now && !approval.changes.is_empty())
    }
}

/// Whether what counts in a run is let through as approved.
fn approved(states: &[LimitState], limit: LimitName) -> Approved {
    match states.iter().find(|state| state.limit == limit) {
        Some(LimitState { outcome: Outcome::LetThrough, .. }) => Approved::Yes,
        _ => Approved::No,
    }
}

impl Changes {
    /// What counts towards a limit, unless it is off: what happens meanwhile does not count when it is switched on.
    pub(super) fn counts(&self, limit: LimitName, keys: impl FnOnce() -> Vec<String>) -> Option<Effect> {
        let keys = if self.is_counted(limit) { keys() } else { Vec::new() };
        let approved = self.approved(limit);
        (!keys.is_empty()).then_some(Effect::Counts { limit, keys, approved })
    }

    /// Whether anything counts towards a limit: it is not off.
    fn is_counted(&self, limit: LimitName) -> bool {
        self.limits.iter().find(|state| state.limit == limit).is_none_or(|state| state.allowed.is_some())
    }

    /// Whether an administrator has let through what counts towards a limit.
    fn approved(&self, limit: LimitName) -> Approved {
        approved(&self.limits, limit)
    }
}

fn limit_of(settings: &Settings, limit: LimitName) -> Limit {
    match limit {
        LimitName::Removals => settings.limit_removals,
        LimitName::Leaves => settings.limit_leaves,
        LimitName::Repairs => settings.limit_repairs,
        LimitName::Invites => settings.limit_invites,
    }
}

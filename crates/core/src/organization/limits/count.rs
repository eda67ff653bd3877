//! Numbers that count towards the limits, and those allowed.

use std::collections::{BTreeMap, BTreeSet};

use foldhash::HashSet as FastSet;

use super::{Deed, LimitName, LimitState, Outcome, is_removal, leaving, limit_of};
use crate::entry::{Email, ExternalId};
use crate::organization::changes::{
    Action, Cause, Changes, Edge, GroupAction, GroupChange, MemberChange, Question, SlotId, Way,
};
use crate::organization::ledger::{Approved, Ledger, Standing};
use crate::organization::moment::Moment;
use crate::organization::roster::{Held, Kind, Member, MemberId};
use crate::organization::settings::Limit;
use crate::snapshot::{Coverage, Place};

/// A percentage lets so many people pass in any case.
const FEW_PEOPLE: usize = 5;
/// A percentage lets so many memberships pass in any case.
const FEW_MEMBERSHIPS: usize = 25;

/// Numbers of a run.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts<'a> {
    removals: BTreeMap<String, Deed>,
    leaves: BTreeMap<String, Deed>,
    repaired_people: BTreeMap<String, Deed>,
    repaired_memberships: BTreeMap<String, Deed>,
    invites: BTreeMap<String, Deed>,
    /// Number of invitations where no limit is set: nobody asks who they are.
    free_invites: usize,
    /// Members with an external id that are ours and in, before.
    ours: FastSet<(&'a ExternalId, &'a Email)>,
    /// Members, before.
    members: usize,
    /// Memberships of groups with an external id, before.
    memberships: usize,
    /// Number of people who come.
    coming: usize,
    /// Number of memberships that come.
    joining: usize,
    /// Memberships that end because somebody leaves, or that drift explains.
    other_leaves: usize,
    /// Whether a directory of several has nobody any more, and those who were there leave.
    ends_a_directory: bool,
}

/// Somebody, as counted.
pub(in crate::organization) fn key_of(changes: &Changes, slot: SlotId) -> String {
    let Some(slot) = changes.slot(slot) else { return String::new() };
    match slot.before.as_ref().or(slot.after.as_ref()) {
        Some(id) => person_key(id, &slot.email),
        None => slot.member.as_ref().map_or_else(String::new, |member| format!("member:{member}")),
    }
}

/// Somebody with an external id, as counted.
pub(in crate::organization) fn person_key(id: &ExternalId, email: &Email) -> String {
    format!("{id} {email}")
}

/// A membership, as counted.
pub(in crate::organization) fn key_of_edge(changes: &Changes, group: &GroupChange, slot: SlotId) -> String {
    format!("{}\n{}", group.external_id, key_of(changes, slot))
}

/// Whether a membership that ends counts as lost by somebody who stays.
pub(in crate::organization) fn is_loss(edge: &Edge, leaving: &FastSet<SlotId>) -> bool {
    edge.cause != Cause::Drift && !leaving.contains(&edge.slot)
}

/// Limit towards which a change counts.
pub(crate) fn limit_of_member(change: &MemberChange) -> Option<LimitName> {
    if change.cause == Cause::Drift {
        return Some(LimitName::Repairs);
    }
    match change.action {
        _ if is_removal(change.action, change.cause) => Some(LimitName::Removals),
        Action::Invite => Some(LimitName::Invites),
        _ => None,
    }
}

impl<'a> Counts<'a> {
    pub(super) fn of(changes: &Changes, question: &Question<'a>) -> Self {
        let mut counts = Self::default();
        let leaving = leaving(changes);
        counts.before(changes, question);
        for change in &changes.members {
            counts.member(changes, change, question.settings.limit_invites);
        }
        counts.ends_a_directory = ends_a_directory(changes, question);
        for group in &changes.groups {
            counts.group(changes, group, &leaving);
        }
        counts
    }

    /// Newcomers are held back: nobody takes the place of those who leave.
    pub(super) fn nobody_comes(&mut self) {
        self.coming = 0;
        self.joining = 0;
    }

    fn before(&mut self, changes: &Changes, question: &Question<'a>) {
        let matched = &changes.identities.by_member;
        let leavers = changes.members.iter().filter(|change| change.action.is_leaving());
        let leavers = leavers.filter_map(|change| changes.slot(change.slot)?.member.as_ref());
        let leavers: FastSet<&MemberId> = leavers.collect();
        let is_ours = |member: &&'a Member| {
            let Some(id) = &member.external_id else { return false };
            match question.ledger.person(id).map(|record| record.standing) {
                None => matched.contains_key(&member.id) || leavers.contains(&member.id),
                Some(Standing::In) => true,
                Some(Standing::Grace { .. }) => false,
                Some(Standing::Left { .. }) => {
                    question.roster.kind == Kind::Official && matched.contains_key(&member.id)
                }
            }
        };
        let ours = question.roster.members().filter(is_ours);
        self.members = question.roster.members().count();
        self.ours.reserve(self.members);
        self.ours.extend(ours.filter_map(|member| Some((member.external_id.as_ref()?, &member.email))));
        let groups = question.roster.groups().filter_map(|group| Some((group, group.external_id.as_ref()?)));
        self.memberships = groups
            .map(|(group, id)| match &group.members {
                Held::Read(members) => members.len(),
                Held::Unread => question.ledger.groups.get(id).map_or(0, |group| group.members.len()),
            })
            .sum();
    }

    fn member(&mut self, changes: &Changes, change: &MemberChange, limit_invites: Limit) {
        let (key, deed) = (|| key_of(changes, change.slot), Deed::Member(change.action));
        self.coming += usize::from(!change.action.is_leaving() && change.action != Action::Relink);
        match limit_of_member(change) {
            Some(LimitName::Repairs) => drop(self.repaired_people.insert(key(), deed)),
            Some(LimitName::Removals) => drop(self.removals.insert(key(), deed)),
            Some(LimitName::Invites | LimitName::Leaves) | None => {}
        }
        match (change.action, limit_invites) {
            (Action::Invite, Limit::Off) => self.free_invites += 1,
            (Action::Invite, Limit::Number(_) | Limit::Percent(_)) => {
                self.invites.insert(key(), deed);
            }
            _ => {}
        }
    }

    fn group(&mut self, changes: &Changes, group: &GroupChange, leaving: &FastSet<SlotId>) {
        let key = |slot: SlotId| key_of_edge(changes, group, slot);
        let goes =
            if group.action.is_end() { Deed::Group(group.action) } else { Deed::Membership(Way::Leave) };
        self.joining += group.join.len();
        for edge in &group.leave {
            if is_loss(edge, leaving) {
                self.leaves.insert(key(edge.slot), goes);
            } else {
                self.other_leaves += 1;
            }
        }
        let joins = group.join.iter().map(|edge| (edge, Deed::Membership(Way::Join)));
        let leaves = group.leave.iter().map(|edge| (edge, goes));
        let drift = joins.chain(leaves).filter(|(edge, _)| edge.cause == Cause::Drift);
        self.repaired_memberships.extend(drift.map(|(edge, deed)| (key(edge.slot), deed)));
        if group.is_repair() {
            self.repaired_memberships.insert(group.external_id.to_string(), repair(group));
        }
    }

    pub(super) fn state(&self, limit: LimitName, question: &Question<'_>) -> LimitState {
        let setting = limit_of(question.settings, limit);
        let keys = self.keys(limit);
        let lately = Lately::of(question.ledger, limit, question.now);
        let wanted = match setting {
            // Nothing counts towards it, and what did before it was off is of no use.
            Limit::Off if limit == LimitName::Invites => self.free_invites,
            Limit::Off => keys.len(),
            Limit::Number(_) | Limit::Percent(_) => with_lately(&keys, &lately.counting),
        };
        let (allowed, wanted) = self.allowed(limit, setting, &lately, wanted);
        let is_over = allowed.is_some_and(|allowed| wanted > allowed)
            || (matches!(setting, Limit::Percent(_)) && self.is_the_last(limit));
        let outcome = match is_over && !keys.is_empty() {
            false => Outcome::Within,
            true if is_let_through(question, limit, &keys) => Outcome::LetThrough,
            true => Outcome::Tripped,
        };
        LimitState { limit, allowed, wanted, outcome, keys }
    }

    fn keys(&self, limit: LimitName) -> BTreeMap<String, Deed> {
        match limit {
            LimitName::Removals => self.removals.clone(),
            LimitName::Leaves => self.leaves.clone(),
            LimitName::Repairs => {
                let all = self.repaired_people.iter().chain(&self.repaired_memberships);
                all.map(|(key, deed)| (key.clone(), *deed)).collect()
            }
            LimitName::Invites => self.invites.clone(),
        }
    }

    /// Number allowed, of those there before this run and those who left in the last 24 hours.
    fn allowed(
        &self,
        limit: LimitName,
        setting: Limit,
        lately: &Lately,
        wanted: usize,
    ) -> (Option<usize>, usize) {
        let percent = match setting {
            Limit::Off => return (None, wanted),
            Limit::Number(number) => return (Some(number), wanted),
            Limit::Percent(percent) => usize::from(percent),
        };
        let part = |of: usize, few: usize| (of.saturating_mul(percent) / 100).max(few);
        let allowed = match limit {
            LimitName::Removals => part(self.ours_and(&lately.all), FEW_PEOPLE),
            LimitName::Leaves => part(self.memberships + lately.all.len(), FEW_MEMBERSHIPS),
            LimitName::Invites => part(self.members, FEW_PEOPLE),
            LimitName::Repairs => return self.repairs(lately, part, wanted),
        };
        (Some(allowed), wanted)
    }

    /// People are judged by themselves besides: a few of them are more than a few memberships.
    fn repairs(
        &self,
        lately: &Lately,
        part: impl Fn(usize, usize) -> usize,
        wanted: usize,
    ) -> (Option<usize>, usize) {
        let people: BTreeSet<String> =
            lately.counting.iter().filter(|key| !key.contains('\n')).cloned().collect();
        let people = with_lately(&self.repaired_people, &people);
        let of_people = part(self.members + self.repaired_people.len(), FEW_PEOPLE);
        if people > of_people {
            return (Some(of_people), people);
        }
        let there = self.members + self.repaired_people.len() + self.memberships;
        (Some(part(there, FEW_MEMBERSHIPS)), wanted)
    }

    fn keys_of_ours(&self) -> impl Iterator<Item = String> {
        self.ours.iter().map(|(id, email)| person_key(id, email))
    }

    /// Number of those who are ours, and of those who were lately.
    fn ours_and(&self, lately: &BTreeSet<String>) -> usize {
        let twice = if lately.is_empty() {
            0
        } else {
            self.keys_of_ours().filter(|key| lately.contains(key)).count()
        };
        self.ours.len() + lately.len() - twice
    }

    fn are_all_removed(&self) -> bool {
        self.ours.len() <= self.removals.len()
            && self.keys_of_ours().all(|key| self.removals.contains_key(&key))
    }

    /// Whether nobody, or no membership, would be left, and nothing comes in the same run.
    fn is_the_last(&self, limit: LimitName) -> bool {
        match limit {
            LimitName::Removals => self.ends_a_directory || (self.coming == 0 && self.are_all_removed()),
            LimitName::Leaves => {
                self.joining == 0 && self.memberships <= self.leaves.len() + self.other_leaves
            }
            LimitName::Repairs | LimitName::Invites => false,
        }
    }
}

/// Whether a complete read of one of several directories yields nobody, where people were who leave now: beside a large directory, the loss
/// of a small one is within a percentage.
fn ends_a_directory(changes: &Changes, question: &Question<'_>) -> bool {
    let sources = &question.directory.sources;
    if sources.len() < 2 {
        return false;
    }
    let mut is_lived_in = vec![false; sources.len()];
    for entry in question.directory.people.iter().filter(|entry| entry.state.is_living()) {
        if let Some(is_lived_in) = is_lived_in.get_mut(entry.source) {
            *is_lived_in = true;
        }
    }
    let empty = sources
        .iter()
        .zip(is_lived_in)
        .filter(|(source, is_lived_in)| source.coverage == Coverage::Full && !is_lived_in);
    let empty: FastSet<&Place> = empty.filter_map(|(source, _)| source.place.as_ref()).collect();
    let missing = changes.members.iter().filter(|change| change.cause == Cause::Missing);
    let ids = missing.filter_map(|change| changes.slot(change.slot)?.before.as_ref());
    let mut places = ids.filter_map(|id| question.ledger.person(id)).flat_map(|record| record.places.iter());
    places.any(|place| empty.contains(place))
}

/// Events of the last 24 hours.
struct Lately {
    /// Those that count: nobody has let them through.
    counting: BTreeSet<String>,
    all: BTreeSet<String>,
}

impl Lately {
    fn of(ledger: &Ledger, limit: LimitName, now: Moment) -> Self {
        let all = || ledger.lately(limit, now);
        let counting = all().filter(|counted| counted.approved == Approved::No);
        Self {
            counting: counting.map(|counted| counted.key.clone()).collect(),
            all: all().map(|counted| counted.key.clone()).collect(),
        }
    }
}

/// Number of those who count in this run or did lately, each once.
fn with_lately(keys: &BTreeMap<String, Deed>, lately: &BTreeSet<String>) -> usize {
    keys.len() + lately.iter().filter(|key| !keys.contains_key(*key)).count()
}

/// How a group itself is put back.
fn repair(group: &GroupChange) -> Deed {
    match group.action {
        GroupAction::Create => Deed::Group(GroupAction::Create),
        _ => Deed::Group(GroupAction::Rename),
    }
}

fn is_let_through(question: &Question<'_>, limit: LimitName, keys: &BTreeMap<String, Deed>) -> bool {
    let by_number = limit == LimitName::Removals
        && question.settings.allow_removals.is_some_and(|number| keys.len() <= number);
    let mut approvals = question.ledger.approvals(question.now);
    by_number || approvals.any(|approval| approval.limit == limit && approval.lets_through(keys))
}

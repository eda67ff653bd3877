//! Effects of requests on the ledger, beside the entries they are made of.

use std::sync::Arc;

use foldhash::HashSet as FastSet;
use smallvec::SmallVec;

use super::{Step, Writing};
use crate::entry::{Email, ExternalId};
use crate::import::{ImportMember, ImportRequest};
use crate::organization::changes::{Action, Cause, GroupChange, MemberChange, Slot, SlotId};
use crate::organization::ledger::{Afterwards, Effect};
use crate::organization::limits::{LimitName, is_loss, key_of, key_of_edge, limit_of_member};
use crate::organization::server::Call;
use crate::plan::BATCH_SIZE;

/// Which single calls are meant.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Those for leavers.
    Leaving,
    /// Those for people who stay.
    Staying,
}

/// Effects of an entry: one, mostly.
pub(super) type Effects = SmallVec<[Effect; 1]>;

/// Entries of an import, each with what it means for the ledger.
#[derive(Default)]
pub(super) struct Lines(Vec<(ImportMember, Effects)>);

impl Lines {
    pub(super) fn with_capacity(entries: usize) -> Self {
        Self(Vec::with_capacity(entries))
    }

    pub(super) fn add(&mut self, member: ImportMember, effects: Effects) {
        self.0.push((member, effects));
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// In the order of external ids, those who stay first. Before all of them those whose id changes, since it frees ids.
    pub(super) fn sorted(mut self) -> Self {
        let renames =
            |effects: &[Effect]| effects.iter().any(|effect| matches!(effect, Effect::Renamed { .. }));
        self.0.sort_by(|(a, first), (b, second)| {
            let a = (!renames(first), &a.external_id, a.deleted, &a.email);
            a.cmp(&(!renames(second), &b.external_id, b.deleted, &b.email))
        });
        self
    }

    pub(super) fn ids_and_addresses(&self) -> (FastSet<ExternalId>, FastSet<Email>) {
        let entries = || self.0.iter().map(|(entry, _)| entry);
        (
            entries().map(|entry| entry.external_id.clone()).collect(),
            entries().filter_map(|entry| entry.email.clone()).collect(),
        )
    }

    pub(super) fn into_parts(self) -> (Vec<ImportMember>, Vec<Effect>) {
        parts(self.0.into_iter())
    }

    /// Each at most 2,000 entries.
    pub(super) fn into_steps(self, request: impl Fn(Vec<ImportMember>) -> ImportRequest) -> Vec<Step> {
        let mut steps = Vec::new();
        let mut rest = self.0.into_iter();
        while !rest.as_slice().is_empty() {
            let (members, effects) = parts(rest.by_ref().take(BATCH_SIZE));
            steps.push(Step { call: Call::Import(request(members)), effects: effects.into() });
        }
        steps
    }
}

fn parts(lines: impl Iterator<Item = (ImportMember, Effects)>) -> (Vec<ImportMember>, Vec<Effect>) {
    let entries = lines.size_hint().0;
    let (mut members, mut all) = (Vec::with_capacity(entries), Vec::with_capacity(entries));
    for (member, effects) in lines {
        members.push(member);
        all.extend(effects);
    }
    (members, all)
}

impl Writing<'_> {
    /// Effects of a change on the ledger.
    pub(super) fn effect(&self, change: &MemberChange, slot: &Slot) -> Effects {
        let (before, after) = (slot.before.clone(), slot.after.clone());
        let email = slot.email.clone();
        let mut effects = Effects::new();
        match change.action {
            Action::Invite | Action::Stage | Action::Adopt | Action::Restore | Action::Relink => {
                if let (Some(id), None) = (&before, &after) {
                    effects.push(Effect::Released(id.clone()));
                }
                if let (Some(from), Some(to)) = (&before, &after)
                    && from != to
                {
                    effects.push(Effect::Renamed { from: from.clone(), to: to.clone() });
                }
                let directory_id = change.directory_id.clone().or_else(|| after.clone());
                if let (Some(id), Some(directory_id)) = (after.clone(), directory_id)
                    && (change.action != Action::Relink || self.is_vaultwarden())
                {
                    effects.push(Effect::In { action: change.action, id, email, directory_id });
                }
                let protection = self.changes.protections.get(&change.slot);
                if let (Some(id), Some(protection)) = (after, protection)
                    && matches!(change.action, Action::Invite | Action::Stage | Action::Restore)
                {
                    effects.push(Effect::Protected { id, protection: Arc::clone(protection) });
                }
            }
            Action::Revoke | Action::Remove | Action::Wait => effects.extend(self.out(change, slot)),
        }
        if let Some(limit) = limit_of_member(change) {
            let key = || vec![key_of(self.changes, change.slot)];
            effects.extend(self.changes.counts(limit, key));
            if change.action == Action::Invite && limit != LimitName::Invites {
                effects.extend(self.changes.counts(LimitName::Invites, key));
            }
        }
        effects
    }

    fn out(&self, change: &MemberChange, slot: &Slot) -> Option<Effect> {
        let (id, email) = (slot.before.clone()?, slot.email.clone());
        if let Some((until, by)) = change.grace {
            return Some(Effect::Grace { id, email, until, cause: change.cause, by });
        }
        let becomes = slot.after.clone().unwrap_or_else(|| id.clone());
        let member = match change.action {
            Action::Revoke => Afterwards::Revoked,
            _ => Afterwards::Removed,
        };
        Some(Effect::Out { id, becomes, email, cause: change.cause, member })
    }

    /// Limits towards which a change of a group counts.
    pub(super) fn counts_of(&self, group: &GroupChange, leaving: &FastSet<SlotId>) -> Vec<Effect> {
        let key = |slot: SlotId| key_of_edge(self.changes, group, slot);
        let lost = group.leave.iter().filter(|edge| is_loss(edge, leaving));
        let edges = group.join.iter().chain(&group.leave);
        let repaired = edges.filter(|edge| edge.cause == Cause::Drift);
        let lost = self.changes.counts(LimitName::Leaves, || lost.map(|edge| key(edge.slot)).collect());
        let repaired =
            self.changes.counts(LimitName::Repairs, || repaired.map(|edge| key(edge.slot)).collect());
        lost.into_iter().chain(repaired).collect()
    }
}

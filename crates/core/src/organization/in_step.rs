//! Evidence that a run found nothing to do: the next one that finds the same directory and the same organization has nothing to do either,
//! and neither reads its ledger nor decides anew.
//!
//! [`changes()`](super::changes()) is a pure function of the directory, the organization, the settings, the ledger and the time. Evidence has a digest of
//! the first three, is kept beside the ledger, and is forgotten when that is written. Where time alone may change the answer, there is none.

use std::collections::BTreeMap;

use foldhash::HashMap as FastMap;
use serde::{Deserialize, Serialize};

use super::changes::{Changes, INVITATION, Stopped, Warning};
use super::ledger::{Due, Ledger, Standing, Times, turns};
use super::moment::{Moment, Span};
use super::roster::{Basis, GroupId, Held, MemberId, Roster};
use super::settings::Settings;
use crate::entry::ExternalId;
use crate::rules::ExistingMembers;
use crate::text::digest;

/// Time for which evidence is good: whatever it does not foresee is found out after a day.
const GOOD_FOR: Span = Span::DAY;

/// Evidence of a run that found nothing to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Evidence {
    /// Digest of everything that was read and is set.
    of: String,
    /// Time of the run.
    at: Moment,
    /// Time at which it is good no more.
    until: Moment,
    /// Groups of ours whose memberships can be read, by external id.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    groups: BTreeMap<ExternalId, GroupEvidence>,
    /// Facts that an administrator should know after every run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Warning>,
}

/// A group as it was left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct GroupEvidence {
    id: GroupId,
    /// Digest of the members' ids, in order.
    members: String,
}

impl Evidence {
    /// Evidence of a run that found nothing to do; `of` is the digest of what was read and is set, `ledger` what the run leaves. None where
    /// there was something to do, something waits for an approval, or time alone may bring something to do.
    pub fn of(
        of: impl FnOnce() -> String,
        roster: &Roster,
        ledger: &Ledger,
        settings: &Settings,
        changes: &Changes,
        now: Moment,
    ) -> Option<Self> {
        if !(is_at_rest(changes) && is_timeless(settings) && ledger.is_at_rest()) {
            return None;
        }
        let groups = match roster.basis {
            Basis::Live => groups(roster, ledger)?,
            Basis::Ledger => BTreeMap::new(),
        };
        let until = ledger.expiries(now).fold(now.plus(GOOD_FOR), Moment::min);
        Some(Self { of: of(), at: now, until, groups, warnings: changes.warnings.clone() })
    }

    /// Whether it speaks of a run that has read the same, and lately.
    pub fn is_about(&self, of: &str, now: Moment) -> bool {
        // A clock that was set back makes it old, too.
        self.of == of && (self.at..self.until).contains(&now)
    }

    /// Groups whose memberships are due to be read, as [`Ledger::to_read`] takes them in turn.
    pub fn due(&self, times: &Times, settings: &Settings, now: Moment) -> Vec<(&GroupId, &ExternalId)> {
        let groups = self.groups.iter().map(|(id, group)| (times.verified(id), (&group.id, id)));
        turns(groups.collect(), times.ran(), settings, now)
    }

    /// Whether a group has the members that it was left with.
    pub fn is_as_left(&self, group: &ExternalId, members: &Held) -> bool {
        match members {
            Held::Read(members) => {
                self.groups.get(group).is_some_and(|group| group.members == members_digest(members))
            }
            Held::Unread => false,
        }
    }
}

fn members_digest(members: &[MemberId]) -> String {
    digest(members.iter().map(MemberId::as_str))
}

fn is_at_rest(changes: &Changes) -> bool {
    changes.members.is_empty()
        && changes.groups.is_empty()
        && changes.reinvites.is_empty()
        && changes.waiting.is_empty()
        && changes.stopped == Stopped::No
        && !changes.is_held()
}

/// Groups that protect their members are read in every run, and compared as they are.
fn is_timeless(settings: &Settings) -> bool {
    settings.reinvite.is_none()
        && settings.allow_removals.is_none()
        && settings.protect.groups.is_empty()
        && settings.existing == ExistingMembers::Keep
}

/// Members as they were imported. None where others were read: only of a group that the directory does not have any more does that bring
/// nothing to do.
fn groups(roster: &Roster, ledger: &Ledger) -> Option<BTreeMap<ExternalId, GroupEvidence>> {
    let mut ids: FastMap<&ExternalId, &MemberId> = FastMap::default();
    ids.extend(roster.members().filter_map(|member| Some((member.external_id.as_ref()?, &member.id))));
    let mut groups = BTreeMap::new();
    for group in roster.groups() {
        let Some(id) = &group.external_id else { continue };
        let Some(record) = ledger.groups.get(id) else { continue };
        let imported = Held::of(record.members.iter().filter_map(|id| ids.get(id).copied().cloned()));
        if group.members != Held::Unread && group.members != imported {
            return None;
        }
        let members = members_digest(imported.known());
        groups.insert(id.clone(), GroupEvidence { id: group.id.clone(), members });
    }
    Some(groups)
}

impl Ledger {
    /// Times to come at which an invitation expires: that is told.
    fn expiries(&self, now: Moment) -> impl Iterator<Item = Moment> {
        let invited = self.people().filter_map(|(_, record)| record.invited);
        invited.map(|invited| invited.last.plus(INVITATION)).filter(move |at| *at > now)
    }

    /// Whether nothing in it waits for the next run, for a time or for an answer.
    fn is_at_rest(&self) -> bool {
        let is_waiting = |standing: &Standing| matches!(standing, Standing::Grace { .. });
        self.due == Due::Changes
            && self.journal.is_none()
            && self.approvals.is_empty()
            && self.people().all(|(_, record)| {
                record.doubt.is_none() && record.protection.is_none() && !is_waiting(&record.standing)
            })
            && self.groups().all(|(_, group)| !group.unsure)
    }
}

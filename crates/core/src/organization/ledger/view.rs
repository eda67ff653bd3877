//! The ledger as a roster, and which memberships are to be read.

use foldhash::{HashMap as FastMap, HashSet as FastSet};

use super::{Afterwards, Doubt, Due, Ledger, RevokedBy, Standing};
use crate::entry::ExternalId;
use crate::organization::changes::{Changes, Question};
use crate::organization::moment::{Moment, Span};
use crate::organization::roster::{
    Account, Basis, Former, Group, GroupId, Held, Kind, Member, MemberId, Role, Roster, Status,
};
use crate::organization::settings::{Settings, VanishedGroups};
use crate::rules::ExistingMembers;

impl Ledger {
    /// Organization as our imports left it, for a server that cannot be read.
    pub fn roster(&self, kind: Kind) -> Roster {
        let mut members = Vec::with_capacity(self.people.len());
        let mut ids: FastMap<&ExternalId, MemberId> = FastMap::default();
        for (id, record) in self.people.iter() {
            let Some(status) = status(record.standing, kind) else { continue };
            let member = MemberId::from(format!("ledger:{id}"));
            // Who may not be there is in no group.
            if record.doubt != Some(Doubt::Membership) {
                ids.insert(id, member.clone());
            }
            members.push(Member {
                id: member,
                email: record.email.clone(),
                external_id: Some(id.clone()),
                status,
                role: Role::User,
                account: Account::Linked,
            });
        }
        let mut roster = Roster::new(kind, Basis::Ledger).with_members(members);
        for (id, group) in &self.groups {
            roster.put_group(Group {
                id: GroupId::from(format!("ledger:{id}")),
                name: group.name.clone(),
                external_id: Some(id.clone()),
                members: Held::of(group.members.iter().filter_map(|member| ids.get(member).cloned())),
            });
        }
        roster
    }

    /// The same organization, whose members share the texts of ids and addresses with the ledger: it takes less room, and is compared
    /// sooner.
    #[must_use]
    pub fn sharing(&self, mut roster: Roster) -> Roster {
        for member in roster.members.values_mut() {
            let Some((id, record)) = member.external_id.as_ref().and_then(|id| self.people.entry(id)) else {
                continue;
            };
            member.external_id = Some(id.clone());
            if member.email == record.email {
                member.email = record.email.clone();
            }
        }
        roster
    }

    /// Groups whose memberships must be read before [`changes()`](crate::organization::changes()) is asked again; `changes` is its first
    /// answer. The question's roster has all members, and all groups without their memberships. `plan` reads those of all groups with an external id instead.
    ///
    /// These are: groups whose import differs from the ledger, groups that were never read, all where everything is sent, and of the others in turn so many that each is
    /// read within `sync.verifyEvery`.
    pub fn to_read(question: &Question<'_>, changes: &Changes) -> Vec<GroupId> {
        let mut wanted: Vec<GroupId> =
            changes.groups.iter().filter_map(|change| change.group.clone()).collect();
        let Question { roster, ledger, settings, directory, .. } = question;
        let of_directory: FastSet<&ExternalId> =
            directory.groups.iter().map(|group| &group.external_id).collect();
        // An import of everything names all members of each group.
        let sends_all = ledger.due == Due::Everything || settings.existing == ExistingMembers::Overwrite;
        let is_needed = |id: &ExternalId| {
            let record = ledger.groups.get(id);
            let is_ended = settings.vanished_groups != VanishedGroups::Keep && record.is_some();
            let was_never_read = record.is_none_or(|record| record.verified.is_none());
            (was_never_read || sends_all) && (is_ended || of_directory.contains(id))
        };
        for group in roster.groups() {
            let is_protected = settings.protect.has_group(&group.name);
            if is_protected || group.external_id.as_ref().is_some_and(is_needed) {
                wanted.push(group.id.clone());
            }
        }
        wanted.extend(in_turn(question));
        wanted.sort_unstable();
        wanted.dedup();
        wanted
    }
}

impl Question<'_> {
    /// Whether the memberships that were read of these groups are those of the ledger: then the first answer stands. Not so of groups
    /// that protect their members.
    pub fn is_as_imported(&self, groups: &[GroupId]) -> bool {
        let Question { roster, ledger, settings, .. } = self;
        // Of several members with one id, `changes` takes the last.
        let mut ids: FastMap<&ExternalId, &MemberId> = FastMap::default();
        ids.reserve(if groups.is_empty() { 0 } else { ledger.people.len() });
        if !groups.is_empty() {
            ids.extend(
                roster.members().filter_map(|member| Some((member.external_id.as_ref()?, &member.id))),
            );
        }
        groups.iter().all(|id| {
            let Some(group) = roster.group(id) else { return false };
            let imported = group.external_id.as_ref().and_then(|id| ledger.groups.get(id));
            let (Held::Read(read), Some(imported)) = (&group.members, imported) else { return false };
            let found = imported.members.iter().filter_map(|id| ids.get(id).copied().cloned());
            let is_protected = settings.protect.has_group(&group.name);
            !is_protected && read.len() == imported.members.len() && Held::of(found) == group.members
        })
    }
}

fn in_turn(question: &Question<'_>) -> Vec<GroupId> {
    let Question { roster, ledger, settings, now, .. } = question;
    let groups = roster.groups().filter_map(|group| {
        let record = ledger.groups.get(group.external_id.as_ref()?)?;
        Some((record.verified, &group.id))
    });
    turns(groups.collect(), ledger.ran, settings, *now).into_iter().cloned().collect()
}

/// Of groups with the time at which each was last read: the longest not read, as many as the time since the last run asks for.
pub(in crate::organization) fn turns<T: Ord>(
    mut groups: Vec<(Option<Moment>, T)>,
    ran: Option<Moment>,
    settings: &Settings,
    now: Moment,
) -> Vec<T> {
    let Some(every) = settings.verify_every else { return Vec::new() };
    groups.sort_unstable();
    let since = ran.map_or(every, |ran| now.since(ran)).min(every);
    let quota = match every {
        Span(0) => groups.len(),
        Span(every) => {
            let due = (groups.len() as u64).saturating_mul(since.0).div_ceil(every);
            usize::try_from(due).unwrap_or(groups.len())
        }
    };
    let overdue = |verified: &Option<_>| verified.is_none_or(|verified| now.since(verified) >= every);
    let due = groups.into_iter().enumerate().filter(|(at, (verified, _))| *at < quota || overdue(verified));
    due.map(|(_, (_, group))| group).collect()
}

/// None of those whom the server does not have any more.
fn status(standing: Standing, kind: Kind) -> Option<Status> {
    match (standing, kind) {
        (Standing::In | Standing::Grace { by: RevokedBy::Hand, .. }, Kind::Official) => {
            Some(Status::Confirmed)
        }
        (Standing::In, Kind::Vaultwarden) => Some(Status::Confirmed),
        (Standing::Left { member: Afterwards::Removed, .. }, _) => None,
        (Standing::Grace { .. } | Standing::Left { .. }, _) => Some(Status::Revoked(Former::Unknown)),
    }
}

//! Records of runs: before and after a run, the organization held what its record says.

use std::collections::BTreeSet;

use bwdc_core::entry::ExternalId;
use bwdc_core::organization::record::{
    GroupEntry, GroupMember, GroupState, Made, MemberEntry, MemberState, RunRecord, StatusWord,
};
use bwdc_core::organization::roster::{Basis, Group, Held, Member, Roster};

/// Compares what a record says was made with the organization before and after.
pub(crate) fn check(record: &RunRecord, before: &Roster, after: &Roster) -> Result<(), String> {
    let comparison = Comparison { record, before, after };
    record.members.iter().try_for_each(|entry| comparison.member(entry))?;
    record.groups.iter().try_for_each(|entry| comparison.group(entry))
}

/// Whether a record names every member who is not as before.
pub(crate) fn is_complete(record: &RunRecord, before: &Roster, after: &Roster) -> Result<(), String> {
    let states = |entry: &MemberEntry| [entry.before.clone(), entry.after.clone()];
    let named: BTreeSet<String> =
        record.members.iter().flat_map(states).flatten().map(|state| state.email.to_string()).collect();
    let same = |member: &Member, roster: &Roster| roster.member(&member.id) == Some(member);
    let changed = before.members().filter(|member| !same(member, after));
    let changed = changed.chain(after.members().filter(|member| !same(member, before)));
    match changed.into_iter().find(|member| !named.contains(member.email.as_str())) {
        Some(member) => Err(format!("{} changed, and the record does not say so", member.email)),
        None => Ok(()),
    }
}

struct Comparison<'a> {
    record: &'a RunRecord,
    before: &'a Roster,
    after: &'a Roster,
}

impl Comparison<'_> {
    fn member(&self, entry: &MemberEntry) -> Result<(), String> {
        if let Some(state) = &entry.before {
            self.has(self.before, state)?;
            for (id, name) in &state.groups {
                let group = group(self.before, id).filter(|group| group.name == *name);
                let member = member(self.before, state);
                let is_in = match group.map(|group| &group.members) {
                    // Not read in this run: the ledger says it.
                    Some(Held::Unread) => true,
                    Some(Held::Read(members)) => member.is_some_and(|member| members.contains(&member.id)),
                    None => false,
                };
                if !is_in {
                    return Err(format!("{} was not in {name}", state.email));
                }
            }
        }
        if entry.made != Made::Yes {
            return Ok(());
        }
        match (&entry.after, &entry.before) {
            (Some(state), _) => self.has(self.after, state),
            (None, Some(state)) if member(self.after, state).is_some_and(|left| !self.is_made_anew(left)) => {
                Err(format!("{state:?} is there still"))
            }
            (None, _) => Ok(()),
        }
    }

    /// Whether somebody was removed and invited again, with the same id and address.
    fn is_made_anew(&self, member: &Member) -> bool {
        self.before.member(&member.id).is_none()
    }

    fn has(&self, roster: &Roster, state: &MemberState) -> Result<(), String> {
        let Some(member) = member(roster, state) else { return Err(format!("{state:?} is not there")) };
        let is_revoked = |status: StatusWord| status == StatusWord::Revoked;
        let status = StatusWord::from(member.status);
        // The ledger knows of nobody whether an invitation was accepted.
        let is_same = match self.record.basis {
            Basis::Live => status == state.status,
            Basis::Ledger => is_revoked(status) == is_revoked(state.status),
        };
        if is_same && member.role == state.role { Ok(()) } else { Err(format!("{state:?} is {member:?}")) }
    }

    fn group(&self, entry: &GroupEntry) -> Result<(), String> {
        let wrong = |what: String| Err(format!("{what}\n{entry:#?}"));
        let before = match &entry.before {
            Some(state) => known(self.before, state).ok_or_else(|| format!("{state:?} was not there"))?,
            None => BTreeSet::new(),
        };
        if entry.before.as_ref().is_some_and(|state| state.members != before.len()) {
            return wrong(format!("before there were {before:?}"));
        }
        let emails = |members: &[GroupMember]| -> BTreeSet<String> {
            members.iter().map(|member| member.email.to_string()).collect()
        };
        let (join, leave) = (emails(&entry.join), emails(&entry.leave));
        if !leave.is_subset(&before) {
            return wrong(format!("not all who leave were in it: {before:?}"));
        }
        if entry.made != Made::Yes {
            return Ok(());
        }
        let Some(state) = &entry.after else {
            let id = entry.before.as_ref().map(|state| state.external_id.as_str()).unwrap_or_default();
            return match group(self.after, id) {
                Some(_) => wrong("it is there still".to_owned()),
                None => Ok(()),
            };
        };
        let after = known(self.after, state).ok_or_else(|| format!("{state:?} is not there"))?;
        let removed: BTreeSet<String> = self
            .record
            .members
            .iter()
            .filter(|member| member.after.is_none() && member.made == Made::Yes)
            .filter_map(|member| Some(member.before.as_ref()?.email.to_string()))
            .collect();
        let mut expected: BTreeSet<String> = before.difference(&leave).cloned().collect();
        expected.retain(|email| !removed.contains(email));
        expected.extend(join);
        if after != expected || state.members != after.len() {
            return wrong(format!("it has {after:?} instead of {expected:?}"));
        }
        Ok(())
    }
}

fn member<'a>(roster: &'a Roster, state: &MemberState) -> Option<&'a Member> {
    let id = |member: &Member| member.external_id.as_ref().map(ExternalId::shared);
    roster.members().find(|member| member.email.as_str() == &*state.email && id(member) == state.external_id)
}

fn group<'a>(roster: &'a Roster, id: &str) -> Option<&'a Group> {
    roster.groups().find(|group| group.external_id.as_ref().is_some_and(|other| other.as_str() == id))
}

/// Addresses of the members of a group with this id and this name.
fn known(roster: &Roster, state: &GroupState) -> Option<BTreeSet<String>> {
    let group = group(roster, &state.external_id).filter(|group| group.name == state.name)?;
    Some(group.members.known().iter().filter_map(|id| Some(roster.member(id)?.email.to_string())).collect())
}

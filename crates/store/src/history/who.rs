//! Whom and what an entry is about.

use std::collections::BTreeSet;

use bwdc_core::organization::record::{GroupEntry, GroupMember, GroupState, MemberEntry, MemberState};

use super::Entry;

/// Addresses, ids and names that are looked for. Case makes no difference.
#[derive(Clone, Debug)]
pub struct Sought {
    /// As somebody typed them.
    typed: BTreeSet<String>,
    /// Others, of the same person or group.
    others: BTreeSet<String>,
    /// Ids on the server, in `others` as well.
    members: BTreeSet<String>,
    /// As they stand in a line.
    written: Vec<String>,
}

impl Sought {
    /// What somebody typed.
    pub fn new(who: &str) -> Self {
        Self::any([who])
    }

    /// Several names of one person or group.
    pub fn any<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let typed = names.into_iter().map(|name| name.trim().to_lowercase()).collect();
        Self { typed, others: BTreeSet::new(), members: BTreeSet::new(), written: Vec::new() }.with_written()
    }

    fn with_written(mut self) -> Self {
        let all = self.typed.iter().chain(&self.others);
        self.written = all.map(|text| serde_json::Value::from(text.as_str()).to_string()).collect();
        self
    }

    /// With the other addresses, ids and names that these entries have for the same person or group: those before and after a change
    /// of it, and its id on the server.
    pub(super) fn following<'a>(&self, entries: impl IntoIterator<Item = &'a Entry>) -> Self {
        let mut sought = self.clone();
        for entry in entries {
            let names = match entry {
                Entry::Member(entry) if self.is_person(entry) => {
                    sought.members.extend(entry.member_id.iter().map(|id| id.to_lowercase()));
                    of_member(entry)
                }
                Entry::Group(entry) if self.is_group(entry) => of_group(entry),
                Entry::Member(_) | Entry::Group(_) => Vec::new(),
            };
            let names = names.into_iter().filter(|text| !text.is_empty()).map(str::to_lowercase);
            sought.others.extend(names.filter(|text| !self.typed.contains(text)));
        }
        sought.with_written()
    }

    /// Number of names.
    pub(super) fn len(&self) -> usize {
        self.written.len()
    }

    /// Whether it is worth to understand a line.
    pub(super) fn may_be_in(&self, line: &str) -> bool {
        let line = line.to_lowercase();
        self.written.iter().any(|text| line.contains(text))
    }

    /// Whether an entry is about it, before or after.
    pub(super) fn is_in(&self, entry: &Entry) -> bool {
        match entry {
            Entry::Member(entry) => self.is_in_member(entry),
            Entry::Group(entry) => self.is_in_group(entry),
        }
    }

    /// Whether a group itself is it, before or after.
    pub fn is_group(&self, GroupEntry { group_id, before, after, .. }: &GroupEntry) -> bool {
        let is_in_state =
            |GroupState { name, external_id, .. }: &GroupState| self.is(name) || self.is(external_id);
        self.is_some(group_id.as_deref()) || before.iter().chain(after).any(is_in_state)
    }

    /// Whether somebody in a group is it.
    pub fn is_member(&self, GroupMember { email, external_id }: &GroupMember) -> bool {
        self.is(email) || self.is_some(external_id.as_deref())
    }

    fn is_in_member(&self, entry: &MemberEntry) -> bool {
        let states = entry.before.iter().chain(&entry.after);
        let mut groups = states.flat_map(|state| &state.groups);
        self.is_person(entry) || groups.any(|(id, name)| self.is(id) || self.is(name))
    }

    /// Whether a member is it, before or after.
    pub fn is_person(&self, MemberEntry { member_id, before, after, .. }: &MemberEntry) -> bool {
        let is_in_state = |MemberState { email, external_id, .. }: &MemberState| {
            self.is(email) || self.is_some(external_id.as_deref())
        };
        // Somebody else may have the address or the id of before by now.
        let is_another = || {
            let is_known = |id: &String| self.members.contains(&id.to_lowercase());
            let is_typed = |text: &str| self.typed.contains(&text.to_lowercase());
            let mut states = before.iter().chain(after);
            member_id.as_ref().is_some_and(|id| !is_known(id))
                && !states
                    .any(|state| is_typed(&state.email) || state.external_id.as_deref().is_some_and(is_typed))
        };
        self.is_some(member_id.as_deref()) || before.iter().chain(after).any(is_in_state) && !is_another()
    }

    fn is_in_group(&self, entry: &GroupEntry) -> bool {
        self.is_group(entry) || entry.people().any(|member| self.is_member(member))
    }

    fn is(&self, text: &str) -> bool {
        let text = text.to_lowercase();
        self.typed.contains(&text) || self.others.contains(&text)
    }

    fn is_some(&self, text: Option<&str>) -> bool {
        text.is_some_and(|text| self.is(text))
    }
}

/// Names of a member whom a change left in. Of one who came or left the id on the server alone is nobody else's.
fn of_member(MemberEntry { member_id, before, after, .. }: &MemberEntry) -> Vec<&str> {
    let states = before.iter().zip(after).flat_map(|(before, after)| [before, after]);
    let names = states.flat_map(|state| [Some(&*state.email), state.external_id.as_deref()]);
    names.chain([member_id.as_deref()]).flatten().collect()
}

fn of_group(GroupEntry { group_id, before, after, .. }: &GroupEntry) -> Vec<&str> {
    let states = before.iter().zip(after).flat_map(|(before, after)| [before, after]);
    let names = states.flat_map(|state| [state.name.as_str(), state.external_id.as_str()]);
    names.chain(group_id.as_deref()).collect()
}

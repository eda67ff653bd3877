//! Whom and what an entry is about.

use bwdc_core::organization::record::{GroupEntry, GroupMember, GroupState, MemberEntry, MemberState};

use super::Entry;

/// An address, an id or a name that is looked for. Case makes no difference.
#[derive(Clone, Debug)]
pub struct Sought {
    text: String,
    /// As it stands in a line.
    written: String,
}

impl Sought {
    /// What somebody typed.
    pub fn new(who: &str) -> Self {
        let text = who.trim().to_lowercase();
        let written = serde_json::Value::from(text.as_str()).to_string();
        Self { text, written }
    }

    /// Whether it is worth to understand a line.
    pub(super) fn may_be_in(&self, line: &str) -> bool {
        line.to_lowercase().contains(&self.written)
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
        self.is_some(group_id.as_ref()) || before.iter().chain(after).any(is_in_state)
    }

    /// Whether somebody in a group is it.
    pub fn is_member(&self, GroupMember { email, external_id }: &GroupMember) -> bool {
        self.is(email) || self.is_some(external_id.as_ref())
    }

    fn is_in_member(&self, MemberEntry { member_id, before, after, .. }: &MemberEntry) -> bool {
        let is_in_state = |MemberState { email, external_id, groups, .. }: &MemberState| {
            self.is(email)
                || self.is_some(external_id.as_ref())
                || groups.iter().any(|(id, name)| self.is(id) || self.is(name))
        };
        self.is_some(member_id.as_ref()) || before.iter().chain(after).any(is_in_state)
    }

    fn is_in_group(&self, entry: &GroupEntry) -> bool {
        let members = [&entry.join, &entry.leave, &entry.held_join, &entry.held_leave];
        self.is_group(entry) || members.into_iter().flatten().any(|member| self.is_member(member))
    }

    fn is(&self, text: &str) -> bool {
        text.to_lowercase() == self.text
    }

    fn is_some(&self, text: Option<&String>) -> bool {
        text.is_some_and(|text| self.is(text))
    }
}

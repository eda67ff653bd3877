//! Settings about the organization.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::rules::{DisabledUsers, ExistingMembers, ImportSize, Newcomers};

use super::moment::Span;

/// Settings of a sync that decide what changes in the organization.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Settings {
    /// `sync.removeMissing`.
    pub absent: Absent,
    /// `sync.removeDisabled`.
    pub disabled: DisabledUsers,
    /// `sync.overwriteExisting`.
    pub existing: ExistingMembers,
    /// `sync.largeImport`.
    pub size: ImportSize,
    /// `sync.inviteUsersAfterProvisioning`.
    pub newcomers: Newcomers,
    /// `sync.relink`.
    pub relink: Relink,
    /// `sync.grace`. None at all: who leaves is removed at once.
    pub grace: Span,
    /// `sync.vanishedGroups`.
    pub vanished_groups: VanishedGroups,
    /// `sync.reinvite`. None: off.
    pub reinvite: Option<Span>,
    /// `sync.protect`.
    pub protect: Protect,
    /// `sync.limitRemovals`.
    pub limit_removals: Limit,
    /// `sync.limitLeaves`.
    pub limit_leaves: Limit,
    /// `sync.limitRepairs`.
    pub limit_repairs: Limit,
    /// `sync.limitInvites`.
    pub limit_invites: Limit,
    /// `sync.onLimit`.
    pub on_limit: OnLimit,
    /// `sync --allow-removals`, for one run.
    pub allow_removals: Option<usize>,
    /// `sync.verifyEvery`. None: memberships are read only where they are to change.
    pub verify_every: Option<Span>,
    /// `sync --state`.
    #[serde(default, skip_serializing_if = "EarlierRuns::are_known")]
    pub earlier: EarlierRuns,
}

/// Whether earlier runs have left a ledger for this one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum EarlierRuns {
    /// They have, unless there was none.
    #[default]
    Known,
    /// Nothing is kept, so that nobody knows by which other ids a member was imported: one whom the directory does not name by the present id
    /// or address may still be in it, and keeps all memberships.
    Unknown,
}

impl EarlierRuns {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
    fn are_known(&self) -> bool {
        *self == Self::Known
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            absent: Absent::Keep,
            disabled: DisabledUsers::Keep,
            existing: ExistingMembers::Keep,
            size: ImportSize::Single,
            newcomers: Newcomers::Stage,
            relink: Relink::Off,
            grace: Span::NONE,
            vanished_groups: VanishedGroups::Keep,
            reinvite: None,
            protect: Protect::default(),
            limit_removals: Limit::Percent(10),
            limit_leaves: Limit::Percent(25),
            limit_repairs: Limit::Percent(25),
            limit_invites: Limit::Off,
            on_limit: OnLimit::Hold,
            allow_removals: None,
            verify_every: Some(Span::DAY),
            earlier: EarlierRuns::Known,
        }
    }
}

impl Settings {
    /// The same for a run that knows nothing of earlier ones, so that it does nothing that one with a ledger would not: nobody is known to
    /// be missing and no group to have vanished, no invitation is known to be old, and what a limit has let pass in the last 24 hours
    /// is not known. Whatever a limit counts is held back, unless the limit is off; `allow_removals` is for one run anyway.
    #[must_use]
    pub fn without_ledger(self) -> Self {
        let limit = |limit| if limit == Limit::Off { Limit::Off } else { Limit::Number(0) };
        Self {
            absent: Absent::Keep,
            vanished_groups: VanishedGroups::Keep,
            reinvite: None,
            limit_removals: limit(self.limit_removals),
            limit_leaves: limit(self.limit_leaves),
            limit_repairs: limit(self.limit_repairs),
            limit_invites: limit(self.limit_invites),
            earlier: EarlierRuns::Unknown,
            ..self
        }
    }
}

/// Treatment of people whom the directory does not have any more, or whom the filters do not match any more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Absent {
    /// They stay.
    #[default]
    Keep,
    /// Those whom the directory does not have any more leave.
    Missing,
    /// Those too whom the same filters matched once and do not match any more.
    OutOfScope,
}

/// Whether members whose external id has changed get the new one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Relink {
    /// They are imported by the id that the organization knows, and told in every run.
    #[default]
    Off,
    /// Members with the same address get the new id; a group of the same name, too.
    Address,
}

/// Treatment of groups of ours that the directory or the filter does not have any more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum VanishedGroups {
    /// They stay as they are, and are told in every run.
    #[default]
    Keep,
    /// Everybody leaves them.
    Empty,
    /// They are deleted; emptied where the server cannot delete.
    Delete,
}

/// Members whom no sync removes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Protect {
    /// Addresses and external ids, in lower case.
    pub people: BTreeSet<String>,
    /// Names of groups, in lower case.
    pub groups: BTreeSet<String>,
}

impl Protect {
    /// Reads a list with commas: addresses, ids, `group:NAME`.
    pub fn parse(text: &str) -> Self {
        let mut protect = Self::default();
        for part in text.split(',').map(|part| part.trim().to_lowercase()).filter(|part| !part.is_empty()) {
            match part.strip_prefix("group:") {
                Some(name) => protect.groups.insert(name.trim().to_owned()),
                None => protect.people.insert(part),
            };
        }
        protect
    }

    /// Whether the members of a group with this name are protected.
    pub fn has_group(&self, name: &str) -> bool {
        !self.groups.is_empty() && self.groups.contains(&name.to_lowercase())
    }

    /// Whether nobody is protected.
    pub fn is_empty(&self) -> bool {
        self.people.is_empty() && self.groups.is_empty()
    }
}

/// Amount of changes that needs no approval.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Limit {
    /// Whatever happens.
    Off,
    /// At most so many.
    Number(usize),
    /// At most so many of a hundred; a few in any case, never the last.
    Percent(u8),
}

impl Limit {
    /// Reads `off`, a number or a percentage. None for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.eq_ignore_ascii_case("off") {
            return Some(Self::Off);
        }
        match text.strip_suffix('%') {
            Some(percent) => percent.trim().parse().ok().filter(|percent| *percent <= 100).map(Self::Percent),
            None => text.parse().ok().map(Self::Number),
        }
    }
}

/// Consequences of exceeding a limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OnLimit {
    /// Those counted are held back, everything else is done.
    #[default]
    Hold,
    /// Nothing is sent.
    Stop,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_and_protection_are_read() {
        assert_eq!(Limit::parse(" Off "), Some(Limit::Off));
        assert_eq!(Limit::parse("10 %"), Some(Limit::Percent(10)));
        assert_eq!(Limit::parse("0"), Some(Limit::Number(0)));
        assert_eq!((Limit::parse("101%"), Limit::parse("-1"), Limit::parse("")), (None, None, None));
        let protect = Protect::parse("Boss@x.org, 17,,group: Break glass");
        assert_eq!(protect.people, BTreeSet::from(["17".to_owned(), "boss@x.org".to_owned()]));
        assert_eq!(protect.groups, BTreeSet::from(["break glass".to_owned()]));
        assert!(Protect::parse(" ,").is_empty());
    }
}

//! Contents of an organization: its members, groups and memberships, read from the server or known from our own imports.

use std::collections::BTreeMap;
use std::sync::Arc;

use foldhash::HashMap as FastMap;
use serde::{Deserialize, Serialize};

use super::table::Table;
use crate::entry::{Email, ExternalId, text_type};

text_type! {
    /// Id of a membership on the server. Made up by [`super::ledger`] if nothing can be read.
    MemberId
}

text_type! {
    /// Id of a group on the server. Made up by [`super::ledger`] if nothing can be read.
    GroupId
}

/// Kind of server, and its rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Bitwarden's own server, or one that calls itself so: people are recognised by external id, and leavers are removed.
    Official,
    /// Vaultwarden: people are recognised by address, and leavers are revoked.
    Vaultwarden,
}

/// Source of the contents of a roster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Basis {
    /// Read from the server.
    Live,
    /// Known from our own imports: the server cannot be read.
    Ledger,
}

/// Whether a server can accept people without inviting them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Staging {
    /// It stages newcomers if an import says so.
    On,
    /// It invites newcomers, whatever an import says.
    #[default]
    Off,
}

/// State of a membership.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Status {
    /// Invited.
    Invited,
    /// Accepted the invitation.
    Accepted,
    /// Full member.
    Confirmed,
    /// Known, but not invited yet.
    Staged,
    /// Without access until restored.
    Revoked(Former),
    /// State that this program does not know.
    Other,
}

/// State of a membership before it was revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Former {
    /// Unknown: the official server's list does not include it.
    Unknown,
    /// Invited.
    Invited,
    /// Accepted the invitation.
    Accepted,
    /// Full member.
    Confirmed,
    /// Known, but not invited.
    Staged,
}

impl Status {
    /// State by its number in the Public API.
    pub fn of_number(number: i64) -> Self {
        match number {
            -1 => Self::Revoked(Former::Unknown),
            0 => Self::Invited,
            1 => Self::Accepted,
            2 => Self::Confirmed,
            3 => Self::Staged,
            _ => Self::Other,
        }
    }

    /// Whether the membership is revoked.
    pub fn is_revoked(self) -> bool {
        matches!(self, Self::Revoked(_))
    }

    /// Whether it takes a seat.
    pub fn has_seat(self) -> bool {
        matches!(self, Self::Invited | Self::Accepted | Self::Confirmed)
    }

    /// State after a revocation.
    #[must_use]
    pub fn revoked(self) -> Self {
        Self::Revoked(match self {
            Self::Invited => Former::Invited,
            Self::Accepted => Former::Accepted,
            Self::Confirmed => Former::Confirmed,
            Self::Staged => Former::Staged,
            Self::Revoked(former) => former,
            Self::Other => Former::Unknown,
        })
    }

    /// State after a restore. If the previous one is unknown, it is the one the server derives from the account.
    #[must_use]
    pub fn restored(self, account: Account) -> Self {
        match (self, account) {
            (Self::Revoked(Former::Invited), _) | (Self::Revoked(Former::Unknown), Account::None) => {
                Self::Invited
            }
            (Self::Revoked(Former::Confirmed), _) | (Self::Revoked(Former::Unknown), Account::Linked) => {
                Self::Confirmed
            }
            (Self::Revoked(Former::Accepted), _) => Self::Accepted,
            (Self::Revoked(Former::Staged), _) => Self::Staged,
            (other, _) => other,
        }
    }
}

/// Role of a member.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Role {
    /// Owner. Never removed by an import of the official server.
    Owner,
    /// Administrator.
    Admin,
    /// Ordinary member, and everybody added by an import.
    #[default]
    User,
    /// Role that this program need not distinguish.
    Other,
}

/// Whether a membership belongs to an account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Account {
    /// Staged, or invited and not accepted yet.
    #[default]
    None,
    /// Linked to an account, whose address the member then has.
    Linked,
}

/// Member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Member {
    /// Id on the server.
    pub id: MemberId,
    /// Address of the account, or the one that was invited.
    pub email: Email,
    /// Id by which a directory knows the person; never blank.
    pub external_id: Option<ExternalId>,
    /// State of the membership.
    pub status: Status,
    /// Role.
    pub role: Role,
    /// Whether an account is linked.
    pub account: Account,
}

impl Member {
    /// Whether only such members may confirm others; the last one cannot leave.
    pub fn is_confirmed_owner(&self) -> bool {
        self.role == Role::Owner && self.status == Status::Confirmed
    }
}

/// Members of a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Held {
    /// Not read in this run.
    Unread,
    /// In order, each once.
    Read(Arc<[MemberId]>),
}

impl Held {
    /// Makes the list from these members, in any order.
    pub fn of(members: impl IntoIterator<Item = MemberId>) -> Self {
        let mut members: Vec<MemberId> = members.into_iter().collect();
        members.sort_unstable();
        members.dedup();
        Self::Read(members.into())
    }

    /// Members, as far as they were read.
    pub fn known(&self) -> &[MemberId] {
        match self {
            Self::Unread => &[],
            Self::Read(members) => members,
        }
    }
}

/// Group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Group {
    /// Id on the server.
    pub id: GroupId,
    /// Display name.
    pub name: String,
    /// Id by which a directory knows the group; never blank.
    pub external_id: Option<ExternalId>,
    /// Members.
    pub members: Held,
}

/// Seats of a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Seats {
    /// Number of paid seats.
    pub available: usize,
    /// Number of seats up to which the server may buy more by itself. None: no limit.
    pub at_most: Option<usize>,
}

/// Organization, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub struct Roster {
    /// Kind of server.
    pub kind: Kind,
    /// Source of the contents.
    pub basis: Basis,
    /// Whether the server stages newcomers.
    pub staging: Staging,
    /// Seats, if the server reports them.
    pub seats: Option<Seats>,
    pub(super) members: Table<MemberId, Member>,
    pub(super) groups: BTreeMap<GroupId, Group>,
    /// Number of ids that were made up.
    pub(super) made: u64,
}

/// Form in which a roster is written.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    kind: Kind,
    basis: Basis,
    staging: Staging,
    seats: Option<Seats>,
    members: Vec<Member>,
    groups: Vec<Group>,
}

impl From<Roster> for Written {
    fn from(roster: Roster) -> Self {
        let Roster { kind, basis, staging, seats, members, groups, made: _ } = roster;
        let members = members.into_entries().map(|(_, member)| member).collect();
        Self { kind, basis, staging, seats, members, groups: groups.into_values().collect() }
    }
}

impl From<Written> for Roster {
    fn from(Written { kind, basis, staging, seats, members, groups }: Written) -> Self {
        let mut roster = Self { staging, seats, ..Self::new(kind, basis) }.with_members(members);
        for group in groups {
            let members = match group.members {
                Held::Unread => Held::Unread,
                Held::Read(members) => Held::of(members.iter().cloned()),
            };
            roster.put_group(Group { members, ..group });
        }
        roster
    }
}

impl Roster {
    /// Empty organization.
    pub fn new(kind: Kind, basis: Basis) -> Self {
        Self {
            kind,
            basis,
            staging: Staging::Off,
            seats: None,
            members: Table::default(),
            groups: BTreeMap::new(),
            made: 0,
        }
    }

    /// An organization with these members.
    #[must_use]
    pub fn with_members(self, members: impl IntoIterator<Item = Member>) -> Self {
        let members = members.into_iter().map(|member| (member.id.clone(), member)).collect();
        Self { members, ..self }
    }

    /// Adds a member, or replaces the one with the same id.
    pub fn put_member(&mut self, member: Member) {
        self.members.insert(member.id.clone(), member);
    }

    /// Adds a group, or replaces the one with the same id.
    pub fn put_group(&mut self, group: Group) {
        self.groups.insert(group.id.clone(), group);
    }

    /// Fills a group with the members that were read. Nothing where there is no such group.
    pub fn fill_group(&mut self, id: &GroupId, members: Held) {
        if let Some(group) = self.groups.get_mut(id) {
            group.members = members;
        }
    }

    /// Takes out a group that is there no more.
    pub fn remove_group(&mut self, id: &GroupId) {
        self.groups.remove(id);
    }

    /// All members, sorted by id.
    pub fn members(&self) -> impl Iterator<Item = &Member> + Clone {
        self.members.values()
    }

    /// All groups, sorted by id.
    pub fn groups(&self) -> impl Iterator<Item = &Group> + Clone {
        self.groups.values()
    }

    /// Member with this id.
    pub fn member(&self, id: &MemberId) -> Option<&Member> {
        self.members.get(id)
    }

    /// Group with this id.
    pub fn group(&self, id: &GroupId) -> Option<&Group> {
        self.groups.get(id)
    }

    /// Members by external id; if several have the same id, the first.
    pub fn members_by_external_id(&self) -> FastMap<&ExternalId, &Member> {
        let mut found = FastMap::default();
        found.reserve(self.members.len());
        for member in self.members.values() {
            if let Some(id) = &member.external_id {
                found.entry(id).or_insert(member);
            }
        }
        found
    }

    /// Members by address; if several have the same address, the first.
    pub fn members_by_email(&self) -> FastMap<&Email, &Member> {
        let mut found = FastMap::default();
        found.reserve(self.members.len());
        for member in self.members.values() {
            found.entry(&member.email).or_insert(member);
        }
        found
    }

    /// Groups by external id; if several have the same id, the first.
    pub fn groups_by_external_id(&self) -> FastMap<&ExternalId, &Group> {
        let mut found = FastMap::default();
        for group in self.groups.values() {
            if let Some(id) = &group.external_id {
                found.entry(id).or_insert(group);
            }
        }
        found
    }

    /// Whether this is the only confirmed owner, whom no server lets go.
    pub fn is_last_owner(&self, id: &MemberId) -> bool {
        self.member(id).is_some_and(Member::is_confirmed_owner)
            && self.members().filter(|member| member.is_confirmed_owner()).count() == 1
    }

    /// Number of members who take up a seat.
    pub fn seats_in_use(&self) -> usize {
        self.members.values().filter(|member| member.status.has_seat()).count()
    }

    /// Unused id, in the order of creation.
    pub(super) fn made_id(&mut self) -> String {
        loop {
            self.made += 1;
            let id = format!("new:{:08}", self.made);
            if !self.members.contains_key(&MemberId::from(id.as_str()))
                && !self.groups.contains_key(&GroupId::from(id.as_str()))
            {
                return id;
            }
        }
    }

    /// Removes members, also from their groups.
    pub(super) fn remove_members(&mut self, is_gone: impl Fn(&Member) -> bool) {
        let before = self.members.len();
        self.members.retain(|_, member| !is_gone(member));
        if self.members.len() == before {
            return;
        }
        let members = &self.members;
        for group in self.groups.values_mut() {
            let Held::Read(list) = &group.members else { continue };
            if list.iter().any(|id| !members.contains_key(id)) {
                group.members = Held::of(list.iter().filter(|id| members.contains_key(*id)).cloned());
            }
        }
    }
}

//! What is said beforehand about an undo: what stays as it is, and what cannot come back.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// People, groups and memberships by the one thing that is to be said of them.
pub type Named<T> = BTreeMap<T, Subjects>;

/// Addresses of people, names of groups, or `ADDRESS in GROUP`.
pub type Subjects = BTreeSet<String>;

/// Reasons why something is not brought back: it has changed since.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Left {
    /// A member is gone.
    Gone,
    /// A member has another external id.
    OtherId,
    /// A member has another address.
    OtherAddress,
    /// A member was revoked or restored.
    OtherStatus,
    /// A member has another role.
    OtherRole,
    /// Another member has the external id or the address.
    Taken,
    /// An owner, whom no undo removes.
    Owner,
    /// Protected by `sync.protect`.
    Protected,
    /// A group is gone.
    GroupGone,
    /// A group has another name.
    GroupOtherName,
    /// A group has another external id, or another group has its former one.
    GroupOtherId,
    /// A group that the run made has members who came otherwise.
    GroupInUse,
    /// A later run did the same again, or may have been the one that did it.
    LaterRun,
}

impl Left {
    /// The reason in words.
    pub fn text(self) -> &'static str {
        match self {
            Self::Gone => "no longer a member",
            Self::OtherId => "has another external id by now",
            Self::OtherAddress => "has another address by now",
            Self::OtherStatus => "was revoked or restored since",
            Self::OtherRole => "has another role by now",
            Self::Taken => "another member has the external id or the address by now",
            Self::Owner => "an owner, whom no undo removes",
            Self::Protected => "protected by sync.protect",
            Self::GroupGone => "the group was deleted since",
            Self::GroupOtherName => "the group has another name by now",
            Self::GroupOtherId => {
                "the group has another external id by now, or another group has its former one"
            }
            Self::GroupInUse => "the group was renamed or has other members by now, and stays",
            Self::LaterRun => "a later run did this too: undo that run",
        }
    }
}

/// What cannot come back, and what comes back in another way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Lost {
    /// A membership that was removed.
    Membership,
    /// A role other than user.
    Role,
    /// A member who was staged, on a server that does not stage.
    Staged,
    /// A member who was revoked already when the run removed the membership.
    WasRevoked,
    /// A membership that the run removed and made anew.
    MadeAnew,
    /// A newcomer on Vaultwarden.
    StaysMember,
    /// An external id that no request can take away.
    IdStays,
    /// A change for which the server has no request.
    NotOffered,
    /// A group that was deleted.
    Group,
    /// A group that the run made, where groups cannot be deleted.
    GroupStays,
    /// Protection that an earlier undo gave.
    Protection,
}

impl Lost {
    /// What is lost, in words.
    pub fn text(self) -> &'static str {
        match self {
            Self::Membership => {
                "invited again as a new member, who must accept and be confirmed to get the organization's keys; rights to collections \
                 given directly, and places in groups without an external id, are lost"
            }
            Self::Role => "invited again with the role of user: the former role must be given by hand",
            Self::Staged => "invited: the server does not take anybody without an invitation",
            Self::WasRevoked => "not invited again: revoked already before the run",
            Self::MadeAnew => "removed and invited again in that run: the former membership cannot come back",
            Self::StaysMember => {
                "revoked instead of removed: Vaultwarden keeps the member. The server cannot be read: whoever was a member before \
                 that run, unknown to bwdc, is revoked as well"
            }
            Self::IdStays => "keeps the external id: the server has no request that takes it away",
            Self::NotOffered => "stays as it is: the server offers imports only",
            Self::Group => "made again without collections: give the group its collections by hand",
            Self::GroupStays => "emptied instead of deleted: the server has no request that deletes a group",
            Self::Protection => "protected since an earlier undo: this protection ends",
        }
    }
}

/// Notes that are taken while an undo is computed.
#[derive(Clone, Debug, Default)]
pub(super) struct Notes {
    pub(super) left: Named<Left>,
    pub(super) lost: Named<Lost>,
    pub(super) back: usize,
}

impl Notes {
    pub(super) fn leave(&mut self, why: Left, subject: impl ToString) {
        self.left.entry(why).or_default().insert(subject.to_string());
    }

    pub(super) fn lose(&mut self, what: Lost, subject: impl ToString) {
        self.lost.entry(what).or_default().insert(subject.to_string());
    }
}

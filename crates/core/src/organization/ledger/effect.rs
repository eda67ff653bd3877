//! Effects of requests on the ledger.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Approved, Protection, RevokedBy};
use crate::entry::{Email, ExternalId};
use crate::organization::changes::{Action, Cause};
use crate::organization::limits::LimitName;
use crate::organization::moment::Moment;

/// Effects of an acknowledged request on the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Effect {
    /// Somebody is a member by this id and address.
    In {
        /// Action that was taken.
        action: Action,
        /// Id under which the organization knows the person from now on.
        id: ExternalId,
        /// The address.
        email: Email,
        /// The directory's id.
        directory_id: ExternalId,
    },
    /// Somebody has left.
    Out {
        /// Id under which the organization knew the person.
        id: ExternalId,
        /// Id under which it knows the person from now on, if it keeps the member.
        becomes: ExternalId,
        /// Whether it does.
        member: Afterwards,
        /// The address.
        email: Email,
        /// Reason.
        cause: Cause,
    },
    /// Somebody's grace has begun.
    Grace {
        /// Id under which the organization knows the person.
        id: ExternalId,
        /// The address.
        email: Email,
        /// Until when.
        until: Moment,
        /// Reason.
        cause: Cause,
        /// Author of the revocation.
        by: RevokedBy,
    },
    /// Somebody has another external id.
    Renamed {
        /// Before.
        from: ExternalId,
        /// From now on.
        to: ExternalId,
    },
    /// Somebody has no external id any more, and is none of ours.
    Released(ExternalId),
    /// Somebody whom an undo has brought back is protected.
    Protected {
        /// Id under which the organization knows the person.
        id: ExternalId,
        /// Until when, and in which groups.
        protection: Arc<Protection>,
    },
    /// An invitation was sent again.
    Reinvited(ExternalId),
    /// A group is as it was sent.
    Group {
        /// Its external id.
        id: ExternalId,
        /// The name that the server has.
        name: String,
        /// Members by external id, in order.
        members: Arc<[ExternalId]>,
    },
    /// A group has another external id.
    GroupRenamed {
        /// Before.
        from: ExternalId,
        /// From now on.
        to: ExternalId,
    },
    /// A group is gone.
    NoGroup(ExternalId),
    /// Counts towards a limit.
    Counts {
        /// Of which limit.
        limit: LimitName,
        /// People or memberships.
        keys: Vec<String>,
        /// Whether an administrator has let it through.
        approved: Approved,
    },
}

/// Fates of the membership of somebody who leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Afterwards {
    /// It is deleted, and with it those in groups.
    Removed,
    /// It is revoked and kept.
    Revoked,
}

//! Rules of the servers, in one place: the contents of an organization after a request. The prediction of a plan, the ledger of a
//! server that cannot be read and the oracle of the tests all use them.
//!
//! Facts: the sources of bitwarden/server and dani-garcia/vaultwarden, as written down in the project's notes on the API.

mod calls;
mod official;
mod vaultwarden;

use crate::entry::ExternalId;
use crate::import::ImportRequest;

use super::roster::{GroupId, Kind, MemberId, Roster};

/// Request to the organization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// `POST /public/organization/import`.
    Import(ImportRequest),
    /// `POST /public/members/{id}/revoke`.
    Revoke(MemberId),
    /// `POST /public/members/{id}/restore`.
    Restore(MemberId),
    /// `DELETE /public/members/{id}`.
    Remove(MemberId),
    /// `PUT /public/members/{id}` with everything but the external id sent back as it was read just before.
    Relink {
        /// Member.
        member: MemberId,
        /// New external id, or none.
        external_id: Option<ExternalId>,
    },
    /// `POST /public/members/{id}/reinvite`.
    Reinvite(MemberId),
    /// `PUT /public/groups/{id}` with the collections sent back as they were read just before.
    PutGroup {
        /// Group.
        group: GroupId,
        /// New name.
        name: String,
        /// New external id.
        external_id: ExternalId,
    },
    /// `PUT /public/groups/{id}/member-ids`.
    PutGroupMembers {
        /// Group.
        group: GroupId,
        /// New members.
        members: Vec<Who>,
    },
    /// `DELETE /public/groups/{id}`.
    DeleteGroup(GroupId),
}

/// Member, by the one id that is known.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Who {
    /// Id on the server.
    Member(MemberId),
    /// External id: imported in the same run, so the members must be read again to find the server's id.
    Imported(ExternalId),
}

/// Reason why a server refuses a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The server fails half-way: two members or two groups with the same external id, or two entries with the same key.
    #[error("An unhandled server error has occurred.")]
    Broken,
    /// An overwrite would remove somebody without a master password.
    #[error(
        "Sync failed. To proceed, disable the 'Remove and re-add users during next sync' setting and try again."
    )]
    NoMasterPassword,
    /// Invitations need an owner.
    #[error("Organization must have at least one confirmed owner.")]
    NoConfirmedOwner,
    /// No seats are left.
    #[error("Seat limit has been reached.")]
    NoSeats,
    /// An entry without a required address, or with an invalid one.
    #[error("The Email field is not a valid e-mail address.")]
    NoAddress,
    /// There is no such member or group, or no such call.
    #[error("Resource not found.")]
    NotFound,
    /// The member is revoked already.
    #[error("Already revoked.")]
    AlreadyRevoked,
    /// The member is not revoked.
    #[error("Already active.")]
    AlreadyActive,
    /// Only members who have not answered can be invited again.
    #[error("User invalid.")]
    NotInvited,
}

/// Contents of the organization after a request that the server carries out.
pub fn after(roster: &Roster, call: &Call) -> Result<Roster, Refusal> {
    let mut after = roster.clone();
    carry_out(&mut after, call)?;
    Ok(after)
}

/// Carries out a request. A server that refuses it half-way has done the earlier part: the roster then has the server's contents.
pub fn carry_out(roster: &mut Roster, call: &Call) -> Result<(), Refusal> {
    match (call, roster.kind) {
        (Call::Import(request), Kind::Official) => official::import(roster, request),
        (Call::Import(request), Kind::Vaultwarden) => vaultwarden::import(roster, request),
        (_, Kind::Vaultwarden) => Err(Refusal::NotFound),
        (call, Kind::Official) => calls::carry_out(roster, call),
    }
}

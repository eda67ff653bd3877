//! Manual changes to the organization: those an administrator makes in the web vault, and a member in their own account. None of
//! the server's rules apply.

use rusqlite::{Connection, Transaction};
use serde::Deserialize;

use crate::Error;
use crate::store::changes::{self, Face, Standing};
use crate::store::{self, Group, Kind, Member, NewMember, Status, Store};

/// Manual change. Members are named by id or address, groups by id, external id or name.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Edit {
    /// Adds a member.
    Add(NewMember),
    /// Removes a member from the organization.
    Remove(String),
    /// Revokes access.
    Revoke(String),
    /// Restores access, with the previous status.
    Restore(String),
    /// Accepts the invitation.
    Accept(String),
    /// Confirms a member.
    Confirm(String),
    /// Changes a member's role.
    SetRole {
        /// Member.
        member: String,
        /// Role.
        kind: Kind,
    },
    /// Changes or clears a member's external id.
    SetExternalId {
        /// Member.
        member: String,
        /// External id.
        external_id: Option<String>,
    },
    /// Changes the address of the member's account.
    SetEmail {
        /// Member.
        member: String,
        /// Address.
        email: String,
    },
    /// Creates a group.
    CreateGroup {
        /// Name.
        name: String,
        /// External id.
        #[serde(default)]
        external_id: Option<String>,
    },
    /// Renames a group.
    RenameGroup {
        /// Group.
        group: String,
        /// Name.
        name: String,
    },
    /// Changes or clears a group's external id.
    SetGroupExternalId {
        /// Group.
        group: String,
        /// External id.
        external_id: Option<String>,
    },
    /// Deletes a group.
    DeleteGroup(String),
    /// Adds a member to a group.
    Join {
        /// Group.
        group: String,
        /// Member.
        member: String,
    },
    /// Removes a member from a group.
    Leave {
        /// Group.
        group: String,
        /// Member.
        member: String,
    },
}

/// Makes a change, completely or not at all.
pub(crate) fn apply(store: &Store, edit: Edit) -> Result<(), Error> {
    let mut unknown = None;
    store.write(|db| {
        unknown = change(db, edit)?.err();
        Ok(())
    })?;
    unknown.map_or(Ok(()), Err)
}

/// Finds the named member or group, or reports that there is none. If several have an address, the first of them counts.
type Found<T> = Result<T, Error>;

fn member(db: &Connection, name: &str) -> store::Db<Found<Member>> {
    let address = name.to_lowercase();
    let mut members = store::members(db)?.into_iter();
    let found = members.find(|member| member.id == name || member.email == address);
    Ok(found.ok_or_else(|| Error::Unknown(name.to_owned())))
}

fn group(db: &Connection, name: &str) -> store::Db<Found<Group>> {
    let groups = store::groups(db)?;
    let by = |is: fn(&Group, &str) -> bool| groups.iter().find(|group| is(group, name)).cloned();
    let found = by(|group, name| group.id == name)
        .or_else(|| by(|group, name| group.external_id.as_deref() == Some(name)))
        .or_else(|| by(|group, name| group.name == name));
    Ok(found.ok_or_else(|| Error::Unknown(name.to_owned())))
}

fn change(db: &Transaction<'_>, edit: Edit) -> store::Db<Found<()>> {
    match edit {
        Edit::Add(new) => store::insert(db, &new).map(|_| Ok(())),
        Edit::Remove(name) => with_member(db, &name, |member| store::remove(db, member)),
        Edit::Revoke(name) => with_member(db, &name, |member| {
            store::set_status_of(db, &member.id, Status::Revoked)?;
            store::event(db, "revoked", &member.email)
        }),
        Edit::Restore(name) => with_member(db, &name, |member| {
            store::restore(db, &member.id)?;
            store::event(db, "restored", &member.email)
        }),
        Edit::Accept(name) => {
            with_member(db, &name, |member| store::set_status_of(db, &member.id, Status::Accepted))
        }
        Edit::Confirm(name) => {
            with_member(db, &name, |member| store::set_status_of(db, &member.id, Status::Confirmed))
        }
        Edit::SetRole { member: name, kind } => with_member(db, &name, |member| {
            let external_id = member.external_id.as_deref();
            set(db, member, kind, external_id)
        }),
        Edit::SetExternalId { member: name, external_id } => {
            with_member(db, &name, |member| set(db, member, member.kind, external_id.as_deref()))
        }
        Edit::SetEmail { member: name, email } => {
            with_member(db, &name, |member| changes::set_email(db, &member.id, &email))
        }
        Edit::CreateGroup { name, external_id } => {
            let face = Face { name: &name, external_id: external_id.as_deref(), collections: &[] };
            changes::insert_group(db, &face).map(|_| Ok(()))
        }
        Edit::RenameGroup { group: group_name, name } => with_group(db, &group_name, |group| {
            store::rename_group(db, &group.id, &name)?;
            store::event(db, "group updated", &name)
        }),
        Edit::SetGroupExternalId { group: name, external_id } => with_group(db, &name, |group| {
            let face = Face {
                name: &group.name,
                external_id: external_id.as_deref(),
                collections: &group.collections,
            };
            changes::set_face(db, &group.id, &face)
        }),
        Edit::DeleteGroup(name) => with_group(db, &name, |group| changes::delete_group(db, group)),
        Edit::Join { group: group_name, member: name } => match group(db, &group_name)? {
            Ok(group) => with_member(db, &name, |member| changes::join(db, &group.id, &member.id)),
            Err(error) => Ok(Err(error)),
        },
        Edit::Leave { group: group_name, member: name } => match group(db, &group_name)? {
            Ok(group) => with_member(db, &name, |member| changes::leave(db, &group.id, &member.id)),
            Err(error) => Ok(Err(error)),
        },
    }
}

fn set(db: &Connection, member: &Member, kind: Kind, external_id: Option<&str>) -> store::Db<()> {
    let permissions = member.permissions.as_ref();
    changes::set_standing(
        db,
        &member.id,
        &Standing { kind, external_id, collections: &member.collections, permissions },
    )
}

fn with_member(
    db: &Connection,
    name: &str,
    work: impl FnOnce(&Member) -> store::Db<()>,
) -> store::Db<Found<()>> {
    match member(db, name)? {
        Ok(member) => work(&member).map(Ok),
        Err(error) => Ok(Err(error)),
    }
}

fn with_group(
    db: &Connection,
    name: &str,
    work: impl FnOnce(&Group) -> store::Db<()>,
) -> store::Db<Found<()>> {
    match group(db, name)? {
        Ok(group) => work(&group).map(Ok),
        Err(error) => Ok(Err(error)),
    }
}

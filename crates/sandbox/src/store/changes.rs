//! Changes to single members and groups, as made by the Public API and the web vault.

use std::collections::HashSet;

use rusqlite::{Connection, OptionalExtension, params};
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use super::{Collection, Db, Group, Kind, event, group_ids, listed_group};

/// Role, external id and access of a member.
pub(crate) struct Standing<'a> {
    pub(crate) kind: Kind,
    pub(crate) external_id: Option<&'a str>,
    pub(crate) collections: &'a [Collection],
    pub(crate) permissions: Option<&'a Value>,
}

/// Name, external id and access of a group.
pub(crate) struct Face<'a> {
    pub(crate) name: &'a str,
    pub(crate) external_id: Option<&'a str>,
    pub(crate) collections: &'a [Collection],
}

fn text_of<T: Serialize + ?Sized>(value: &T) -> Option<String> {
    serde_json::to_string(value).ok()
}

fn list_of(collections: &[Collection]) -> Option<String> {
    if collections.is_empty() { None } else { text_of(collections) }
}

fn not_blank(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.trim().is_empty())
}

/// Replaces role, external id and access.
pub(crate) fn set_standing(db: &Connection, id: &str, new: &Standing<'_>) -> Db<()> {
    let sql = "UPDATE members SET kind = ?, external_id = ?, collections = ?, permissions = ? WHERE id = ?";
    db.prepare_cached(sql)?.execute(params![
        new.kind.number(),
        not_blank(new.external_id),
        list_of(new.collections),
        new.permissions.and_then(text_of),
        id
    ])?;
    Ok(())
}

/// Changes the address, as the owner of an account may.
pub(crate) fn set_email(db: &Connection, id: &str, email: &str) -> Db<()> {
    db.execute("UPDATE members SET email = ? WHERE id = ?", [email.to_lowercase().as_str(), id])?;
    Ok(())
}

/// Members that take up a seat: invited, accepted, confirmed.
pub(crate) fn occupied(db: &Connection) -> Db<u32> {
    db.query_row("SELECT count(*) FROM members WHERE status IN (0, 1, 2)", [], |row| row.get(0))
}

/// Confirmed owners besides one member.
pub(crate) fn other_owners(db: &Connection, id: &str) -> Db<u32> {
    let sql = "SELECT count(*) FROM members WHERE kind = 0 AND status = 2 AND id <> ?";
    db.query_row(sql, [id], |row| row.get(0))
}

/// Group, without the addresses of its members.
pub(crate) fn group(db: &Connection, id: &str) -> Db<Option<Group>> {
    let sql = "SELECT id, name, external_id, collections FROM groups WHERE id = ?";
    db.prepare_cached(sql)?.query_row([id], listed_group).optional()
}

/// Creates a group and returns its id.
pub(crate) fn insert_group(db: &Connection, face: &Face<'_>) -> Db<String> {
    let id = Uuid::new_v4().to_string();
    db.execute("INSERT INTO groups (id, name) VALUES (?, ?)", [id.as_str(), face.name])?;
    set_face(db, &id, face)?;
    event(db, "group created", face.name)?;
    Ok(id)
}

/// Replaces name, external id and access; members stay.
pub(crate) fn set_face(db: &Connection, id: &str, face: &Face<'_>) -> Db<()> {
    let sql = "UPDATE groups SET name = ?, external_id = ?, collections = ? WHERE id = ?";
    db.prepare_cached(sql)?.execute(params![
        face.name,
        not_blank(face.external_id),
        list_of(face.collections),
        id
    ])?;
    Ok(())
}

/// Deletes a group and its memberships.
pub(crate) fn delete_group(db: &Connection, group: &Group) -> Db<()> {
    db.execute("DELETE FROM groups WHERE id = ?", [&group.id])?;
    event(db, "group deleted", &group.name)
}

/// Adds a member to a group.
pub(crate) fn join(db: &Connection, group: &str, member: &str) -> Db<()> {
    db.prepare_cached("INSERT OR IGNORE INTO group_members VALUES (?, ?)")?.execute([group, member])?;
    Ok(())
}

/// Removes a member from a group.
pub(crate) fn leave(db: &Connection, group: &str, member: &str) -> Db<()> {
    db.prepare_cached("DELETE FROM group_members WHERE group_id = ? AND member_id = ?")?
        .execute([group, member])?;
    Ok(())
}

/// Ids in a list that belong to groups.
pub(crate) fn known_groups<'a>(db: &Connection, ids: &'a [String]) -> Db<HashSet<&'a str>> {
    known(db, "SELECT 1 FROM groups WHERE id = ?", ids)
}

/// Ids in a list that belong to members.
pub(crate) fn known_members<'a>(db: &Connection, ids: &'a [String]) -> Db<HashSet<&'a str>> {
    known(db, "SELECT 1 FROM members WHERE id = ?", ids)
}

fn known<'a>(db: &Connection, sql: &str, ids: &'a [String]) -> Db<HashSet<&'a str>> {
    let mut query = db.prepare_cached(sql)?;
    let mut known = HashSet::new();
    for id in ids {
        if query.exists([id])? {
            known.insert(id.as_str());
        }
    }
    Ok(known)
}

/// Replaces the groups of a member.
pub(crate) fn replace_groups(db: &Connection, member: &str, wanted: &HashSet<&str>) -> Db<()> {
    let present = group_ids(db, member)?;
    for group in present.iter().filter(|group| !wanted.contains(group.as_str())) {
        leave(db, group, member)?;
    }
    wanted.iter().try_for_each(|group| join(db, group, member))
}

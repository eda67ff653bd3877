//! Organization in SQLite.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::organization::Scene;
use crate::{Identity, Storage};

pub(crate) mod changes;

/// Status of a membership (`OrganizationUserStatusType`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// No access until restored.
    Revoked,
    /// Invited.
    Invited,
    /// Accepted the invitation.
    Accepted,
    /// Full member.
    Confirmed,
    /// Known, but not invited yet.
    Staged,
}

impl Status {
    pub(crate) fn number(self) -> i64 {
        match self {
            Self::Revoked => -1,
            Self::Invited => 0,
            Self::Accepted => 1,
            Self::Confirmed => 2,
            Self::Staged => 3,
        }
    }

    fn of(number: i64) -> Self {
        match number {
            0 => Self::Invited,
            1 => Self::Accepted,
            2 => Self::Confirmed,
            3 => Self::Staged,
            _ => Self::Revoked,
        }
    }
}

/// Role of a member (`OrganizationUserType`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Never touched by an import of the official server.
    Owner,
    /// Administrator.
    Admin,
    /// Ordinary member.
    User,
    /// Has the listed permissions.
    Custom,
}

impl Kind {
    pub(crate) fn number(self) -> i64 {
        match self {
            Self::Owner => 0,
            Self::Admin => 1,
            Self::User => 2,
            Self::Custom => 4,
        }
    }

    pub(crate) fn of(number: i64) -> Self {
        match number {
            0 => Self::Owner,
            1 => Self::Admin,
            4 => Self::Custom,
            _ => Self::User,
        }
    }
}

/// Access to one collection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Collection {
    /// Id of the collection.
    pub id: String,
    /// Read-only access.
    #[serde(default)]
    pub read_only: bool,
    /// Passwords are hidden.
    #[serde(default)]
    pub hide_passwords: bool,
    /// Permission to give others access.
    #[serde(default)]
    pub manage: bool,
}

/// Member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Member {
    /// Id of the membership.
    pub id: String,
    /// Address.
    pub email: String,
    /// Id by which a directory knows the person.
    pub external_id: Option<String>,
    /// Status of the membership.
    pub status: Status,
    /// Role.
    pub kind: Kind,
    /// Whether the account has a master password.
    pub has_master_password: bool,
    /// Status that a restore brings back.
    pub former: Status,
    /// Collections given to the member directly.
    pub collections: Vec<Collection>,
    /// Permissions of a custom role.
    pub permissions: Option<Value>,
}

impl Member {
    /// Whether the membership belongs to an account: the invitation was accepted at some time.
    pub fn has_account(&self) -> bool {
        matches!(self.former, Status::Accepted | Status::Confirmed)
    }
}

/// Member to be added manually.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NewMember {
    /// Address.
    pub email: String,
    /// Id by which a directory knows the person.
    #[serde(default)]
    pub external_id: Option<String>,
    /// Status of the membership.
    pub status: Status,
    /// Role.
    pub kind: Kind,
    /// Whether the account has a master password.
    #[serde(default)]
    pub has_master_password: bool,
}

/// Group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Group {
    /// Id of the group.
    pub id: String,
    /// Name.
    pub name: String,
    /// Id by which a directory knows the group.
    pub external_id: Option<String>,
    /// Addresses of the members, sorted.
    pub members: Vec<String>,
    /// Collections given to the group.
    pub collections: Vec<Collection>,
}

/// Event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Event {
    /// `invited`, `invited again`, `staged`, `updated`, `removed`, `revoked`, `restored`, `groups updated`, `group created`,
    /// `group updated`, `group deleted`, `seats added`.
    pub what: String,
    /// Address or name of a group.
    pub whom: String,
}

/// Lifetime of a token.
const TOKEN_LIFETIME: Duration = Duration::from_secs(3_600);

/// Organization, with its key and its tokens.
pub(crate) struct Store {
    db: Mutex<Connection>,
    organization: String,
    key: String,
    tokens: Mutex<HashMap<String, Instant>>,
    scene: Scene,
}

pub(crate) type Db<T> = rusqlite::Result<T>;

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
    CREATE TABLE IF NOT EXISTS members (
        id TEXT PRIMARY KEY, email TEXT NOT NULL, external_id TEXT, status INTEGER NOT NULL, former INTEGER NOT NULL,
        kind INTEGER NOT NULL, has_password INTEGER NOT NULL);
    CREATE INDEX IF NOT EXISTS members_by_email ON members (email);
    CREATE INDEX IF NOT EXISTS members_by_external_id ON members (external_id);
    CREATE TABLE IF NOT EXISTS groups (id TEXT PRIMARY KEY, name TEXT NOT NULL, external_id TEXT);
    CREATE INDEX IF NOT EXISTS groups_by_external_id ON groups (external_id);
    CREATE TABLE IF NOT EXISTS group_members (
        group_id TEXT NOT NULL REFERENCES groups (id) ON DELETE CASCADE,
        member_id TEXT NOT NULL REFERENCES members (id) ON DELETE CASCADE,
        PRIMARY KEY (group_id, member_id)) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS groups_of_member ON group_members (member_id);
    CREATE TABLE IF NOT EXISTS events (number INTEGER PRIMARY KEY, what TEXT NOT NULL, whom TEXT NOT NULL);
";

impl Store {
    pub(crate) fn open(storage: &Storage, identity: &Identity) -> Db<Self> {
        let db = match storage {
            Storage::Memory => Connection::open_in_memory()?,
            Storage::File(path) => Connection::open(path)?,
        };
        db.execute_batch("PRAGMA foreign_keys = ON; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;")
            .or_else(|error| if *storage == Storage::Memory { Ok(()) } else { Err(error) })?;
        db.execute_batch(SCHEMA)?;
        complete(&db)?;
        let is_new = meta(&db, "organization")?.is_none();
        let organization = meta_or(&db, "organization", || match identity {
            Identity::Made => Uuid::new_v4().to_string(),
            Identity::Given { organization, .. } => organization.clone(),
        })?;
        let key = meta_or(&db, "key", || match identity {
            Identity::Made => Uuid::new_v4().simple().to_string(),
            Identity::Given { key, .. } => key.clone(),
        })?;
        if is_new {
            let owner = NewMember {
                email: "owner@sandbox.example".into(),
                external_id: None,
                status: Status::Confirmed,
                kind: Kind::Owner,
                has_master_password: true,
            };
            insert(&db, &owner)?;
        }
        Ok(Self { db: Mutex::new(db), organization, key, tokens: Mutex::default(), scene: Scene::default() })
    }

    /// Seats, plan and mail.
    pub(crate) fn scene(&self) -> &Scene {
        &self.scene
    }

    pub(crate) fn organization(&self) -> &str {
        &self.organization
    }

    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    /// Stores a token that was issued.
    pub(crate) fn keep_token(&self, token: String) {
        self.tokens
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(token, Instant::now() + TOKEN_LIFETIME);
    }

    pub(crate) fn knows_token(&self, token: &str) -> bool {
        let tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.get(token).is_some_and(|until| *until > Instant::now())
    }

    pub(crate) fn expire_tokens(&self) {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    pub(crate) fn read<T>(&self, work: impl FnOnce(&Connection) -> Db<T>) -> Db<T> {
        work(&self.db.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Runs a step completely or not at all.
    pub(crate) fn write<T>(&self, work: impl FnOnce(&Transaction<'_>) -> Db<T>) -> Db<T> {
        let mut db = self.db.lock().unwrap_or_else(PoisonError::into_inner);
        let transaction = db.transaction()?;
        let result = work(&transaction)?;
        transaction.commit()?;
        Ok(result)
    }
}

/// Adds the columns that files of earlier versions lack.
fn complete(db: &Connection) -> Db<()> {
    for (table, column) in [("members", "collections"), ("members", "permissions"), ("groups", "collections")]
    {
        let sql = "SELECT count(*) FROM pragma_table_info(?) WHERE name = ?";
        let count: i64 = db.query_row(sql, [table, column], |row| row.get(0))?;
        if count == 0 {
            db.execute_batch(&format!("ALTER TABLE {table} ADD COLUMN {column} TEXT"))?;
        }
    }
    Ok(())
}

/// JSON in a column; NULL gives nothing.
fn json<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> Db<Option<T>> {
    let text: Option<String> = row.get(column)?;
    Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
}

fn meta(db: &Connection, name: &str) -> Db<Option<String>> {
    db.query_row("SELECT value FROM meta WHERE name = ?", [name], |row| row.get(0)).optional()
}

fn meta_or(db: &Connection, name: &str, make: impl FnOnce() -> String) -> Db<String> {
    if let Some(value) = meta(db, name)? {
        return Ok(value);
    }
    let value = make();
    db.execute("INSERT INTO meta VALUES (?, ?)", params![name, value])?;
    Ok(value)
}

pub(crate) fn count_import(db: &Connection) -> Db<()> {
    let count = imports(db)? + 1;
    db.execute("INSERT OR REPLACE INTO meta VALUES ('imports', ?)", [count.to_string()])?;
    Ok(())
}

pub(crate) fn imports(db: &Connection) -> Db<usize> {
    Ok(meta(db, "imports")?.and_then(|count| count.parse().ok()).unwrap_or(0))
}

const MEMBER: &str = "SELECT id, email, external_id, status, kind, has_password, former, collections, permissions FROM members";

fn member_of(row: &Row<'_>) -> Db<Member> {
    Ok(Member {
        id: row.get(0)?,
        email: row.get(1)?,
        external_id: row.get(2)?,
        status: Status::of(row.get(3)?),
        kind: Kind::of(row.get(4)?),
        has_master_password: row.get(5)?,
        former: Status::of(row.get(6)?),
        collections: json(row, 7)?.unwrap_or_default(),
        permissions: json(row, 8)?,
    })
}

pub(crate) fn members(db: &Connection) -> Db<Vec<Member>> {
    let mut query = db.prepare_cached(&format!("{MEMBER} ORDER BY email, id"))?;
    query.query_map([], member_of)?.collect()
}

pub(crate) fn member(db: &Connection, id: &str) -> Db<Option<Member>> {
    db.prepare_cached(&format!("{MEMBER} WHERE id = ?"))?.query_row([id], member_of).optional()
}

pub(crate) fn groups(db: &Connection) -> Db<Vec<Group>> {
    let mut of_group: HashMap<String, Vec<String>> = HashMap::new();
    let sql =
        "SELECT group_id, email FROM group_members JOIN members ON members.id = member_id ORDER BY email";
    let mut query = db.prepare_cached(sql)?;
    for row in query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))? {
        let (group, email): (String, String) = row?;
        of_group.entry(group).or_default().push(email);
    }
    let mut groups = listed_groups(db)?;
    for group in &mut groups {
        group.members = of_group.remove(&group.id).unwrap_or_default();
    }
    Ok(groups)
}

/// Groups as the Public API lists them: nobody asks who is in them.
pub(crate) fn listed_groups(db: &Connection) -> Db<Vec<Group>> {
    let mut query =
        db.prepare_cached("SELECT id, name, external_id, collections FROM groups ORDER BY name, id")?;
    query.query_map([], listed_group)?.collect()
}

/// Id, name, external id and collections as a group without the addresses of its members.
fn listed_group(row: &Row<'_>) -> Db<Group> {
    Ok(Group {
        id: row.get(0)?,
        name: row.get(1)?,
        external_id: row.get(2)?,
        members: Vec::new(),
        collections: json(row, 3)?.unwrap_or_default(),
    })
}

pub(crate) fn member_ids(db: &Connection, group: &str) -> Db<Vec<String>> {
    let mut query = db.prepare_cached("SELECT member_id FROM group_members WHERE group_id = ? ORDER BY 1")?;
    query.query_map([group], |row| row.get(0))?.collect()
}

pub(crate) fn group_ids(db: &Connection, member: &str) -> Db<Vec<String>> {
    let mut query = db.prepare_cached("SELECT group_id FROM group_members WHERE member_id = ? ORDER BY 1")?;
    query.query_map([member], |row| row.get(0))?.collect()
}

pub(crate) fn events(db: &Connection) -> Db<Vec<Event>> {
    let mut query = db.prepare_cached("SELECT what, whom FROM events ORDER BY number")?;
    query.query_map([], |row| Ok(Event { what: row.get(0)?, whom: row.get(1)? }))?.collect()
}

pub(crate) fn event(db: &Connection, what: &str, whom: &str) -> Db<()> {
    db.prepare_cached("INSERT INTO events (what, whom) VALUES (?, ?)")?.execute([what, whom])?;
    Ok(())
}

pub(crate) fn insert(db: &Connection, member: &NewMember) -> Db<String> {
    let id = Uuid::new_v4().to_string();
    let status = member.status.number();
    let former = if member.status == Status::Revoked { Status::Confirmed.number() } else { status };
    db.prepare_cached("INSERT INTO members (id, email, external_id, status, former, kind, has_password) VALUES (?, ?, ?, ?, ?, ?, ?)")?.execute(params![
        id,
        member.email.to_lowercase(),
        member.external_id,
        status,
        former,
        member.kind.number(),
        member.has_master_password
    ])?;
    Ok(id)
}

/// Changes the status of everybody with an address.
pub(crate) fn set_status(db: &Connection, email: &str, status: Status) -> Db<()> {
    let email = email.to_lowercase();
    let mut query = db.prepare_cached("SELECT id FROM members WHERE email = ?")?;
    let ids = query.query_map([email], |row| row.get(0))?.collect::<Db<Vec<String>>>()?;
    ids.iter().try_for_each(|id| set_status_of(db, id, status))
}

/// Sets a status: accepted and confirmed members have an account, and an account has a master password here.
pub(crate) fn set_status_of(db: &Connection, id: &str, status: Status) -> Db<()> {
    let has_account = matches!(status, Status::Accepted | Status::Confirmed);
    let sql = "UPDATE members SET former = CASE WHEN ?1 <> -1 THEN ?1 WHEN status = -1 THEN former ELSE status END, status = ?1,
               has_password = has_password OR ?2 WHERE id = ?3";
    db.prepare_cached(sql)?.execute(params![status.number(), has_account, id])?;
    Ok(())
}

/// Restores the status from before the revocation.
pub(crate) fn restore(db: &Connection, id: &str) -> Db<()> {
    db.prepare_cached("UPDATE members SET status = former WHERE id = ?")?.execute([id])?;
    Ok(())
}

pub(crate) fn set_external_id(db: &Connection, id: &str, external_id: &str) -> Db<()> {
    let value = Some(external_id).filter(|id| !id.trim().is_empty());
    db.prepare_cached("UPDATE members SET external_id = ? WHERE id = ?")?.execute(params![value, id])?;
    Ok(())
}

pub(crate) fn remove(db: &Connection, member: &Member) -> Db<()> {
    let removed = db.prepare_cached("DELETE FROM members WHERE id = ?")?.execute([&member.id])?;
    if removed > 0 { event(db, "removed", &member.email) } else { Ok(()) }
}

/// Group with this external id, created if there is none. Returns its id and its previous name.
pub(crate) fn find_or_create_group(db: &Connection, external_id: &str, name: &str) -> Db<(String, String)> {
    let found = db
        .prepare_cached("SELECT id, name FROM groups WHERE external_id = ?")?
        .query_row([external_id], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    if let Some(found) = found {
        return Ok(found);
    }
    let id = Uuid::new_v4().to_string();
    let external_id = Some(external_id).filter(|id| !id.trim().is_empty());
    db.prepare_cached("INSERT INTO groups (id, name, external_id) VALUES (?, ?, ?)")?.execute(params![
        id,
        name,
        external_id
    ])?;
    event(db, "group created", name)?;
    Ok((id, name.to_owned()))
}

pub(crate) fn rename_group(db: &Connection, id: &str, name: &str) -> Db<()> {
    db.prepare_cached("UPDATE groups SET name = ? WHERE id = ?")?.execute([name, id])?;
    Ok(())
}

/// Members by external id; of several with one id the oldest.
pub(crate) fn by_external_id(db: &Connection) -> Db<HashMap<String, String>> {
    let sql = "SELECT external_id, id FROM members WHERE external_id IS NOT NULL ORDER BY rowid DESC";
    db.prepare_cached(sql)?.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

/// Replaces a group's members. Returns whether anything changed.
pub(crate) fn replace_members(db: &Connection, group: &str, wanted: &HashSet<&str>) -> Db<bool> {
    let present = member_ids(db, group)?;
    let present: HashSet<&str> = present.iter().map(String::as_str).collect();
    if present == *wanted {
        return Ok(false);
    }
    let mut delete = db.prepare_cached("DELETE FROM group_members WHERE group_id = ? AND member_id = ?")?;
    for member in present.difference(wanted) {
        delete.execute([group, member])?;
    }
    let mut insert = db.prepare_cached("INSERT INTO group_members VALUES (?, ?)")?;
    for member in wanted.difference(&present) {
        insert.execute([group, member])?;
    }
    Ok(true)
}

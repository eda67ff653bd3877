//! Plan of an import: which requests are sent, with what, in which order. Immutable; sending it makes no decisions.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::entry::Email;
use crate::import::{ImportGroup, ImportMember, ImportRequest};
use crate::note::{Note, Noted, Step};
use crate::prepare::{BadRecord, Fate, Person, Prepared, PreparedGroup};
use crate::rules::{ExistingMembers, ImportSize, Newcomers, Rules};

/// Largest number of people or groups in one request of a large import, as in the existing connector.
pub const BATCH_SIZE: usize = 2_000;

/// Destination of the import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Base URL of the API, without a trailing slash.
    pub api_url: String,
    /// UUID of the organization.
    pub organization_id: String,
    /// Kind of server.
    pub server: Server,
}

/// Kinds of server, which differ in how they recognise people who leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// Bitwarden's own: matches by external id.
    Official,
    /// Vaultwarden: matches by e-mail address and refuses an entry without one.
    Vaultwarden,
}

/// SHA-256 over the API URL, the organization and the requests, in base64. Equal digests mean equal imports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digest(String);

impl Digest {
    /// Text as stored in `lastSyncHash`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Size of an import, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ImportSummary {
    /// Groups in the import.
    pub groups: usize,
    /// People in the import, including leavers.
    pub users: usize,
    /// People marked as deleted.
    pub leavers: usize,
}

impl ImportSummary {
    /// Whether the import is empty.
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// Complete import.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Requests in the order they are sent. Empty if there is nothing to send.
    pub requests: Vec<ImportRequest>,
    /// Counts.
    pub summary: ImportSummary,
    /// Notes on why entries were dropped or changed.
    pub notes: Vec<Note>,
    /// Entries that had to be left out because they are invalid.
    pub bad_records: Vec<BadRecord>,
}

/// Lays out the import.
pub fn plan(prepared: Prepared, rules: &Rules, target: &Target) -> Plan {
    let Prepared { people, groups, notes, bad_records } = prepared;
    let (people, notes) = addressable(people, notes, target.server);
    let members: Vec<ImportMember> = people.into_iter().map(member).collect();
    let groups: Vec<ImportGroup> = groups.into_iter().map(group).collect();
    let summary = ImportSummary {
        groups: groups.len(),
        users: members.len(),
        leavers: members.iter().filter(|member| member.deleted).count(),
    };
    let requests = requests(groups, members, rules);
    Plan { requests, summary, notes, bad_records }
}

/// Drops people whom Vaultwarden cannot be told about, because they have no address.
fn addressable(people: Vec<Person>, mut notes: Vec<Note>, server: Server) -> Noted<Vec<Person>> {
    if server == Server::Official {
        return (people, notes);
    }
    let (known, unknown): (Vec<_>, Vec<_>) = people.into_iter().partition(|person| person.email.is_some());
    notes.extend(unknown.iter().map(|person| {
        Note::warning(
            Step::Leavers,
            &person.external_id,
            "left the directory without an e-mail address, and Vaultwarden finds a member by address only",
        )
    }));
    (known, notes)
}

fn member(person: Person) -> ImportMember {
    ImportMember {
        deleted: person.fate == Fate::Leaves,
        email: person.email,
        external_id: person.external_id,
    }
}

fn group(group: PreparedGroup) -> ImportGroup {
    ImportGroup { name: group.name, external_id: group.external_id, member_external_ids: group.members }
}

fn requests(groups: Vec<ImportGroup>, members: Vec<ImportMember>, rules: &Rules) -> Vec<ImportRequest> {
    let is_empty = groups.is_empty() && members.is_empty();
    if is_empty && rules.existing == ExistingMembers::Keep {
        return Vec::new();
    }
    let request = |groups, members| ImportRequest {
        groups,
        members,
        overwrite_existing: rules.existing == ExistingMembers::Overwrite,
        large_import: false,
        invite_users_after_provisioning: rules.newcomers == Newcomers::Invite,
    };
    if !is_split(groups.len() + members.len(), rules) {
        return vec![request(groups, members)];
    }
    let people = batches(members).map(|members| request(Vec::new(), members));
    let groups = batches(groups).map(|groups| request(groups, Vec::new()));
    people.chain(groups).map(|batch| ImportRequest { large_import: true, ..batch }).collect()
}

/// Whether this many entries are sent in several requests. Never together with overwriting, which would remove
/// everybody who is not in the same request; [`crate::check`] refuses the combination.
fn is_split(entries: usize, rules: &Rules) -> bool {
    rules.size == ImportSize::Batches && entries > BATCH_SIZE && rules.existing == ExistingMembers::Keep
}

fn batches<T>(entries: Vec<T>) -> impl Iterator<Item = Vec<T>> {
    let mut rest = entries.into_iter();
    std::iter::from_fn(move || {
        Some(rest.by_ref().take(BATCH_SIZE).collect::<Vec<_>>()).filter(|b| !b.is_empty())
    })
}

/// Digest that identifies an import, if there is anything to send. Each text is hashed after its length, so that no two imports look alike.
pub fn digest(requests: &[ImportRequest], target: &Target) -> Option<Digest> {
    if requests.is_empty() {
        return None;
    }
    let mut hasher = Sha256::new();
    text(&mut hasher, &target.api_url);
    text(&mut hasher, &target.organization_id);
    for request in requests {
        let ImportRequest {
            groups,
            members,
            overwrite_existing,
            large_import,
            invite_users_after_provisioning,
        } = request;
        hasher.update([*overwrite_existing, *large_import, *invite_users_after_provisioning].map(u8::from));
        number(&mut hasher, groups.len());
        for ImportGroup { name, external_id, member_external_ids } in groups {
            text(&mut hasher, name);
            text(&mut hasher, external_id.as_str());
            number(&mut hasher, member_external_ids.len());
            member_external_ids.iter().for_each(|id| text(&mut hasher, id.as_str()));
        }
        number(&mut hasher, members.len());
        for ImportMember { email, external_id, deleted } in members {
            // An address is never empty, so an empty text means there is none.
            text(&mut hasher, email.as_ref().map_or("", Email::as_str));
            text(&mut hasher, external_id.as_str());
            hasher.update([u8::from(*deleted)]);
        }
    }
    Some(Digest(STANDARD.encode(hasher.finalize())))
}

fn text(hasher: &mut Sha256, text: &str) {
    number(hasher, text.len());
    hasher.update(text);
}

fn number(hasher: &mut Sha256, number: usize) {
    hasher.update((number as u64).to_le_bytes());
}

//! The import, decided: what is sent, in which requests, in which order. Immutable; sending it makes no decisions.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::entry::Email;
use crate::import::{ImportGroup, ImportMember, ImportRequest};
use crate::note::{Note, Step};
use crate::prepare::{BadRecord, Fate, Missing, Person, Prepared, PreparedGroup};
use crate::rules::{ExistingMembers, ImportSize, Newcomers, Rules};
use crate::snapshot::Cursor;

/// The most people or groups in one request of a large import, as the existing connector sends them.
pub const BATCH_SIZE: usize = 2_000;

/// Where the import goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The API's base URL, as text without a trailing slash.
    pub api_url: String,
    /// The organization's UUID.
    pub organization_id: String,
    /// Who answers there.
    pub server: Server,
}

/// The servers differ in how they recognise people who leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// Bitwarden's own: by external id.
    Official,
    /// Vaultwarden: by e-mail address; it refuses an entry without one.
    Vaultwarden,
}

/// SHA-256 over the API URL, the organization and the requests, in base64. Equal digests mean equal imports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digest(String);

impl Digest {
    /// As stored in `lastSyncHash`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What an import would do, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Groups in the import.
    pub groups: usize,
    /// People in the import, leavers among them.
    pub users: usize,
    /// People marked as deleted.
    pub leavers: usize,
}

impl Summary {
    /// Whether nobody and nothing is in it.
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// A whole import.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The requests in the order in which they are sent. Empty when there is nothing to say.
    pub requests: Vec<ImportRequest>,
    /// Identifies the import.
    pub digest: Digest,
    /// The numbers.
    pub summary: Summary,
    /// Stored by the commit after success.
    pub cursor: Cursor,
    /// Why entries were dropped or changed.
    pub notes: Vec<Note>,
    /// Entries that had to be left out because they are wrong.
    pub bad_records: Vec<BadRecord>,
    /// Who leaves for being gone.
    pub missing: Missing,
}

impl Prepared {
    /// Whether the plan depends on who the server is: somebody leaves whose address nobody knows.
    pub fn depends_on_server(&self) -> bool {
        self.people.iter().any(|person| person.email.is_none())
    }
}

/// Lays the import out.
pub fn plan(prepared: Prepared, rules: &Rules, target: &Target) -> Plan {
    let Prepared { people, groups, notes, bad_records, missing, cursor } = prepared;
    let (people, notes) = addressable(people, notes, target.server);
    let members: Vec<ImportMember> = people.into_iter().map(member).collect();
    let groups: Vec<ImportGroup> = groups.into_iter().map(group).collect();
    let summary = Summary {
        groups: groups.len(),
        users: members.len(),
        leavers: members.iter().filter(|member| member.deleted).count(),
    };
    let requests = requests(groups, members, rules);
    let digest = digest(&requests, target);
    Plan { requests, digest, summary, cursor, notes, bad_records, missing }
}

/// Vaultwarden cannot be told about somebody without an address.
fn addressable(people: Vec<Person>, mut notes: Vec<Note>, server: Server) -> (Vec<Person>, Vec<Note>) {
    if server == Server::Official {
        return (people, notes);
    }
    let (known, unknown): (Vec<_>, Vec<_>) = people.into_iter().partition(|person| person.email.is_some());
    notes.extend(unknown.iter().map(|person| {
        Note::warning(
            Step::Leavers,
            &person.external_id,
            "left the directory without an e-mail address, by which alone Vaultwarden could find the member",
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

/// Whether this many entries go out in several requests. Never together with overwriting, which would remove
/// everybody who is not in the same request; [`crate::check`] refuses the combination.
pub(crate) fn is_split(entries: usize, rules: &Rules) -> bool {
    rules.size == ImportSize::Batches && entries > BATCH_SIZE && rules.existing == ExistingMembers::Keep
}

fn batches<T>(entries: Vec<T>) -> impl Iterator<Item = Vec<T>> {
    let mut rest = entries.into_iter();
    std::iter::from_fn(move || {
        Some(rest.by_ref().take(BATCH_SIZE).collect::<Vec<_>>()).filter(|b| !b.is_empty())
    })
}

/// Each text goes in with its length before it, so that no two imports look alike.
fn digest(requests: &[ImportRequest], target: &Target) -> Digest {
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
            // An address is never empty, so that this tells absence apart.
            text(&mut hasher, email.as_ref().map_or("", Email::as_str));
            text(&mut hasher, external_id.as_str());
            hasher.update([u8::from(*deleted)]);
        }
    }
    Digest(STANDARD.encode(hasher.finalize()))
}

fn text(hasher: &mut Sha256, text: &str) {
    number(hasher, text.len());
    hasher.update(text);
}

fn number(hasher: &mut Sha256, number: usize) {
    hasher.update((number as u64).to_le_bytes());
}

impl Plan {
    /// The digest to remember, if there is anything to send.
    pub fn digest_of_requests(&self) -> Option<&str> {
        (!self.requests.is_empty()).then(|| self.digest.as_str())
    }

    /// The addresses of people who would be removed, for whoever wants to see them.
    pub fn leavers(&self) -> impl Iterator<Item = (&Option<Email>, &crate::entry::ExternalId)> {
        self.requests
            .iter()
            .flat_map(|request| &request.members)
            .filter(|member| member.deleted)
            .map(|member| (&member.email, &member.external_id))
    }
}

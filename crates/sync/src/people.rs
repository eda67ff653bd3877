//! Everybody whom imports have brought to the organization, and their groups, as earlier runs have kept it. Nothing else is read.

use std::collections::BTreeMap;

use bwdc_core::entry::ExternalId;
use bwdc_core::error::Result;
use bwdc_core::organization::Ledger;
use bwdc_core::organization::changes::Cause;
use bwdc_core::organization::ledger::{GroupRecord, Record, Standing};
use serde::Serialize;

use crate::decide::written;
use crate::job::SyncJob;
use crate::ledger::kept_by_runs;

/// People and groups of the ledger, in the order of addresses and names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KnownPeople {
    /// People.
    pub people: Vec<KnownPerson>,
    /// Groups.
    pub groups: Vec<KnownGroup>,
}

/// Somebody who was imported.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KnownPerson {
    /// Address that was imported.
    pub email: String,
    /// External id in the organization.
    pub external_id: String,
    /// Whether the person is in.
    pub standing: KnownStanding,
    /// Time since which the person is leaving or has left, in the form of RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// End of the grace, likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// Reason for leaving.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// Names of the groups that were imported with the person.
    pub groups: Vec<String>,
}

/// Whether somebody is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum KnownStanding {
    /// Imported.
    In,
    /// Revoked, and removed later.
    Grace,
    /// Has left.
    Left,
}

/// A group that was imported.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KnownGroup {
    /// Name.
    pub name: String,
    /// External id.
    pub external_id: String,
    /// Number of members.
    pub members: usize,
}

/// Everybody and every group whose address, name or id contains a text, in any case.
///
/// # Errors
/// No run has come to its end here, or the ledger cannot be read.
pub async fn known_people(job: &SyncJob, text: &str) -> Result<KnownPeople> {
    Ok(KnownPeople::of(&kept_by_runs(job).await?.ledger, text))
}

impl KnownPeople {
    fn of(ledger: &Ledger, text: &str) -> Self {
        let wanted = text.trim().to_lowercase();
        let has = |texts: &[&str]| texts.iter().any(|text| text.to_lowercase().contains(&wanted));
        let mut groups_of: BTreeMap<&ExternalId, Vec<String>> = BTreeMap::new();
        for (_, group) in ledger.groups() {
            for member in group.members.iter() {
                groups_of.entry(member).or_default().push(group.name.clone());
            }
        }
        let people = ledger.people().filter(|(id, record)| has(&[id.as_str(), record.email.as_str()]));
        let mut people: Vec<KnownPerson> =
            people.map(|(id, record)| person(id, record, groups_of.remove(id).unwrap_or_default())).collect();
        people.sort();
        let groups = ledger.groups().filter(|(id, group)| has(&[id.as_str(), &group.name]));
        let mut groups: Vec<KnownGroup> = groups.map(|(id, group)| known_group(id, group)).collect();
        groups.sort();
        Self { people, groups }
    }
}

fn person(id: &ExternalId, record: &Record, mut groups: Vec<String>) -> KnownPerson {
    groups.sort();
    let (standing, since, until, cause) = match record.standing {
        Standing::In => (KnownStanding::In, None, None, None),
        Standing::Grace { since, until, cause, .. } => {
            (KnownStanding::Grace, Some(since), Some(until), Some(cause))
        }
        Standing::Left { at, cause, .. } => (KnownStanding::Left, Some(at), None, Some(cause)),
    };
    KnownPerson {
        email: record.email.to_string(),
        external_id: id.to_string(),
        standing,
        since: since.map(written),
        until: until.map(written),
        cause,
        groups,
    }
}

fn known_group(id: &ExternalId, GroupRecord { name, members, .. }: &GroupRecord) -> KnownGroup {
    KnownGroup { name: name.clone(), external_id: id.to_string(), members: members.len() }
}

//! Body of `POST /public/organization/import`, in the key order of the existing connector.

use std::sync::Arc;

use serde::Serialize;

use crate::entry::{Email, ExternalId};

/// Single request. Field order is the order on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ImportRequest {
    /// Sorted by external id.
    pub groups: Vec<ImportGroup>,
    /// Sorted by external id.
    pub members: Vec<ImportMember>,
    /// Whether to remove members whose external id is not listed.
    pub overwrite_existing: bool,
    /// Lifts the cloud's limit of 2,000 groups and 2,000 members.
    pub large_import: bool,
    /// Whether newcomers are invited at once; otherwise they are staged by a server that supports staging.
    pub invite_users_after_provisioning: bool,
}

/// Group with all its members, nested groups resolved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ImportGroup {
    /// At most 100 characters.
    pub name: String,
    /// At most 300 characters.
    pub external_id: ExternalId,
    /// Sorted; groups of one cycle share a list.
    #[serde(serialize_with = "members")]
    pub member_external_ids: Arc<[ExternalId]>,
}

/// Person who joins, stays or leaves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ImportMember {
    /// Absent only in a tombstone whose address is unknown.
    pub email: Option<Email>,
    /// At most 300 characters.
    pub external_id: ExternalId,
    /// Whether the person leaves.
    pub deleted: bool,
}

fn members<S: serde::Serializer>(list: &Arc<[ExternalId]>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(list.iter())
}

//! The body of `POST /public/organization/import`, in the key order of the existing connector.

use std::sync::Arc;

use serde::Serialize;

use crate::entry::{Email, ExternalId};

/// One request. Field order is the order on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ImportRequest {
    /// In the order of external ids.
    pub groups: Vec<ImportGroup>,
    /// In the order of external ids.
    pub members: Vec<ImportMember>,
    /// Whether members with an external id that is not listed are removed.
    pub overwrite_existing: bool,
    /// Lifts the cloud's limit of 2,000 groups and 2,000 members.
    pub large_import: bool,
    /// Whether newcomers are invited at once; a server that knows staging stages them otherwise.
    pub invite_users_after_provisioning: bool,
}

/// A group with everybody who is in it, nested groups resolved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ImportGroup {
    /// At most 100 characters.
    pub name: String,
    /// At most 300 characters.
    pub external_id: ExternalId,
    /// In order; groups of one cycle share one list.
    #[serde(serialize_with = "members")]
    pub member_external_ids: Arc<[ExternalId]>,
}

/// One person who stays, comes or leaves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ImportMember {
    /// Absent only in a tombstone whose address nobody knows.
    pub email: Option<Email>,
    /// At most 300 characters.
    pub external_id: ExternalId,
    /// Whether the person leaves.
    pub deleted: bool,
}

fn members<S: serde::Serializer>(list: &Arc<[ExternalId]>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(list.iter())
}

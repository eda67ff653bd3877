//! Conversion of Okta's records to people and groups. Pure.

use bwdc_core::entry::{Email, ExternalId, FoundAs, Group, ReferenceId, Status, User};

use super::client::{GroupRecord, MemberRecord, UserRecord};

/// Converts one person, known by Okta's id.
pub(super) fn user(record: &UserRecord) -> User {
    User {
        external_id: ExternalId::from(record.id.as_str()),
        reference_id: ReferenceId::from(record.id.as_str()),
        email: record.profile.email.as_deref().and_then(Email::parse),
        status: match record.status.as_str() {
            "DEPROVISIONED" => Status::Deleted,
            "SUSPENDED" => Status::Disabled,
            // STAGED, PROVISIONED, ACTIVE, RECOVERY, LOCKED_OUT, PASSWORD_EXPIRED
            _ => Status::Active,
        },
        found_as: FoundAs::of(record.profile.login.as_deref()),
    }
}

/// Converts one group.
pub(super) fn group(record: &GroupRecord, members: &[MemberRecord]) -> Group {
    Group {
        external_id: ExternalId::from(record.id.as_str()),
        reference_id: ReferenceId::from(record.id.as_str()),
        name: record.profile.name.clone(),
        members: members.iter().map(|member| ReferenceId::from(member.id.as_str())).collect(),
        found_as: FoundAs::default(),
    }
}

//! Conversion of Google's records to people and groups. Pure.

use std::collections::HashSet;

use bwdc_core::entry::{Email, ExternalId, FoundAs, Group, ReferenceId, Status, User};
use bwdc_core::note::{Note, Noted, Step};
use serde_json::Value;

use super::client::{GroupRecord, MemberRecord, UserRecord};

/// Member that stands for everybody, if the whole customer is a member of a group.
const EVERYBODY: &str = "the customer";

/// List that a person was in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Listing {
    Living,
    Deleted,
}

/// Converts one person, known by Google's id: an account created again under the same address has a new one.
pub(super) fn user(record: &UserRecord, listing: Listing) -> User {
    let is_deleted = listing == Listing::Deleted || record.deletion_time.is_some();
    // An active account without addresses has no mailbox; its primary address is only a sign-in name.
    let has_address = is_deleted || !is_nothing(&record.emails);
    User {
        external_id: ExternalId::from(record.id.as_str()),
        reference_id: ReferenceId::from(record.id.as_str()),
        email: record.primary_email.as_deref().filter(|_| has_address).and_then(Email::parse),
        status: match (is_deleted, record.suspended || record.archived) {
            (true, _) => Status::Deleted,
            (false, true) => Status::Disabled,
            (false, false) => Status::Active,
        },
        found_as: FoundAs::of(record.primary_email.as_deref()),
    }
}

/// Reads the list of addresses, which the API declares as "any".
fn is_nothing(emails: &Value) -> bool {
    emails.is_null() || emails.as_array().is_some_and(Vec::is_empty)
}

/// Listed and not deleted.
pub(super) fn living<'a>(people: impl Iterator<Item = &'a User>) -> HashSet<&'a ReferenceId> {
    people.filter(|user| user.status != Status::Deleted).map(|user| &user.reference_id).collect()
}

/// Converts one group, with notes on members who do not count. A member without a status counts if the directory has that person.
pub(super) fn group(
    record: &GroupRecord,
    members: &[MemberRecord],
    living: &HashSet<&ReferenceId>,
) -> Noted<Group> {
    let (mut references, mut inactive, mut foreign) = (Vec::new(), 0_usize, 0_usize);
    for member in members {
        let reference = ReferenceId::from(member.id.as_str());
        match (member.kind.to_ascii_uppercase().as_str(), member.status.as_deref()) {
            ("USER", Some("ACTIVE")) | ("GROUP", _) => references.push(reference),
            ("USER", None) if living.contains(&reference) => references.push(reference),
            ("CUSTOMER", _) => references.push(ReferenceId::from(EVERYBODY)),
            ("USER", Some(_)) => inactive += 1,
            // People from outside have no status, whatever their type.
            _ => foreign += 1,
        }
    }
    let mut notes = Vec::new();
    for (count, reason) in [
        (inactive, "members whose account is suspended or otherwise inactive were left out"),
        (foreign, "members from outside the Google Workspace were left out"),
    ] {
        if count > 0 {
            notes.push(Note::info(Step::Read, format!("{} ({count})", record.name), reason));
        }
    }
    let group = Group {
        external_id: ExternalId::from(record.id.as_str()),
        reference_id: ReferenceId::from(record.id.as_str()),
        name: record.name.clone(),
        members: references,
        found_as: FoundAs::default(),
    };
    (group, notes)
}

/// Members that the whole customer stands for, if a group has it: every active account, and the suspended ones.
pub(super) fn everybody<'a>(groups: &[Group], people: impl Iterator<Item = &'a User>) -> Option<Group> {
    let reference = ReferenceId::from(EVERYBODY);
    groups.iter().any(|group| group.members.contains(&reference)).then(|| Group {
        external_id: ExternalId::from(EVERYBODY),
        reference_id: reference,
        name: EVERYBODY.to_owned(),
        members: people
            .filter(|user| user.status != Status::Deleted)
            .map(|user| user.reference_id.clone())
            .collect(),
        found_as: FoundAs::default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(text: &str) -> UserRecord {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn status_and_address_follow_from_the_list_and_the_flags() {
        let full = r#"{"id":"1","primaryEmail":"Jane@Example.org","emails":[{"address":"x"}]"#;
        for (more, listing, status) in [
            ("}", Listing::Living, Status::Active),
            (r#","suspended":true}"#, Listing::Living, Status::Disabled),
            (r#","archived":true,"suspended":false}"#, Listing::Living, Status::Disabled),
            (r#","deletionTime":"2026-01-01T00:00:00Z"}"#, Listing::Living, Status::Deleted),
            (r#","suspended":true}"#, Listing::Deleted, Status::Deleted),
        ] {
            let user = user(&record(&format!("{full}{more}")), listing);
            assert_eq!((user.status, user.email.unwrap().as_str()), (status, "jane@example.org"), "{more}");
        }
    }

    #[test]
    fn an_active_account_without_addresses_has_none() {
        for emails in ["", r#","emails":[]"#] {
            let text = format!(r#"{{"id":"1","primaryEmail":"a@example.org"{emails}}}"#);
            assert_eq!(user(&record(&text), Listing::Living).email, None);
            assert!(user(&record(&text), Listing::Deleted).email.is_some());
        }
    }

    #[test]
    fn members_count_by_type_and_status() {
        let members: Vec<MemberRecord> = serde_json::from_str(
            r#"[{"id":"1","type":"USER","status":"ACTIVE"},{"id":"2","type":"USER","status":"SUSPENDED"},
                {"id":"3","type":"USER"},{"id":"6","type":"USER"},{"id":"7","type":"USER","status":null},{"id":"4","type":"EXTERNAL"},{"id":"5","type":"GROUP"},{"id":"C0","type":"CUSTOMER"}]"#,
        )
        .unwrap();
        let record = GroupRecord { id: "g".to_owned(), name: "Sales".to_owned() };
        let people = ["6", "7"].map(ReferenceId::from);
        let (group, notes) = group(&record, &members, &people.iter().collect());
        let references: Vec<_> = group.members.iter().map(ReferenceId::as_str).collect();
        assert_eq!(references, ["1", "6", "7", "5", EVERYBODY]);
        assert_eq!(
            notes.iter().map(|note| note.entry.as_str()).collect::<Vec<_>>(),
            ["Sales (1)", "Sales (2)"]
        );
    }
}

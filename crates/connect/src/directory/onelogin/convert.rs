//! Conversion of OneLogin's records to people and groups. Pure.

use std::collections::HashMap;

use bwdc_core::entry::{Email, ExternalId, FoundAs, Group, ReferenceId, Status, User};
use bwdc_core::note::{Note, Step};

use super::record::{RoleRecord, UserRecord};

/// `status` of an account that an administrator has suspended (OneLogin API 2, "User Resource"). The others are 0 unactivated, 1
/// active, 3 locked, 4 password expired, 5 awaiting a password reset, 7 password pending, 8 security questions required.
const SUSPENDED: i64 = 2;

/// Converts one person. Ids are numbers, written as the existing connector writes them.
pub(super) fn user(record: &UserRecord, suffix: Option<&str>) -> User {
    User {
        external_id: ExternalId::from(record.id.to_string()),
        reference_id: person(record.id),
        email: email(record, suffix),
        status: if record.status == Some(SUSPENDED) { Status::Disabled } else { Status::Active },
        found_as: FoundAs::of(given(&record.username).or(given(&record.email)).as_deref()),
    }
}

/// Address, else the user name if it is one, else the user name with the suffix.
fn email(record: &UserRecord, suffix: Option<&str>) -> Option<Email> {
    let name = given(&record.username);
    let made = || Some(format!("{}{}", name.as_ref()?, suffix?)).filter(|made| is_address(made));
    let found = given(&record.email).filter(|email| is_address(email));
    let found = found.or_else(|| name.clone().filter(|name| is_address(name))).or_else(made)?;
    Email::parse(&found)
}

fn given(text: &Option<String>) -> Option<String> {
    text.as_deref().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
}

/// Names people who have no address because the user name and the suffix do not make one.
pub(super) fn made_wrong(record: &UserRecord, suffix: Option<&str>) -> Option<Note> {
    let (name, suffix) = (given(&record.username)?, suffix?);
    if email(record, Some(suffix)).is_some() {
        return None;
    }
    let entry = format!("{name} ({}), as `{name}{suffix}`", record.id);
    Some(Note::warning(Step::Email, entry, "user name and sync.emailSuffix do not make an e-mail address"))
}

/// Whether the text has the form `x@y.z`.
fn is_address(text: &str) -> bool {
    let Some((local, domain)) = text.split_once('@') else { return false };
    let Some((host, end)) = domain.rsplit_once('.') else { return false };
    let has_odd = text.contains(char::is_whitespace) || domain.contains('@');
    !has_odd && [local, host, end].iter().all(|part| !part.is_empty())
}

/// Makes one group of each role, with the people whose roles include its id.
pub(super) fn groups(roles: Vec<RoleRecord>, users: &[UserRecord]) -> Vec<Group> {
    let mut holders: HashMap<u64, Vec<u64>> = HashMap::new();
    for user in users {
        for role in role_ids(user) {
            holders.entry(*role).or_default().push(user.id);
        }
    }
    let group = |role: RoleRecord| {
        let holders = holders.remove(&role.id).unwrap_or_default();
        group(&role, holders)
    };
    roles.into_iter().map(group).collect()
}

/// Role with the people who have it, by id.
pub(super) fn group(role: &RoleRecord, holders: impl IntoIterator<Item = u64>) -> Group {
    Group {
        external_id: ExternalId::from(role.id.to_string()),
        // The ids of people and of roles are separate series of numbers.
        reference_id: ReferenceId::from(format!("role:{}", role.id)),
        name: role.name.clone(),
        members: holders.into_iter().map(person).collect(),
        found_as: FoundAs::default(),
    }
}

/// Roles as far as they are known.
pub(super) fn role_ids(user: &UserRecord) -> &[u64] {
    user.role_ids.as_deref().unwrap_or_default()
}

fn person(id: u64) -> ReferenceId {
    ReferenceId::from(format!("user:{id}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(email: Option<&str>, username: Option<&str>) -> UserRecord {
        UserRecord {
            id: 1,
            email: email.map(str::to_owned),
            username: username.map(str::to_owned),
            status: Some(1),
            role_ids: None,
            created_at: None,
        }
    }

    #[test]
    fn the_address_is_the_first_valid_one() {
        for (email, username, suffix, expected) in [
            (Some(" Ann@Example.org "), Some("bob@example.org"), None, Some("ann@example.org")),
            (Some("ann"), Some("Bob@example.org"), None, Some("bob@example.org")),
            (Some("ann@localhost"), Some("bob"), None, None),
            (Some(""), Some("Bob"), Some("@example.org"), Some("bob@example.org")),
            (None, Some("bob"), Some("@example.org"), Some("bob@example.org")),
            (None, Some("bob@x"), Some("@example.org"), None),
            (None, None, Some("@example.org"), None),
            (None, Some(""), Some("@example.org"), None),
        ] {
            let user = user(&record(email, username), suffix);
            assert_eq!(user.email.as_ref().map(Email::as_str), expected, "{email:?} {username:?} {suffix:?}");
        }
        for odd in ["a@b@c.d", "a@.d", "a@b.", "@b.c", "a b@c.d", "a.b"] {
            assert!(!is_address(odd), "{odd}");
        }
    }

    #[test]
    fn people_who_would_have_an_invalid_address_are_named() {
        let told =
            |email, username, suffix| made_wrong(&record(email, username), suffix).map(|note| note.entry);
        assert_eq!(told(None, Some("bob"), Some("")).as_deref(), Some("bob (1), as `bob`"));
        assert_eq!(told(Some("x"), Some("b b"), Some("@x.org")).as_deref(), Some("b b (1), as `b b@x.org`"));
        for (email, username, suffix) in [
            (None, Some("bob"), None),
            (None, None, Some("")),
            (None, Some("bob"), Some("@example.org")),
            (None, Some("bob@example.org"), Some("")),
            (Some("ann@example.org"), Some("bob"), Some("")),
        ] {
            assert_eq!(told(email, username, suffix), None, "{email:?} {username:?} {suffix:?}");
        }
    }

    #[test]
    fn only_suspended_people_are_disabled() {
        for status in [None, Some(0), Some(1), Some(3), Some(4), Some(5), Some(7), Some(8)] {
            let record = UserRecord { status, ..record(None, None) };
            assert_eq!(user(&record, None).status, Status::Active, "{status:?}");
        }
        assert_eq!(
            user(&UserRecord { status: Some(2), ..record(None, None) }, None).status,
            Status::Disabled
        );
    }

    #[test]
    fn members_are_found_by_whole_ids() {
        let with =
            |id, roles: &[u64]| UserRecord { id, role_ids: Some(roles.to_vec()), ..record(None, None) };
        let roles = [1, 11].map(|id| RoleRecord { id, name: format!("Role {id}") });
        let groups = groups(roles.to_vec(), &[with(1, &[11]), with(11, &[1, 11, 111])]);
        let members = |at: usize| groups[at].members.iter().map(ReferenceId::as_str).collect::<Vec<_>>();
        assert_eq!((members(0), members(1)), (vec!["user:11"], vec!["user:1", "user:11"]));
        assert_eq!(groups[0].reference_id.as_str(), "role:1");
    }
}

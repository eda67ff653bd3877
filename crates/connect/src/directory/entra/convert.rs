//! Conversion of Graph's records to people and groups. Pure.

use std::collections::{BTreeMap, HashSet};

use bwdc_core::entry::{Email, ExternalId, FoundAs, Group, ReferenceId, Status, User};
use bwdc_core::note::{Note, Step};

use super::client::{ChangeRecord, DeletedRecord, GroupRecord, MemberRecord, UserRecord};
use super::filter::Circles;
use crate::directory::CreationTimes;

const USER: &str = "#microsoft.graph.user";
const GROUP: &str = "#microsoft.graph.group";

/// People of a tenant, with notes.
#[derive(Debug, Default)]
pub(super) struct People {
    /// People whom the filter's groups keep.
    pub(super) kept: Vec<User>,
    /// Everybody else.
    pub(super) others: Vec<User>,
    /// Creation times of all of them.
    pub(super) created: CreationTimes,
    pub(super) notes: Vec<Note>,
}

/// Separates the people whom the filter's groups keep from the rest.
pub(super) fn people(records: &[UserRecord], circles: &Circles<'_>) -> People {
    let mut people = People::default();
    for record in records {
        let user = user(record);
        people.created.extend(record.created_date_time.map(|created| (user.external_id.clone(), created)));
        if !circles.keep(&record.id.to_lowercase()) {
            let reason = "left out by the groups in the user filter";
            people.notes.push(Note::info(Step::Filter, label(record), reason));
            people.others.push(user);
            continue;
        }
        people.notes.extend(about(record, &user));
        people.kept.push(user);
    }
    people
}

fn label(record: &UserRecord) -> &str {
    let named = [&record.user_principal_name, &record.mail].into_iter().flatten();
    named.map(String::as_str).find(|name| !name.trim().is_empty()).unwrap_or(&record.id)
}

fn about(record: &UserRecord, user: &User) -> Option<Note> {
    if record.account_enabled.is_none() {
        let reason = "it is not known whether the account is enabled, so it counts as enabled: the application needs User.Read.All";
        return Some(Note::warning(Step::Read, label(record), reason));
    }
    let is_guest = user.email.is_none() && address(record).is_some();
    is_guest.then(|| {
        Note::info(
            Step::Email,
            label(record),
            "a guest without an e-mail address (a sign-in name with # is not one)",
        )
    })
}

/// Converts one person. A guest without an address of its own has none.
pub(super) fn user(record: &UserRecord) -> User {
    let status = if record.account_enabled == Some(false) { Status::Disabled } else { Status::Active };
    let is_usable = |address: &&str| status == Status::Disabled || !address.contains('#');
    User {
        external_id: ExternalId::from(record.id.as_str()),
        reference_id: ReferenceId::from(record.id.as_str()),
        email: address(record).filter(is_usable).and_then(Email::parse),
        status,
        found_as: FoundAs::of(record.user_principal_name.as_deref()),
    }
}

/// Mailbox address, or the sign-in name of people without a mailbox or with one in the tenant's initial domain only.
fn address(record: &UserRecord) -> Option<&str> {
    let filled =
        |text: &Option<String>| text.as_deref().map(str::trim).filter(|text| !text.is_empty()).is_some();
    let mail = record.mail.as_deref().filter(|mail| filled(&record.mail) && !is_first_domain(mail));
    mail.or_else(|| record.user_principal_name.as_deref().filter(|_| filled(&record.user_principal_name)))
}

fn is_first_domain(mail: &str) -> bool {
    mail.to_lowercase().contains("onmicrosoft.com")
}

/// Deleted people of a list of changes. Somebody may be in it more than once.
pub(super) fn removed(records: &[ChangeRecord]) -> Vec<User> {
    let removed = records.iter().filter(|record| record.removed.is_some());
    once(removed.map(|record| tombstone(&record.id, None)))
}

/// Deleted people in the recycle bin.
pub(super) fn deleted(records: &[DeletedRecord]) -> Vec<User> {
    let mail = |record: &DeletedRecord| {
        record.mail.as_deref().filter(|mail| !is_first_domain(mail)).and_then(Email::parse)
    };
    once(records.iter().map(|record| tombstone(&record.id, mail(record))))
}

fn once(users: impl Iterator<Item = User>) -> Vec<User> {
    let by_id: BTreeMap<ExternalId, User> = users.map(|user| (user.external_id.clone(), user)).collect();
    by_id.into_values().collect()
}

fn tombstone(id: &str, email: Option<Email>) -> User {
    User {
        external_id: ExternalId::from(id),
        reference_id: ReferenceId::from(id),
        email,
        status: Status::Deleted,
        found_as: FoundAs::default(),
    }
}

/// Finds tombstones of people who are in the list of people: restored meanwhile, or a list that lags behind. Returns the
/// names in the list.
pub(super) fn contradicted(tombstones: &[User], records: &[UserRecord]) -> BTreeMap<ExternalId, String> {
    let dead: HashSet<&str> = tombstones.iter().map(|user| user.external_id.as_str()).collect();
    let contradicted = records.iter().filter(|record| dead.contains(record.id.as_str()));
    contradicted.map(|record| (ExternalId::from(record.id.as_str()), label(record).to_owned())).collect()
}

/// Converts one group. Devices, contacts and applications in it are not members.
pub(super) fn group(record: &GroupRecord, members: &[MemberRecord]) -> Group {
    let is_member = |member: &&MemberRecord| matches!(member.kind.as_deref(), Some(USER | GROUP) | None);
    Group {
        external_id: ExternalId::from(record.id.as_str()),
        reference_id: ReferenceId::from(record.id.as_str()),
        name: record.display_name.clone(),
        members: members
            .iter()
            .filter(is_member)
            .map(|member| ReferenceId::from(member.id.as_str()))
            .collect(),
        found_as: FoundAs::default(),
    }
}

/// Ids of the people, or of the groups, among members.
pub(super) fn ids(members: &[MemberRecord], kind: MemberKind) -> HashSet<String> {
    let kind = match kind {
        MemberKind::User => USER,
        MemberKind::Group => GROUP,
    };
    let of_kind = members.iter().filter(|member| member.kind.as_deref().is_none_or(|found| found == kind));
    of_kind.map(|member| member.id.to_lowercase()).collect()
}

/// Kind of member that a filter looks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MemberKind {
    User,
    Group,
}

/// Separates groups that the administrative units keep from the others.
pub(super) fn by_circles(
    records: Vec<GroupRecord>,
    circles: &Circles<'_>,
) -> (Vec<GroupRecord>, Vec<GroupRecord>) {
    records.into_iter().partition(|record| circles.keep(&record.id.to_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(mail: Option<&str>, name: &str, enabled: bool) -> UserRecord {
        UserRecord {
            id: "1".into(),
            mail: mail.map(str::to_owned),
            user_principal_name: Some(name.to_owned()),
            account_enabled: Some(enabled),
            created_date_time: None,
        }
    }

    #[test]
    fn addresses() {
        let guest = "bob_x.org#EXT#@corp.onmicrosoft.com";
        for (mail, name, enabled, email) in [
            (Some(" Ada@Example.org "), "ada@corp.org", true, Some("ada@example.org")),
            (None, "ada@corp.org", true, Some("ada@corp.org")),
            (Some("  "), "ada@corp.org", true, Some("ada@corp.org")),
            (Some("ada@corp.OnMicrosoft.com"), "ada@corp.org", true, Some("ada@corp.org")),
            (
                Some("ada@corp.onmicrosoft.com"),
                "ada@corp.onmicrosoft.com",
                true,
                Some("ada@corp.onmicrosoft.com"),
            ),
            (Some("bob@x.org"), guest, true, Some("bob@x.org")),
            (None, guest, true, None),
            (None, guest, false, Some("bob_x.org#ext#@corp.onmicrosoft.com")),
            (None, "", true, None),
        ] {
            let record = record(mail, name, enabled);
            let user = user(&record);
            assert_eq!(user.email.as_ref().map(Email::as_str), email, "{mail:?} {name}");
            let people = people(&[record], &Circles::default());
            let is_guest = name == guest && email.is_none();
            assert_eq!(people.notes.len(), usize::from(is_guest), "{:?}", people.notes);
        }
        let unknown = UserRecord { account_enabled: None, ..record(None, "a@b.c", true) };
        assert_eq!(user(&unknown).status, Status::Active);
        assert_eq!(people(&[unknown], &Circles::default()).notes.len(), 1);
    }

    #[test]
    fn members_are_people_and_groups() {
        let member = |id: &str, kind: &str| MemberRecord { id: id.into(), kind: Some(kind.to_owned()) };
        let members = [
            member("A", USER),
            member("b", GROUP),
            member("c", "#microsoft.graph.device"),
            member("d", "#microsoft.graph.orgContact"),
            member("e", "#microsoft.graph.servicePrincipal"),
        ];
        let record = GroupRecord { id: "g".into(), display_name: "G".into(), visibility: None };
        let ids_of: Vec<_> = group(&record, &members).members.iter().map(|m| m.as_str().to_owned()).collect();
        assert_eq!(ids_of, ["A", "b"]);
        assert_eq!(ids(&members, MemberKind::User), HashSet::from(["a".to_owned()]));
        assert_eq!(ids(&members, MemberKind::Group), HashSet::from(["b".to_owned()]));
    }

    #[test]
    fn tombstones_occur_once_and_without_a_made_up_address() {
        let change = |id: &str, removed| ChangeRecord { id: id.into(), removed };
        let changes = [change("1", Some(Removed {})), change("2", None), change("1", Some(Removed {}))];
        let found = removed(&changes);
        assert_eq!((found.len(), found[0].status, found[0].email.clone()), (1, Status::Deleted, None));
        let bin = |mail: &str| DeletedRecord { id: mail.into(), mail: Some(mail.into()) };
        let emails: Vec<_> = deleted(&[bin("a@x.org"), bin("b@corp.onmicrosoft.com"), bin("")])
            .into_iter()
            .filter_map(|user| user.email)
            .collect();
        assert_eq!(emails, [Email::parse("a@x.org").unwrap()]);
    }

    use super::super::client::Removed;
}

//! Short words for making organizations and requests.

use bwdc_core::entry::Email;
use bwdc_core::import::{ImportGroup, ImportMember, ImportRequest};
use bwdc_core::organization::roster::{
    Account, Basis, Group, GroupId, Held, Kind, Member, MemberId, Role, Roster, Status,
};

pub(crate) fn email(text: &str) -> Email {
    Email::parse(text).unwrap()
}

/// `m-a`, with the address `a@x.org`, and the external id if there is one.
pub(crate) fn member(name: &str, external_id: &str, status: Status) -> Member {
    let has_account = matches!(status, Status::Accepted | Status::Confirmed);
    Member {
        id: MemberId::from(format!("m-{name}")),
        email: email(&format!("{name}@x.org")),
        external_id: Some(external_id).filter(|id| !id.is_empty()).map(Into::into),
        status,
        role: Role::User,
        account: if has_account { Account::Linked } else { Account::None },
    }
}

pub(crate) fn owner(name: &str, external_id: &str) -> Member {
    Member { role: Role::Owner, ..member(name, external_id, Status::Confirmed) }
}

pub(crate) fn group(name: &str, external_id: &str, members: &[&str]) -> Group {
    Group {
        id: GroupId::from(format!("g-{name}")),
        name: name.to_owned(),
        external_id: Some(external_id).filter(|id| !id.is_empty()).map(Into::into),
        members: Held::of(members.iter().map(|name| MemberId::from(format!("m-{name}")))),
    }
}

pub(crate) fn roster(
    kind: Kind,
    members: impl IntoIterator<Item = Member>,
    groups: impl IntoIterator<Item = Group>,
) -> Roster {
    let mut roster = Roster::new(kind, Basis::Live);
    roster.put_member(owner("boss", ""));
    members.into_iter().for_each(|member| roster.put_member(member));
    groups.into_iter().for_each(|group| roster.put_group(group));
    roster
}

pub(crate) fn stays(name: &str, external_id: &str) -> ImportMember {
    ImportMember {
        email: Some(email(&format!("{name}@x.org"))),
        external_id: external_id.into(),
        deleted: false,
    }
}

pub(crate) fn leaves(name: &str, external_id: &str) -> ImportMember {
    ImportMember { deleted: true, ..stays(name, external_id) }
}

pub(crate) fn import_group(name: &str, external_id: &str, members: &[&str]) -> ImportGroup {
    ImportGroup {
        name: name.to_owned(),
        external_id: external_id.into(),
        member_external_ids: members.iter().map(|id| (*id).into()).collect(),
    }
}

pub(crate) fn request(members: &[ImportMember], groups: &[ImportGroup]) -> ImportRequest {
    ImportRequest {
        groups: groups.to_vec(),
        members: members.to_vec(),
        overwrite_existing: false,
        large_import: false,
        invite_users_after_provisioning: true,
    }
}

/// Everybody but the boss, a line each.
pub(crate) fn shown(roster: &Roster) -> Vec<String> {
    let mut lines: Vec<String> = roster
        .members()
        .filter(|member| member.email.as_str() != "boss@x.org")
        .map(|Member { email, external_id, status, .. }| {
            format!("{email} {} {status:?}", external_id.as_ref().map_or("-", |id| id.as_str()))
        })
        .collect();
    let name = |id: &MemberId| roster.member(id).unwrap().email.as_str().replace("@x.org", "");
    lines.extend(roster.groups().map(|group| {
        let id = group.external_id.as_ref().map_or("-", |id| id.as_str());
        let mut members: Vec<String> = group.members.known().iter().map(name).collect();
        members.sort();
        format!("{} {id} [{}]", group.name, members.join(" "))
    }));
    lines.sort();
    lines
}

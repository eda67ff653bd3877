//! What the organization holds, and what was imported into it.

use serde::Serialize;

use super::Facts;
use super::find::Subject;
use crate::entry::ExternalId;
use crate::organization::changes::named_protected;
use crate::organization::ledger::{Doubt, Record, Standing};
use crate::organization::record::StatusWord;
use crate::organization::roster::{Basis, Held, Member, Role};
use crate::organization::{Ledger, Moment, Question};

/// Member of the organization.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the keys of the document are its contract")]
pub struct HeldMember {
    pub email: String,
    /// None where the server cannot be read.
    pub member_id: Option<String>,
    pub external_id: Option<String>,
    /// None where the server cannot be read, but for those whom an import has revoked.
    pub status: Option<StatusWord>,
    /// None where the server cannot be read.
    pub role: Option<Role>,
    /// Names of groups whose members were read.
    pub groups: Vec<String>,
    /// Whether `sync.protect` keeps the member in.
    pub protected: bool,
}

/// Group of the organization.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the keys of the document are its contract")]
pub struct HeldGroup {
    pub name: String,
    /// None where the server cannot be read.
    pub group_id: Option<String>,
    pub external_id: Option<String>,
    /// None where they were not read.
    pub members: Option<usize>,
}

/// Person as the ledger has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the keys of the document are its contract")]
pub struct SentMember {
    pub email: String,
    pub external_id: String,
    /// Whether the person is in, in words.
    pub standing: String,
    /// Every id that the directory has had for the person.
    pub ids: Vec<SeenId>,
    pub last_invited: Option<String>,
    pub groups: Vec<String>,
}

/// Id of a directory, and when it was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "the keys of the document are its contract")]
pub struct SeenId {
    pub id: String,
    pub first: String,
    pub last: String,
}

/// Group as the ledger has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the keys of the document are its contract")]
pub struct SentGroup {
    pub name: String,
    pub external_id: String,
    pub members: usize,
    /// When the memberships were last read from the server.
    pub verified: Option<String>,
}

pub(super) fn members(facts: &Facts<'_>, subject: &Subject) -> Vec<HeldMember> {
    let Subject::Person(person) = subject else { return Vec::new() };
    let Question { directory, roster, ledger, settings, .. } = facts.question;
    let protected = named_protected(&settings.protect, directory, roster, ledger);
    let is_live = roster.basis == Basis::Live;
    let held = |member: &Member| HeldMember {
        email: member.email.to_string(),
        member_id: Some(member.id.to_string()).filter(|_| is_live),
        external_id: member.external_id.as_ref().map(ToString::to_string),
        status: Some(member.status.into()).filter(|status| is_live || *status == StatusWord::Revoked),
        role: Some(member.role).filter(|_| is_live),
        groups: roster
            .groups()
            .filter(|group| group.members.known().contains(&member.id))
            .map(|group| group.name.clone())
            .collect(),
        protected: protected.contains(&member.id),
    };
    roster.members().filter(|member| person.members.contains(&member.id)).map(held).collect()
}

pub(super) fn groups(question: &Question<'_>, subject: &Subject) -> Vec<HeldGroup> {
    let Subject::Group(known) = subject else { return Vec::new() };
    let roster = question.roster;
    let is_meant = |group: &&crate::organization::roster::Group| {
        known.groups.contains(&group.id)
            || group.external_id.as_ref().is_some_and(|id| known.ids.contains(id))
    };
    let held = |group: &crate::organization::roster::Group| HeldGroup {
        name: group.name.clone(),
        group_id: Some(group.id.to_string()).filter(|_| roster.basis == Basis::Live),
        external_id: group.external_id.as_ref().map(ToString::to_string),
        members: match &group.members {
            Held::Unread => None,
            Held::Read(members) => Some(members.len()),
        },
    };
    roster.groups().filter(is_meant).map(held).collect()
}

pub(super) fn sent(ledger: &Ledger, subject: &Subject, written: fn(Moment) -> String) -> Vec<SentMember> {
    let Subject::Person(person) = subject else { return Vec::new() };
    let sent = |(id, record): (&ExternalId, &Record)| SentMember {
        email: record.email.to_string(),
        external_id: id.to_string(),
        standing: standing(record, written),
        ids: record
            .ids
            .iter()
            .map(|(id, sight)| SeenId {
                id: id.to_string(),
                first: written(sight.first),
                last: written(sight.last),
            })
            .collect(),
        last_invited: record.invited.map(|invited| written(invited.last)),
        groups: ledger
            .groups()
            .filter(|(_, group)| group.members.contains(id))
            .map(|(_, group)| group.name.clone())
            .collect(),
    };
    ledger.people().filter(|(id, _)| person.ids.contains(*id)).map(sent).collect()
}

fn standing(record: &Record, written: fn(Moment) -> String) -> String {
    let standing = match record.standing {
        Standing::In => "imported, and not left since".to_owned(),
        Standing::Grace { since, until, cause, .. } => format!(
            "left at {} ({}); removed after {} (sync.grace)",
            written(since),
            cause.reason(),
            written(until)
        ),
        Standing::Left { at, cause, .. } => format!("left at {} ({})", written(at), cause.reason()),
    };
    match record.doubt {
        None => standing,
        Some(Doubt::Membership | Doubt::Id) => {
            format!(
                "{standing}; an unfinished run left it open what the server has done, so it is sent again"
            )
        }
    }
}

pub(super) fn sent_groups(
    ledger: &Ledger,
    subject: &Subject,
    written: fn(Moment) -> String,
) -> Vec<SentGroup> {
    let Subject::Group(known) = subject else { return Vec::new() };
    let groups = ledger.groups().filter(|(id, _)| known.ids.contains(*id));
    let sent = groups.map(|(id, group)| SentGroup {
        name: group.name.clone(),
        external_id: id.to_string(),
        members: group.members.len(),
        verified: group.verified.map(written),
    });
    sent.collect()
}

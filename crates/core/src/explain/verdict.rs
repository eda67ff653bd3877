//! The answer in one sentence.

use serde::Serialize;

use super::find::Subject;
use super::trace::{Effect, TracedStep};
use super::{Facts, HeldGroup, HeldMember, InDirectory, Next, SentGroup, SentMember};
use crate::organization::changes::Cause;
use crate::organization::ledger::Standing;
use crate::organization::roster::{Basis, Kind};
use crate::organization::settings::Absent;
use crate::organization::{Moment, Question};
use crate::text::counted;

/// Kinds of answers, for machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum VerdictCode {
    /// A sync would send nothing at all.
    Refused,
    /// The next sync changes something.
    Changes,
    /// A limit holds the change back.
    Held,
    /// Stays although there is a reason to leave.
    Kept,
    /// Has left, and is removed later.
    Waits,
    /// In, and stays so.
    Stays,
    /// A step leaves it out.
    LeftOut,
    /// A rule of the server leaves it out.
    ServerRule,
    /// The directory does not have it.
    NotInDirectory,
    /// Only the organization knows it: no sync touches it.
    NotManaged,
    /// Known from our own records.
    Recorded,
}

/// Answer in one sentence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// For machines.
    pub code: VerdictCode,
    /// For people.
    pub text: String,
}

pub(super) struct Known<'a> {
    pub(super) facts: &'a Facts<'a>,
    pub(super) subject: &'a Subject,
    pub(super) directories: &'a [InDirectory],
    pub(super) next: &'a Next,
    pub(super) members: &'a [HeldMember],
    pub(super) groups: &'a [HeldGroup],
}

fn said(code: VerdictCode, text: impl Into<String>) -> Verdict {
    Verdict { code, text: text.into() }
}

pub(super) fn verdict(known: &Known<'_>) -> Verdict {
    let all = [refused(known), changes(known), left_out(known), held_by_server(known)];
    let first = all.into_iter().flatten().next();
    first.unwrap_or_else(|| match known.subject {
        Subject::Person(_) => still_person(known),
        Subject::Group(_) => still_group(known),
    })
}

/// Nothing is sent; a bad record of its own is told by the step.
fn refused(known: &Known<'_>) -> Option<Verdict> {
    let reasons = known.next.refused.join(" ");
    let is_own = left_out(known).is_some();
    (!reasons.is_empty() && !is_own)
        .then(|| said(VerdictCode::Refused, format!("The next sync would send nothing: {reasons}")))
}

fn changes(known: &Known<'_>) -> Option<Verdict> {
    let next = known.next;
    let memberships: Vec<&str> = next.memberships.iter().map(|membership| membership.text.as_str()).collect();
    let own = next.members.iter().map(|member| member.text.as_str());
    let own: Vec<&str> = own.chain(next.groups.iter().map(|group| group.text.as_str())).collect();
    // Whoever comes or leaves does so in the groups, too.
    let texts = if own.is_empty() { memberships } else { own };
    if texts.is_empty() {
        return None;
    }
    let is_kept = next.members.iter().any(|member| member.kept_by.is_some());
    let waits = next.members.iter().any(|member| member.until.is_some() && member.action.is_none());
    let is_held = next.members.iter().any(|member| member.held)
        || next.groups.iter().any(|group| group.held)
        || next.memberships.iter().any(|membership| membership.held);
    let code = match (is_held, is_kept, waits) {
        (true, _, _) => VerdictCode::Held,
        (_, true, _) => VerdictCode::Kept,
        (_, _, true) => VerdictCode::Waits,
        _ => VerdictCode::Changes,
    };
    Some(said(code, format!("Next sync: {}.", texts.join("; "))))
}

/// The step that leaves out every entry of it.
fn left_out(known: &Known<'_>) -> Option<Verdict> {
    let entries: Vec<_> = known.directories.iter().flat_map(|directory| &directory.entries).collect();
    let out = |steps: &[TracedStep]| {
        steps.last().filter(|step| step.effect == Effect::LeftOut).map(|step| step.text.clone())
    };
    let reasons: Vec<String> = entries.iter().filter_map(|entry| out(&entry.steps)).collect();
    if entries.is_empty() || reasons.len() < entries.len() {
        return None;
    }
    let mut reasons = reasons;
    reasons.dedup();
    let stays = match (left_by_import(known), known.members.is_empty() && known.groups.is_empty()) {
        (Some(left), _) => format!("Not imported, and {left}"),
        (None, true) => "Not imported".to_owned(),
        (None, false) => "Not imported, and stays in the organization as it is".to_owned(),
    };
    Some(said(VerdictCode::LeftOut, format!("{stays}: {}.", reasons.join("; "))))
}

/// To be imported, and not a member afterwards: the server's rules have told why.
fn held_by_server(known: &Known<'_>) -> Option<Verdict> {
    let is_in_directory = known.directories.iter().any(|directory| !directory.entries.is_empty());
    let is_absent = known.members.is_empty() && known.groups.is_empty();
    let texts: Vec<&str> = known.next.warnings.iter().map(|warning| warning.text.as_str()).collect();
    (is_in_directory && is_absent && !texts.is_empty())
        .then(|| said(VerdictCode::ServerRule, texts.join(" ")))
}

fn still_person(known: &Known<'_>) -> Verdict {
    let is_in_directory = known.directories.iter().any(|directory| !directory.entries.is_empty());
    let warnings: Vec<&str> = known.next.warnings.iter().map(|warning| warning.text.as_str()).collect();
    let more = if warnings.is_empty() { String::new() } else { format!(" {}", warnings.join(" ")) };
    let Question { roster, .. } = known.facts.question;
    if let Some(left) = left_by_import(known) {
        let kept = match (known.members, roster.kind) {
            ([], _) => "The import removed the member",
            (_, Kind::Vaultwarden) => "Vaultwarden keeps the member, revoked",
            (_, Kind::Official) => "The import revoked the member",
        };
        return said(
            VerdictCode::Stays,
            format!("Has {left}. {kept}, and the next sync changes nothing.{more}"),
        );
    }
    match (known.members, is_in_directory) {
        ([], true) => {
            let left = left(known).map(|left| format!(": {left}")).unwrap_or_default();
            said(VerdictCode::NotInDirectory, format!("Not a member{left}, and nothing is to be done.{more}"))
        }
        ([], false) => {
            let left = left(known).map(|left| format!(": {left}")).unwrap_or_default();
            let text = "Neither in the directory nor a member any more; known from earlier imports";
            said(VerdictCode::NotInDirectory, format!("{text}{left}."))
        }
        (_, true) if roster.basis == Basis::Ledger => said(
            VerdictCode::Stays,
            format!("Imported, and not left since; the next sync changes nothing.{more}"),
        ),
        (_, true) => said(VerdictCode::Stays, format!("A member, and the next sync changes nothing.{more}")),
        ([member, ..], false) if member.external_id.is_none() => said(
            VerdictCode::NotManaged,
            "A member without an external id, and in no directory: added by hand, and no sync changes it.",
        ),
        (_, false) => said(VerdictCode::NotInDirectory, format!("{}{more}", absent(known))),
    }
}

/// The same, where our imports are all that is known of the organization.
fn left_by_import(known: &Known<'_>) -> Option<String> {
    left(known).filter(|_| known.facts.question.roster.basis == Basis::Ledger)
}

/// When and why somebody left by the latest import about it, unless an import has brought the person since.
fn left(known: &Known<'_>) -> Option<String> {
    let Subject::Person(person) = known.subject else { return None };
    let records = known.facts.question.ledger.people().filter(|(id, _)| person.ids.contains(*id));
    let mut latest: Option<(Moment, Cause)> = None;
    for (_, record) in records {
        let (at, cause) = match record.standing {
            Standing::In => return None,
            Standing::Grace { since, cause, .. } => (since, cause),
            Standing::Left { at, cause, .. } => (at, cause),
        };
        if latest.is_none_or(|(before, _)| before <= at) {
            latest = Some((at, cause));
        }
    }
    latest.map(|(at, cause)| format!("left at {} ({})", (known.facts.written)(at), cause.reason()))
}

/// Why somebody stays whom the directory does not have.
fn absent(known: &Known<'_>) -> &'static str {
    let Subject::Person(person) = known.subject else { return "" };
    let is_known = known.facts.question.ledger.people().any(|(id, _)| person.ids.contains(id));
    match (is_known, known.facts.question.settings.absent) {
        (false, _) => {
            "A member with an external id that no directory has and no import of this program gave: it stays as it is."
        }
        (true, Absent::Keep) => {
            "In no directory any more, and stays: sync.removeMissing is false, so that only deleted people leave."
        }
        (true, Absent::Missing | Absent::OutOfScope) => {
            "Not found in what was read, and stays: not every place where the person was seen was read completely."
        }
    }
}

fn still_group(known: &Known<'_>) -> Verdict {
    if let Some((group, name)) =
        known.groups.first().and_then(|group| Some((group, other_name(known, group)?)))
    {
        let text = format!(
            "The directory has the name {name}, and {} stays: Vaultwarden renames no group.",
            group.name
        );
        return said(VerdictCode::ServerRule, text);
    }
    let is_in_directory = known.directories.iter().any(|directory| !directory.entries.is_empty());
    match (known.groups, is_in_directory) {
        ([_, ..], true) => {
            said(VerdictCode::Stays, "A group of the organization, and the next sync changes nothing.")
        }
        ([], true) => said(VerdictCode::Stays, "In the directory, and nothing is to be done about it."),
        ([group, ..], false) if group.external_id.is_none() => {
            said(VerdictCode::NotManaged, "A group made by hand in the organization: no sync changes it.")
        }
        (_, false) => said(VerdictCode::NotInDirectory, "Not among the groups of the directory."),
    }
}

/// Name that the import has for a group, and that a Vaultwarden does not take over.
fn other_name<'a>(known: &Known<'a>, group: &HeldGroup) -> Option<&'a str> {
    let id =
        group.external_id.as_deref().filter(|_| known.facts.question.roster.kind == Kind::Vaultwarden)?;
    let prepared = known.facts.prepared.groups.iter().find(|prepared| prepared.external_id.as_str() == id)?;
    Some(prepared.name.as_str()).filter(|name| *name != group.name)
}

pub(super) fn offline(sent: &[SentMember], groups: &[SentGroup]) -> Verdict {
    let people = sent.iter().map(|sent| format!("{}: {}", sent.email, sent.standing));
    let groups = groups.iter().map(|group| {
        format!("{}: imported with {}", group.name, counted(group.members, "member", "members"))
    });
    let all: Vec<String> = people.chain(groups).collect();
    said(VerdictCode::Recorded, format!("From our own records alone. {}.", all.join("; ")))
}

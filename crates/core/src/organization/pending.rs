//! Everything that waits for an administrator, as a document: what `bwdc pending --json` prints.

mod approved;
mod held;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

pub use super::changes::Way;
use super::changes::{
    Action, Cause, Changes, Code, GroupAction, INVITATION, Kept, KeptBy, Question, SlotId, Stopped, Warning,
};
use super::ledger::{RevokedBy, Standing};
use super::limits::{Deed, LimitName};
use super::moment::Moment;
use super::roster::{Basis, Kind, Member, Status};

/// People, groups and memberships that wait for an administrator, or for time to pass.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the keys of the document are its contract")]
pub struct Pending {
    pub object: String,
    pub created_at: String,
    pub kind: Kind,
    pub basis: Basis,
    /// Whether nothing is sent at all, because a limit says so.
    pub stopped: bool,
    /// Limits that are exceeded, each with what counts towards it.
    pub held: Vec<HeldByLimit>,
    /// Changes that count towards no limit and wait for those that do; all others where the run is stopped.
    pub held_besides: Held,
    pub in_grace: Vec<InGrace>,
    pub protected: Vec<Protected>,
    /// Ids and addresses to be mended by hand.
    pub to_mend: Vec<Warning>,
    pub vanished_groups: Vec<VanishedGroup>,
    pub approved: Vec<Approved>,
}

/// Somebody whom a document names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the keys of the document are its contract")]
pub struct Person {
    pub email: String,
    pub external_id: Option<String>,
    pub member_id: Option<String>,
}

/// A limit that is exceeded, and what counts towards it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the keys of the document are its contract")]
pub struct HeldByLimit {
    pub limit: LimitName,
    pub allowed: Option<usize>,
    pub wanted: usize,
    #[serde(flatten)]
    pub held: Held,
}

/// Changes that are held back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the keys of the document are its contract")]
pub struct Held {
    pub people: Vec<HeldPerson>,
    pub groups: Vec<HeldGroup>,
    pub memberships: Vec<HeldMembership>,
}

/// A change to a person that is held back.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the keys of the document are its contract")]
pub struct HeldPerson {
    #[serde(flatten)]
    pub person: Person,
    /// The directory's id, where the organization has another one.
    pub directory_id: Option<String>,
    pub action: Action,
    pub cause: Cause,
}

/// A change to a whole group that is held back.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the keys of the document are its contract")]
pub struct HeldGroup {
    pub name: String,
    /// The name before, if it changes.
    pub renamed_from: Option<String>,
    pub external_id: String,
    pub action: GroupAction,
    pub cause: Cause,
}

/// A membership whose coming or going is held back.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the keys of the document are its contract")]
pub struct HeldMembership {
    pub group: String,
    pub group_external_id: String,
    #[serde(flatten)]
    pub person: Person,
    pub action: Way,
    pub cause: Cause,
}

/// Somebody who has left and is removed later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the keys of the document are its contract")]
pub struct InGrace {
    #[serde(flatten)]
    pub person: Person,
    pub since: String,
    pub until: String,
    pub cause: Cause,
    pub revoked_by: RevokedBy,
}

/// Somebody who stays although there is a reason to leave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the keys of the document are its contract")]
pub struct Protected {
    #[serde(flatten)]
    pub person: Person,
    pub cause: Cause,
    pub by: KeptBy,
    /// End of the protection, if an undo gave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
}

/// A group of ours that the directory or the filter does not have any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the keys of the document are its contract")]
pub struct VanishedGroup {
    pub name: String,
    pub external_id: String,
    pub members: usize,
}

/// What an administrator has let through, and what no sync has done yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the keys of the document are its contract")]
pub struct Approved {
    pub limit: LimitName,
    pub until: String,
    pub subjects: Vec<ApprovedSubject>,
}

/// A person, a group, or a person in a group.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the keys of the document are its contract")]
pub struct ApprovedSubject {
    pub email: Option<String>,
    pub external_id: Option<String>,
    pub group: Option<String>,
    pub group_external_id: Option<String>,
    /// What may be done.
    pub action: Option<Deed>,
}

impl Pending {
    /// Everything that waits, as of the question's time. `written` writes a time in the form of RFC 3339, in UTC.
    pub fn of(question: &Question<'_>, changes: &Changes, written: impl Fn(Moment) -> String) -> Self {
        let (held, held_besides) = held::held(changes);
        Self {
            object: "pending".to_owned(),
            created_at: written(question.now),
            kind: changes.kind,
            basis: changes.basis,
            stopped: changes.stopped == Stopped::Yes,
            held,
            held_besides,
            in_grace: in_grace(question, changes, &written),
            protected: all_protected(question, changes, &written),
            to_mend: changes.warnings.iter().filter(|warning| is_to_mend(warning.code)).cloned().collect(),
            vanished_groups: vanished_groups(changes),
            approved: approved::approved(question, changes, &written),
        }
    }

    /// Whether there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
            && self.in_grace.is_empty()
            && self.protected.is_empty()
            && self.to_mend.is_empty()
            && self.vanished_groups.is_empty()
            && self.approved.is_empty()
    }

    /// What is held back, and nothing else.
    #[must_use]
    pub fn held_only(&self) -> Self {
        Self {
            in_grace: Vec::new(),
            protected: Vec::new(),
            to_mend: Vec::new(),
            vanished_groups: Vec::new(),
            approved: Vec::new(),
            ..self.clone()
        }
    }

    /// Whether everything that is held back later was shown here: then an approval of this may let it through.
    pub fn has_shown(&self, later: &Self) -> bool {
        later.held.iter().all(|later| {
            let shown = self.held.iter().find(|shown| shown.limit == later.limit);
            shown.is_some_and(|shown| shown.held.contains(&later.held))
        })
    }
}

impl Held {
    /// Whether nothing is held back.
    pub fn is_empty(&self) -> bool {
        self.people.is_empty() && self.groups.is_empty() && self.memberships.is_empty()
    }

    fn contains(&self, other: &Self) -> bool {
        is_subset(&other.people, &self.people)
            && is_subset(&other.groups, &self.groups)
            && is_subset(&other.memberships, &self.memberships)
    }
}

fn is_subset<T: Ord>(part: &[T], whole: &[T]) -> bool {
    let whole: BTreeSet<&T> = whole.iter().collect();
    part.iter().all(|item| whole.contains(item))
}

/// The person of a slot, with the id that the organization has.
pub(super) fn person(changes: &Changes, slot: SlotId) -> Option<Person> {
    let slot = changes.slot(slot)?;
    let id = slot.before.as_ref().or(slot.after.as_ref());
    let member = slot.member.as_ref().filter(|_| changes.basis == Basis::Live);
    Some(Person {
        email: slot.email.to_string(),
        external_id: id.map(ToString::to_string),
        member_id: member.map(ToString::to_string),
    })
}

/// Invitations by us that nobody has answered: address and end of each. Known where the organization can be read.
pub fn invitations(question: &Question<'_>) -> Vec<(String, Moment)> {
    let Question { roster, ledger, .. } = question;
    if roster.basis != Basis::Live {
        return Vec::new();
    }
    let invited = roster.members().filter(|member| member.status == Status::Invited);
    let end = |member: &Member| {
        let record = ledger.person(member.external_id.as_ref()?)?;
        Some((member.email.as_str().to_owned(), record.invited?.last.plus(INVITATION)))
    };
    invited.filter_map(end).collect()
}

/// Number of people in grace.
pub fn number_in_grace(question: &Question<'_>, changes: &Changes) -> usize {
    graces(question, changes).count()
}

/// Those who wait, and those whose time has passed, each with the grace.
fn graces(question: &Question<'_>, changes: &Changes) -> impl Iterator<Item = (SlotId, Standing)> {
    let waiting = changes.waiting.iter().map(|waiting| waiting.slot);
    let over = changes.members.iter().filter(|change| change.cause == Cause::Grace);
    let slots: BTreeSet<SlotId> = waiting.chain(over.map(|change| change.slot)).collect();
    slots.into_iter().filter_map(|slot| {
        let record = question.ledger.person(changes.slot(slot)?.before.as_ref()?)?;
        matches!(record.standing, Standing::Grace { .. }).then_some((slot, record.standing))
    })
}

fn in_grace(question: &Question<'_>, changes: &Changes, written: &impl Fn(Moment) -> String) -> Vec<InGrace> {
    let in_grace = |(slot, standing)| {
        let Standing::Grace { since, until, cause, by } = standing else { return None };
        // A shorter time counts for those who wait already.
        let until = until.min(since.plus(question.settings.grace));
        let person = person(changes, slot)?;
        Some(InGrace { person, since: written(since), until: written(until), cause, revoked_by: by })
    };
    let mut people: Vec<InGrace> = graces(question, changes).filter_map(in_grace).collect();
    people.sort_by(|a, b| a.person.cmp(&b.person));
    people
}

/// Everybody who stays although there is a reason to leave, in the order of addresses.
fn all_protected(
    question: &Question<'_>,
    changes: &Changes,
    written: &impl Fn(Moment) -> String,
) -> Vec<Protected> {
    let mut all: Vec<Protected> =
        changes.kept.iter().filter_map(|kept| protected(question, changes, kept, written)).collect();
    all.sort_by(|a, b| a.person.cmp(&b.person));
    all
}

fn protected(
    question: &Question<'_>,
    changes: &Changes,
    kept: &Kept,
    written: &impl Fn(Moment) -> String,
) -> Option<Protected> {
    let id = changes.slot(kept.slot)?.before.as_ref().filter(|_| kept.by == KeptBy::Undo);
    let record = id.and_then(|id| question.ledger.person(id));
    let protection = record.and_then(|record| record.protection(question.now));
    let until = protection.map(|protection| written(protection.until));
    Some(Protected { person: person(changes, kept.slot)?, cause: kept.cause, by: kept.by, until })
}

fn is_to_mend(code: Code) -> bool {
    matches!(code, Code::AddressTaken | Code::AddressDiffers | Code::IdChanged | Code::DuplicateExternalId)
}

fn vanished_groups(changes: &Changes) -> Vec<VanishedGroup> {
    let vanished = changes.vanished.iter().map(|group| VanishedGroup {
        name: group.name.clone(),
        external_id: group.external_id.to_string(),
        members: group.members,
    });
    vanished.collect()
}

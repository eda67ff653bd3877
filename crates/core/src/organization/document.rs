//! The plan as a document: what `bwdc plan --json` prints.

use std::collections::{BTreeMap, BTreeSet};

use foldhash::HashSet as FastSet;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::changes::{
    Action, Cause, Changes, Edge, GroupAction, GroupChange, Hold, MemberChange, Slot, SlotId, Summary,
    Warning,
};
use super::limits::{LimitName, Outcome};
use super::pending::{Person, person};
use super::roster::{Basis, Kind};
use crate::snapshot::Coverage;
use crate::text::digest;

/// The form of the document.
pub const VERSION: u32 = 1;

/// Facts in the document beside the changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heading {
    /// RFC 3339, in UTC.
    pub created_at: String,
    /// RFC 3339, in UTC.
    pub expires_at: String,
    /// The organization's id.
    pub organization: String,
    /// The server's address.
    pub server: String,
    /// Whether the directories were read completely.
    pub coverage: Coverage,
}

/// A plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the keys of the document are its contract")]
pub struct Document {
    pub object: String,
    pub version: u32,
    pub created_at: String,
    pub expires_at: String,
    pub organization: Organization,
    pub basis: Basis,
    pub coverage: String,
    pub members: Vec<Member>,
    pub groups: Vec<Group>,
    /// Addresses of those whom groups name by an id.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub addresses: BTreeMap<String, String>,
    /// Members who are no longer in the directory, and stay.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<Person>,
    pub warnings: Vec<Warning>,
    pub limits: Vec<Limit>,
    pub summary: Totals,
    /// Digest of all the rest: whoever changes anything in a plan shows it.
    #[serde(default)]
    pub seal: String,
}

/// What a plan has and the present does not, by the address of a person or the name of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved(pub String);

/// Reasons why a text is not a plan to be carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// It is not a plan.
    #[error("it is not a plan: {0}")]
    NotAPlan(String),
    /// A later version of the program made it.
    #[error("its form is {0}, and this version of bwdc knows {VERSION}")]
    Version(u64),
    /// Somebody changed it.
    #[error("it was changed after it was made")]
    Edited,
}

/// Where a plan goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the keys of the document are its contract")]
pub struct Organization {
    pub id: String,
    pub server: String,
    pub kind: Kind,
}

/// A change to a membership.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the keys of the document are its contract")]
pub struct Member {
    pub action: Action,
    pub email: String,
    pub external_id: Option<String>,
    pub member_id: Option<String>,
    pub cause: Cause,
    pub held: bool,
}

/// A change to a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the keys of the document are its contract")]
pub struct Group {
    pub action: GroupAction,
    pub name: String,
    pub external_id: String,
    pub group_id: Option<String>,
    pub cause: Cause,
    pub held: bool,
    pub join: Vec<String>,
    pub leave: Vec<String>,
    pub held_leave: Vec<String>,
    /// The name before, if it changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renamed_from: Option<String>,
    /// The directory's name, if it is held back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_name: Option<String>,
}

/// A limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the keys of the document are its contract")]
pub struct Limit {
    pub limit: LimitName,
    pub allowed: Option<usize>,
    pub wanted: usize,
    pub tripped: bool,
}

/// All in numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the keys of the document are its contract")]
pub struct Totals {
    #[serde(flatten)]
    pub counts: Summary,
    pub seats: SeatsTotal,
}

/// Seats in numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the keys of the document are its contract")]
pub struct SeatsTotal {
    pub in_use: usize,
    pub needed: usize,
    pub available: Option<usize>,
}

impl Document {
    /// The document of these changes.
    pub fn of(changes: &Changes, heading: Heading) -> Self {
        let Heading { created_at, expires_at, organization, server, coverage } = heading;
        let unsealed = Self {
            object: "plan".to_owned(),
            version: VERSION,
            created_at,
            expires_at,
            organization: Organization { id: organization, server, kind: changes.kind },
            basis: changes.basis,
            coverage: match coverage {
                Coverage::Full => "full".to_owned(),
                Coverage::Changes => "changes".to_owned(),
            },
            members: changes.visible().filter_map(|change| member(changes, change)).collect(),
            groups: changes.groups.iter().map(|group| self::group(changes, group)).collect(),
            addresses: addresses(changes),
            missing: missing(changes),
            warnings: changes.warnings.clone(),
            limits: limits(changes),
            summary: totals(changes),
            seal: String::new(),
        };
        let seal = seal(serde_json::to_value(&unsealed).unwrap_or_default());
        Self { seal, ..unsealed }
    }

    /// Reads a plan to be carried out: the text that was written, and nothing else.
    ///
    /// # Errors
    /// The text is not a plan, not one of this form, or not as it was made.
    pub fn parse(text: &str) -> Result<Self, Unusable> {
        let not_a_plan = |error: serde_json::Error| Unusable::NotAPlan(error.to_string());
        let value: Value = serde_json::from_str(text).map_err(not_a_plan)?;
        if value.get("object").and_then(Value::as_str) != Some("plan") {
            return Err(Unusable::NotAPlan("its `object` is not `plan`".to_owned()));
        }
        match value.get("version").and_then(Value::as_u64) {
            Some(version) if version == u64::from(VERSION) => {}
            version => return Err(Unusable::Version(version.unwrap_or_default())),
        }
        // Of the text: to read it of the value would be the same code once more.
        let document: Self = serde_json::from_slice(text.as_bytes()).map_err(not_a_plan)?;
        if document.seal == seal(value) { Ok(document) } else { Err(Unusable::Edited) }
    }

    /// What is held back in this plan and was not, or not in the same way, in an earlier one.
    pub fn held_beyond(&self, shown: &Self) -> Vec<Moved> {
        let held = |plan: &Self| -> FastSet<String> {
            let members = plan.members.iter().filter(|member| member.held).map(text);
            members.chain(plan.groups.iter().filter_map(Group::held_text)).collect()
        };
        let known = held(shown);
        let members = self.members.iter().filter(|member| member.held && !known.contains(&text(*member)));
        let is_new = |group: &&Group| group.held_text().is_some_and(|held| !known.contains(&held));
        let members = members.map(|member| Moved(member.email.clone()));
        members.chain(self.groups.iter().filter(is_new).map(|group| Moved(group.name.clone()))).collect()
    }

    /// What this plan would change and a later one would not in the same way.
    pub(super) fn moved_in(&self, fresh: &Self) -> Vec<Moved> {
        let members: FastSet<String> = fresh.members.iter().map(text).collect();
        let groups: FastSet<String> = fresh.groups.iter().map(text).collect();
        let people = self.members.iter().filter(|member| !member.held && !members.contains(&text(*member)));
        let groups = self.groups.iter().filter(|group| !group.held && !groups.contains(&text(*group)));
        let people = people.map(|member| Moved(member.email.clone()));
        people.chain(groups.map(|group| Moved(group.name.clone()))).collect()
    }
}

impl Group {
    /// What is held back of it, if anything is.
    fn held_text(&self) -> Option<String> {
        let join = self.held.then_some(&self.join);
        let is_held = self.held || self.held_name.is_some() || !self.held_leave.is_empty();
        let action = self.held.then_some(self.action);
        is_held.then(|| text(&("group", action, &self.external_id, &self.held_name, &self.held_leave, join)))
    }
}

impl Member {
    /// By what a change is known in a plan.
    pub(super) fn key(&self) -> (Action, &str, Option<&str>) {
        (self.action, &self.email, self.external_id.as_deref())
    }
}

fn text(entry: &impl Serialize) -> String {
    serde_json::to_string(entry).unwrap_or_default()
}

fn seal(mut document: Value) -> String {
    if let Some(map) = document.as_object_mut() {
        map.remove("seal");
    }
    digest([document.to_string()])
}

fn member(changes: &Changes, change: &MemberChange) -> Option<Member> {
    let slot = changes.slot(change.slot)?;
    let id = if change.action.is_leaving() { &slot.before } else { &slot.after };
    Some(Member {
        action: change.action,
        email: slot.email.to_string(),
        external_id: id.as_ref().map(ToString::to_string),
        member_id: slot.member.as_ref().filter(|_| changes.basis == Basis::Live).map(ToString::to_string),
        cause: change.cause,
        held: change.hold != Hold::Free,
    })
}

fn group(changes: &Changes, group: &GroupChange) -> Group {
    let is_held = group.hold != Hold::Free;
    let join = if is_held { &group.held_join } else { &group.join };
    let id = group.group.as_ref().filter(|_| changes.basis == Basis::Live);
    Group {
        action: group.action,
        name: group.name_after().to_owned(),
        external_id: group.external_id.to_string(),
        group_id: id.map(ToString::to_string),
        cause: group.cause,
        held: is_held,
        join: names(changes, join),
        leave: names(changes, &group.leave),
        held_leave: names(changes, &group.held_leave),
        renamed_from: group.free_name().map(|renamed| renamed.from.clone()),
        held_name: Some(&group.name).filter(|name| *name != group.name_after()).cloned(),
    }
}

/// External ids, or `member:ID` where there is none, sorted.
fn names(changes: &Changes, edges: &[Edge]) -> Vec<String> {
    let mut names: Vec<String> = edges.iter().filter_map(|edge| name_of(changes.slot(edge.slot)?)).collect();
    names.sort();
    names
}

fn name_of(slot: &Slot) -> Option<String> {
    match (&slot.after, &slot.member) {
        (Some(id), _) => Some(id.to_string()),
        (None, Some(member)) => Some(format!("member:{member}")),
        (None, None) => None,
    }
}

fn addresses(changes: &Changes) -> BTreeMap<String, String> {
    let edges = |group: &GroupChange| {
        let join = if group.hold != Hold::Free { &group.held_join } else { &group.join };
        let slots = join.iter().chain(&group.leave).chain(&group.held_leave).map(|edge| edge.slot);
        slots.collect::<Vec<SlotId>>()
    };
    let slots: BTreeSet<SlotId> = changes.groups.iter().flat_map(edges).collect();
    let slots = slots.into_iter().filter_map(|slot| changes.slot(slot));
    slots.filter_map(|slot| Some((name_of(slot)?, slot.email.to_string()))).collect()
}

fn missing(changes: &Changes) -> Vec<Person> {
    let mut people: Vec<Person> = changes.missing.iter().filter_map(|slot| person(changes, *slot)).collect();
    people.sort();
    people
}

fn limits(changes: &Changes) -> Vec<Limit> {
    let limit = |state: &super::limits::LimitState| Limit {
        limit: state.limit,
        allowed: state.allowed,
        wanted: state.wanted,
        tripped: state.outcome == Outcome::Tripped,
    };
    changes.limits.iter().map(limit).collect()
}

fn totals(changes: &Changes) -> Totals {
    let seats = changes.seats;
    let seats = SeatsTotal { in_use: seats.in_use, needed: seats.needed, available: seats.available };
    Totals { counts: changes.summary(), seats }
}

//! Validation rules of the server. It refuses a whole import because of one entry that breaks them, so that entry is named
//! here. Source: the validation attributes of bitwarden/server's `OrganizationImportRequestModel`. The server accepts control
//! characters, or fails on them in its database; they forge lines wherever a name is shown, and nobody uses them on purpose.

use std::collections::HashMap;

use super::{BadRecord, Draft, Fate, Person, PreparedGroup, emails};
use crate::entry::{Email, ExternalId};
use crate::text::control_character;

/// Limits in UTF-16 code units, as the server counts.
const LONGEST_EXTERNAL_ID: usize = 300;
const LONGEST_GROUP_NAME: usize = 100;

/// Takes out entries that the server would refuse.
pub(crate) fn refuse(mut draft: Draft) -> Draft {
    draft.people = sort_out(draft.people, person_problem, Person::label, &mut draft.bad_records);
    draft.groups = sort_out(draft.groups, group_problem, PreparedGroup::label, &mut draft.bad_records);
    draft.groups = unique_groups(draft.groups, &mut draft.bad_records);
    draft
}

/// Whether the server accepts an address.
pub(crate) fn is_acceptable(email: &Email) -> bool {
    emails::is_usable(email)
}

/// Reason why the server does not accept an address.
pub(crate) fn why_unacceptable(email: &Email) -> Option<String> {
    emails::why_unusable(email)
}

fn sort_out<T>(
    entries: Vec<T>,
    problem: impl Fn(&T) -> Option<String>,
    label: impl Fn(&T) -> String,
    bad_records: &mut Vec<BadRecord>,
) -> Vec<T> {
    let judge = |entry: &T| match problem(entry) {
        None => true,
        Some(problem) => {
            let label = label(entry);
            bad_records.push(BadRecord { problem: format!("{label}: {problem}"), entries: vec![label] });
            false
        }
    };
    let mut entries = entries;
    let mut judge = judge;
    entries.retain(|entry| judge(entry));
    entries
}

fn person_problem(person: &Person) -> Option<String> {
    if let Some(problem) = external_id_problem(&person.external_id) {
        return Some(problem);
    }
    person.email.as_ref().filter(|_| person.fate == Fate::Stays).and_then(emails::problem)
}

fn group_problem(group: &PreparedGroup) -> Option<String> {
    if let Some(problem) = external_id_problem(&group.external_id) {
        return Some(problem);
    }
    if group.name.trim().is_empty() {
        return Some("the group has no name".to_owned());
    }
    if let Some(problem) = control_character("the group's name", &group.name) {
        return Some(problem);
    }
    let length = too_long(&group.name, LONGEST_GROUP_NAME)?;
    Some(format!("the group's name has {length} characters; the server accepts at most {LONGEST_GROUP_NAME}"))
}

fn external_id_problem(id: &ExternalId) -> Option<String> {
    if id.as_str().trim().is_empty() {
        return Some("the external id is blank".to_owned());
    }
    if let Some(problem) = control_character("the external id", id.as_str()) {
        return Some(problem);
    }
    let length = too_long(id.as_str(), LONGEST_EXTERNAL_ID)?;
    Some(format!("the external id has {length} characters; the server accepts at most {LONGEST_EXTERNAL_ID}"))
}

/// Length of a text in UTF-16 code units, if it is over what the server accepts. No text has more of them than bytes.
pub(super) fn too_long(text: &str, longest: usize) -> Option<usize> {
    if text.len() <= longest {
        return None;
    }
    Some(text.encode_utf16().count()).filter(|length| *length > longest)
}

/// Finds groups with the same external id, which would stop the server half-way.
fn unique_groups(groups: Vec<PreparedGroup>, bad_records: &mut Vec<BadRecord>) -> Vec<PreparedGroup> {
    let mut names: HashMap<ExternalId, Vec<String>> = HashMap::with_capacity(groups.len());
    for group in &groups {
        names.entry(group.external_id.clone()).or_default().push(group.name.clone());
    }
    names.retain(|_, names| names.len() > 1);
    let mut twins: Vec<_> = names.iter().collect();
    twins.sort();
    bad_records.extend(twins.into_iter().map(|(id, names)| BadRecord {
        problem: format!("{} groups have the external id {id}: {}", names.len(), names.join("; ")),
        entries: names.clone(),
    }));
    groups.into_iter().filter(|group| !names.contains_key(&group.external_id)).collect()
}

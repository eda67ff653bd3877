//! Conversion of records to people and groups. Pure.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use bwdc_core::did_you_mean;
use bwdc_core::entry::{Email, ExternalId, FoundAs, Group, ReferenceId, Status, User};

use super::client::{GroupRecord, RecordPosition, Records, UserRecord, wrong};
use crate::Result;

/// Values of the status column.
const STATUSES: [(&str, Status); 11] = [
    ("", Status::Active),
    ("active", Status::Active),
    ("enabled", Status::Active),
    ("disabled", Status::Disabled),
    ("inactive", Status::Disabled),
    ("suspended", Status::Disabled),
    ("locked", Status::Disabled),
    ("deleted", Status::Deleted),
    ("terminated", Status::Deleted),
    ("left", Status::Deleted),
    ("removed", Status::Deleted),
];

/// People and groups, with members as references.
pub(super) fn convert(records: Records) -> Result<(Vec<User>, Vec<Group>)> {
    let (users, memberships) = people(records.users)?;
    let groups = groups(records.groups, memberships)?;
    let directory = Names::of(&users, &groups);
    let groups = groups.into_iter().map(|group| directory.resolve(group)).collect();
    Ok((users, groups))
}

/// Group before its members are looked up.
struct Draft {
    id: String,
    name: String,
    members: Vec<Member>,
    found_as: FoundAs,
}

/// Source of a member's name.
enum Member {
    /// The `groups` column of a person with this id.
    Person(String),
    /// A word in the `members` column.
    Word(String),
}

/// A person's group, by the `groups` column.
struct Membership {
    group: String,
    /// The id of the person in it.
    person: String,
    found_as: FoundAs,
}

fn people(records: Vec<UserRecord>) -> Result<(Vec<User>, Vec<Membership>)> {
    let mut seen: HashMap<String, (User, RecordPosition)> = HashMap::new();
    let mut memberships = Vec::new();
    let mut order = Vec::new();
    for record in records {
        let user = user(&record)?;
        memberships.extend(record.groups.into_iter().map(|group| Membership {
            found_as: found_as(&[&group], &record.place),
            group,
            person: record.id.clone(),
        }));
        match seen.entry(record.id.clone()) {
            Entry::Vacant(slot) => {
                slot.insert((user, record.place));
                order.push(record.id);
            }
            Entry::Occupied(slot) if slot.get().0 == user => {}
            Entry::Occupied(slot) => {
                let problem =
                    format!("the id `{}` also occurs there with other data: {}", record.id, slot.get().1.at);
                return Err(wrong(&record.place, problem));
            }
        }
    }
    let users = order.iter().filter_map(|id| seen.remove(id)).map(|(user, _)| user).collect();
    Ok((users, memberships))
}

fn user(record: &UserRecord) -> Result<User> {
    if record.id.is_empty() {
        return Err(wrong(&record.place, "it has no id (and no e-mail address to use instead)"));
    }
    Ok(User {
        external_id: ExternalId::from(record.id.as_str()),
        reference_id: person_reference(&record.id),
        email: Email::parse(&record.email),
        status: status(record)?,
        found_as: found_as(&[&record.id, &record.email], &record.place),
    })
}

/// An id is the administrator's own, and says who it is; one with control characters in it is found by its place.
fn found_as(words: &[&str], place: &RecordPosition) -> FoundAs {
    let is_readable = words.iter().all(|word| !word.contains(char::is_control));
    if is_readable {
        return FoundAs::default();
    }
    FoundAs::of(Some(&format!("{}, {}", place.file.display(), place.at)))
}

fn status(record: &UserRecord) -> Result<Status> {
    let word = record.status.to_lowercase();
    STATUSES.iter().find(|(known, _)| *known == word).map(|(_, status)| *status).ok_or_else(|| {
        let known: Vec<&str> =
            STATUSES.iter().map(|(word, _)| *word).filter(|word| !word.is_empty()).collect();
        let near = did_you_mean(&word, known.iter().copied())
            .map_or(String::new(), |near| format!(" (did you mean `{near}`?)"));
        wrong(
            &record.place,
            format!("unknown status `{}`{near}; known are: {}", record.status, known.join(", ")),
        )
    })
}

/// Whether a word in the status column says that somebody is not in use.
pub(super) fn is_marked(word: &str) -> bool {
    let word = word.to_lowercase();
    STATUSES.iter().any(|(known, status)| *known == word && *status != Status::Active)
}

fn person_reference(id: &str) -> ReferenceId {
    ReferenceId::from(format!("user:{id}"))
}

fn group_reference(id: &str) -> ReferenceId {
    ReferenceId::from(format!("group:{id}"))
}

/// Merges rows with the same id into one group. A group that only a person's `groups` column names is added.
fn groups(records: Vec<GroupRecord>, memberships: Vec<Membership>) -> Result<Vec<Draft>> {
    let mut drafts: Vec<Draft> = Vec::new();
    let mut by_id: HashMap<String, usize> = HashMap::new();
    for record in records {
        if record.id.is_empty() {
            return Err(wrong(&record.place, "it has no id (and no name to use instead)"));
        }
        let at = *by_id.entry(record.id.clone()).or_insert_with(|| {
            drafts.push(Draft {
                id: record.id.clone(),
                name: record.name.clone(),
                members: Vec::new(),
                found_as: found_as(&[&record.id, &record.name], &record.place),
            });
            drafts.len() - 1
        });
        if drafts[at].name != record.name {
            let problem =
                format!("the group `{}` has the name `{}` in an earlier row", record.id, drafts[at].name);
            return Err(wrong(&record.place, problem));
        }
        drafts[at].members.extend(record.members.into_iter().map(Member::Word));
    }
    let mut by_name: HashMap<String, usize> =
        drafts.iter().enumerate().map(|(at, draft)| (draft.name.clone(), at)).collect();
    for Membership { group, person, found_as } in memberships {
        let found = by_id.get(&group).or_else(|| by_name.get(&group)).copied();
        let at = found.unwrap_or_else(|| {
            drafts.push(Draft { id: group.clone(), name: group.clone(), members: Vec::new(), found_as });
            by_name.insert(group, drafts.len() - 1);
            drafts.len() - 1
        });
        drafts[at].members.push(Member::Person(person));
    }
    Ok(drafts)
}

/// Names by which a member can be found.
struct Names(HashMap<String, ReferenceId>);

impl Names {
    /// A person's id takes precedence over an address, an address over a group's id, that over a group's name.
    fn of(users: &[User], groups: &[Draft]) -> Self {
        let mut names = HashMap::new();
        names.extend(groups.iter().map(|group| (group.name.clone(), group_reference(&group.id))));
        names.extend(groups.iter().map(|group| (group.id.clone(), group_reference(&group.id))));
        let emails = users.iter().filter_map(|user| Some((user.email.as_ref()?.as_str().to_owned(), user)));
        names.extend(emails.map(|(email, user)| (email, user.reference_id.clone())));
        names.extend(
            users.iter().map(|user| (user.external_id.as_str().to_owned(), user.reference_id.clone())),
        );
        Self(names)
    }

    fn find(&self, word: &str) -> ReferenceId {
        let word = word.trim();
        let found = self.0.get(word).or_else(|| self.0.get(&word.to_lowercase()));
        found.cloned().unwrap_or_else(|| ReferenceId::from(word))
    }

    fn resolve(&self, draft: Draft) -> Group {
        let members = draft.members.iter().map(|member| match member {
            Member::Person(id) => person_reference(id),
            Member::Word(word) => self.find(word),
        });
        Group {
            external_id: ExternalId::from(draft.id.as_str()),
            reference_id: group_reference(&draft.id),
            members: members.collect(),
            name: draft.name,
            found_as: draft.found_as,
        }
    }
}

//! Two accounts with the same address or external id. With the same address, the server fails after it has already removed
//! people; with the same external id, it fails at every later import.

use std::collections::{BTreeMap, HashSet};

use super::{BadRecord, Draft, Fate, Person, fate, reasons};
use crate::entry::{Email, Status, User};
use crate::note::{Note, Step};
use crate::rules::Rules;

/// Addresses of all active accounts of the directory, whatever the filters say. Empty if nobody leaves, because only
/// leavers need it.
pub(super) fn addresses_in_use(users: &[User], others: &[User], rules: &Rules) -> HashSet<Email> {
    if users.iter().all(|user| fate(user.status, rules) == Fate::Stays) {
        return HashSet::new();
    }
    users
        .iter()
        .chain(others)
        .filter(|user| fate(user.status, rules) == Fate::Stays)
        .filter_map(|user| user.email.clone())
        .collect()
}

/// Leaves out leavers whose address an active account has.
pub(super) fn spare_the_living(mut draft: Draft, taken: &HashSet<Email>) -> Draft {
    let is_spared = |person: &Person| {
        person.fate == Fate::Leaves && person.email.as_ref().is_some_and(|email| taken.contains(email))
    };
    let (spared, people): (Vec<_>, Vec<_>) = draft.people.into_iter().partition(is_spared);
    draft.notes.extend(spared.iter().map(|person| {
        Note::info(
            Step::Leavers,
            person.label(),
            "not removed, because an active account has the same address",
        )
    }));
    Draft { people, ..draft }
}

/// Merges identical copies; of an active account and a tombstone with the same id, the active one counts; two active
/// accounts with the same id and different data contradict each other.
pub(super) fn one_per_external_id(mut draft: Draft) -> Draft {
    draft.people.sort_by(|a, b| (&a.external_id, a.fate).cmp(&(&b.external_id, b.fate)));
    draft.people.dedup();
    let mut people: Vec<Person> = Vec::with_capacity(draft.people.len());
    let mut contested = Vec::new();
    for person in draft.people {
        match people.last() {
            Some(last) if last.external_id == person.external_id => {
                if last.fate == Fate::Stays && person.fate == Fate::Stays {
                    contested.push(person);
                }
            }
            _ => people.push(person),
        }
    }
    let mut by_id: BTreeMap<_, Vec<Person>> = BTreeMap::new();
    for person in contested {
        by_id.entry(person.external_id.clone()).or_default().push(person);
    }
    if !by_id.is_empty() {
        let (losers, rest) = people.into_iter().partition(|person| by_id.contains_key(&person.external_id));
        people = rest;
        for person in losers {
            by_id.entry(person.external_id.clone()).or_default().insert(0, person);
        }
    }
    draft.bad_records.extend(by_id.into_iter().map(|(id, contenders)| {
        let entries: Vec<String> = contenders.iter().map(Person::label).collect();
        let problem = format!("{} accounts have the external id {id}: {}", entries.len(), entries.join("; "));
        BadRecord { entries, problem }
    }));
    Draft { people, ..draft }
}

/// Leaves out accounts with the same address, unless one of them is in use and the others are disabled.
pub(super) fn one_per_address(mut draft: Draft) -> Draft {
    if addresses_are_unique(&draft.people) {
        return draft;
    }
    let mut staying: Vec<usize> =
        (0..draft.people.len()).filter(|&at| draft.people[at].fate == Fate::Stays).collect();
    staying.sort_by(|&a, &b| draft.people[a].email.cmp(&draft.people[b].email));
    let mut dropped = HashSet::new();
    for contenders in staying.chunk_by(|&a, &b| draft.people[a].email == draft.people[b].email) {
        if contenders.len() < 2 {
            continue;
        }
        let active: Vec<usize> =
            contenders.iter().copied().filter(|&at| draft.people[at].status == Status::Active).collect();
        if let [winner] = active[..] {
            for &loser in contenders.iter().filter(|&&at| at != winner) {
                draft.notes.push(Note::info(
                    Step::Duplicates,
                    draft.people[loser].label(),
                    reasons::DISABLED_TWIN,
                ));
                dropped.insert(loser);
            }
        } else {
            draft.bad_records.push(contest(contenders.iter().map(|&at| &draft.people[at])));
            dropped.extend(contenders.iter().copied());
        }
    }
    if dropped.is_empty() {
        return draft;
    }
    let people = draft.people.into_iter().enumerate().filter(|(at, _)| !dropped.contains(at)).map(|(_, p)| p);
    Draft { people: people.collect(), ..draft }
}

/// Fast check for the usual case, without duplicates.
fn addresses_are_unique(people: &[Person]) -> bool {
    let mut seen = foldhash::HashSet::with_capacity_and_hasher(people.len(), Default::default());
    people.iter().filter(|person| person.fate == Fate::Stays).all(|person| seen.insert(&person.email))
}

fn contest<'a>(contenders: impl Iterator<Item = &'a Person> + Clone) -> BadRecord {
    let entries: Vec<String> = contenders.clone().map(Person::label).collect();
    let found: Vec<String> = contenders.clone().map(Person::entry).collect();
    let email = contenders.clone().find_map(|person| person.email.as_ref()).map_or("", Email::as_str);
    let problem = format!("{} accounts have the e-mail address {email}: {}", found.len(), found.join("; "));
    BadRecord { entries, problem }
}

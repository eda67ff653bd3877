//! Approvals that are good now, by the names of those whom they are about.

use foldhash::HashMap as FastMap;

use super::{Approved, ApprovedSubject, Person, person};
use crate::organization::changes::{Changes, Question, SlotId};
use crate::organization::ledger::Approval;
use crate::organization::limits::{Deed, key_of};
use crate::organization::moment::Moment;

pub(super) fn approved(
    question: &Question<'_>,
    changes: &Changes,
    written: &impl Fn(Moment) -> String,
) -> Vec<Approved> {
    let mut approvals = question.ledger.approvals(question.now).peekable();
    if approvals.peek().is_none() {
        return Vec::new();
    }
    let names = Names::of(question, changes);
    approvals.map(|approval| names.approved(approval, written)).collect()
}

/// Names by what a limit counts.
struct Names {
    people: FastMap<String, Person>,
    groups: FastMap<String, String>,
}

impl Names {
    fn of(question: &Question<'_>, changes: &Changes) -> Self {
        let slots = 0..SlotId::try_from(changes.slots.len()).unwrap_or(SlotId::MAX);
        let people = slots.filter_map(|slot| Some((key_of(changes, slot), person(changes, slot)?)));
        let known = question.ledger.groups().map(|(id, group)| (id.to_string(), group.name.clone()));
        let changed = changes.groups.iter().map(|group| (group.external_id.to_string(), group.name.clone()));
        Self { people: people.collect(), groups: known.chain(changed).collect() }
    }

    fn approved(&self, approval: &Approval, written: &impl Fn(Moment) -> String) -> Approved {
        let mut subjects: Vec<ApprovedSubject> =
            approval.changes.iter().map(|(key, deed)| self.subject(key).of(*deed)).collect();
        subjects.sort();
        Approved { limit: approval.limit, until: written(approval.until), subjects }
    }

    fn subject(&self, key: &str) -> ApprovedSubject {
        if let Some((group, person)) = key.split_once('\n') {
            return self.group(group).joined(self.person(person));
        }
        if self.groups.contains_key(key) { self.group(key) } else { self.person(key) }
    }

    fn group(&self, id: &str) -> ApprovedSubject {
        ApprovedSubject {
            group: self.groups.get(id).cloned(),
            group_external_id: Some(id.to_owned()),
            ..ApprovedSubject::default()
        }
    }

    /// Somebody who is not there any more is known by what was counted: the external id and the address.
    fn person(&self, key: &str) -> ApprovedSubject {
        if let Some(person) = self.people.get(key) {
            return ApprovedSubject {
                email: Some(person.email.clone()),
                external_id: person.external_id.clone(),
                ..ApprovedSubject::default()
            };
        }
        let (id, email) = key.rsplit_once(' ').map_or((key, None), |(id, email)| (id, Some(email)));
        ApprovedSubject {
            email: email.map(str::to_owned),
            external_id: Some(id.to_owned()),
            ..ApprovedSubject::default()
        }
    }
}

impl ApprovedSubject {
    fn of(self, deed: Deed) -> Self {
        Self { action: Some(deed), ..self }
    }

    fn joined(self, person: Self) -> Self {
        Self { email: person.email, external_id: person.external_id, ..self }
    }
}

//! People who were in the directory when it was last read completely, and their addresses.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::entry::{Email, ExternalId, FoundAs, ReferenceId, Status, User};
use crate::snapshot::{Coverage, Snapshot};

/// Map from external id to address. Supplies the address of a tombstone that lost its own, and shows who has vanished.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Stored")]
pub struct KnownPeople {
    /// Scope of the read. People absent from a read with another scope have not vanished.
    population: Option<String>,
    people: BTreeMap<ExternalId, Option<String>>,
    /// People whom a merge imported under an id from another directory, with that id: the organization knows them by it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    imported_as: BTreeMap<ExternalId, ExternalId>,
}

/// First form of the file: addresses only, and nobody without one.
#[derive(Deserialize)]
#[serde(untagged)]
enum Stored {
    Population {
        population: Option<String>,
        people: BTreeMap<ExternalId, Option<String>>,
        #[serde(default)]
        imported_as: BTreeMap<ExternalId, ExternalId>,
    },
    Addresses(BTreeMap<ExternalId, String>),
}

impl From<Stored> for KnownPeople {
    fn from(stored: Stored) -> Self {
        match stored {
            Stored::Population { population, people, imported_as } => {
                Self { population, people, imported_as }
            }
            Stored::Addresses(people) => people.into_iter().collect(),
        }
    }
}

impl KnownPeople {
    /// Last known address of a person.
    pub fn email(&self, id: &ExternalId) -> Option<Email> {
        self.people.get(id)?.as_deref().and_then(Email::parse)
    }

    /// Number of known people.
    pub fn len(&self) -> usize {
        self.people.len()
    }

    /// Whether nobody is known.
    pub fn is_empty(&self) -> bool {
        self.people.is_empty()
    }

    /// Part of the directory in which people were looked for, as text.
    pub fn population(&self) -> Option<&str> {
        self.population.as_deref()
    }

    /// Everybody: the directory's id, the id by which the person was imported, the address.
    pub fn people(&self) -> impl Iterator<Item = (&ExternalId, &ExternalId, Option<Email>)> {
        self.people.iter().map(|(id, email)| {
            (id, self.imported_as.get(id).unwrap_or(id), email.as_deref().and_then(Email::parse))
        })
    }

    /// Id under which the organization knows a person, if it does: usually the directory's.
    pub(crate) fn imported_as<'a>(&'a self, id: &'a ExternalId) -> Option<&'a ExternalId> {
        self.people.contains_key(id).then(|| self.imported_as.get(id).unwrap_or(id))
    }

    /// Records the ids under which people were imported.
    pub(crate) fn import_as<'a>(&mut self, ids: impl IntoIterator<Item = (&'a ExternalId, &'a ExternalId)>) {
        for (id, imported_as) in ids {
            if id == imported_as {
                self.imported_as.remove(id);
            } else {
                self.imported_as.insert(id.clone(), imported_as.clone());
            }
        }
    }

    /// People known after this read: everybody in it, and the tombstones among those known before. After a read of
    /// changes only, nobody is forgotten.
    #[must_use]
    pub fn after(&self, snapshot: &Snapshot) -> Self {
        let (population, mut people) = match snapshot.coverage {
            Coverage::Full => (snapshot.population.clone(), BTreeMap::new()),
            Coverage::Changes => (self.population.clone(), self.people.clone()),
        };
        for user in snapshot.users.iter().chain(&snapshot.others) {
            people.insert(user.external_id.clone(), self.address_of(user));
        }
        let mut imported_as = self.imported_as.clone();
        imported_as.retain(|id, _| people.contains_key(id));
        Self { population, people, imported_as }
    }

    /// People who were known and are missing from this complete read with the same scope. Nobody after a read of changes or
    /// with another scope.
    pub(crate) fn vanished(&self, snapshot: &Snapshot) -> Vec<User> {
        let is_same = self.population.is_some() && self.population == snapshot.population;
        if snapshot.coverage != Coverage::Full || !is_same {
            return Vec::new();
        }
        let present: foldhash::HashSet<&ExternalId> =
            snapshot.users.iter().chain(&snapshot.others).map(|user| &user.external_id).collect();
        let vanished = self.people.iter().filter(|(id, _)| !present.contains(id));
        vanished
            .map(|(id, email)| User {
                external_id: id.clone(),
                // Nothing refers to a person who is not there.
                reference_id: ReferenceId::from(format!("vanished:{id}")),
                email: email.as_deref().and_then(Email::parse),
                status: Status::Deleted,
                found_as: FoundAs::default(),
            })
            .collect()
    }

    fn address_of(&self, user: &User) -> Option<String> {
        let own = user.email.as_ref().map(|email| email.as_str().to_owned());
        match user.status {
            Status::Deleted => own.or_else(|| self.people.get(&user.external_id).cloned().flatten()),
            Status::Active | Status::Disabled => own,
        }
    }
}

impl FromIterator<(ExternalId, String)> for KnownPeople {
    fn from_iter<I: IntoIterator<Item = (ExternalId, String)>>(people: I) -> Self {
        let people = people.into_iter().map(|(id, email)| (id, Some(email))).collect();
        Self { population: None, people, imported_as: BTreeMap::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_form_of_the_file_is_read() {
        let known: KnownPeople = serde_json::from_str(r#"{"u1":"a@x.org"}"#).unwrap();
        assert_eq!(known.email(&"u1".into()).unwrap().as_str(), "a@x.org");
        let again: KnownPeople = serde_json::from_str(&serde_json::to_string(&known).unwrap()).unwrap();
        assert_eq!(again, known);
        assert!(serde_json::from_str::<KnownPeople>("{}").unwrap().is_empty());
    }
}

//! People who were in the directory when it was last read completely, as releases without a ledger kept them: the first ledger is made
//! of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::entry::{Email, ExternalId};

/// Map from external id to address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Stored")]
pub struct KnownPeople {
    /// Scope of the read.
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
            Stored::Addresses(people) => Self {
                people: people.into_iter().map(|(id, email)| (id, Some(email))).collect(),
                ..Self::default()
            },
        }
    }
}

impl KnownPeople {
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_form_of_the_file_is_read() {
        let known: KnownPeople = serde_json::from_str(r#"{"u1":"a@x.org"}"#).unwrap();
        let people: Vec<_> =
            known.people().map(|(id, known_as, email)| (id.as_str(), known_as.as_str(), email)).collect();
        assert_eq!(people, [("u1", "u1", Email::parse("a@x.org"))]);
        assert_eq!(known.population(), None);
        let again: KnownPeople = serde_json::from_str(&serde_json::to_string(&known).unwrap()).unwrap();
        assert_eq!(again, known);
        assert_eq!(serde_json::from_str::<KnownPeople>("{}").unwrap(), KnownPeople::default());
    }

    #[test]
    fn the_second_form_of_the_file_has_the_ids_of_a_merge() {
        let text =
            r#"{"population":"ldap dc=x","people":{"u1":"a@x.org","u2":null},"imported_as":{"u1":"o1"}}"#;
        let known: KnownPeople = serde_json::from_str(text).unwrap();
        let people: Vec<_> =
            known.people().map(|(id, known_as, email)| (id.as_str(), known_as.as_str(), email)).collect();
        assert_eq!(people, [("u1", "o1", Email::parse("a@x.org")), ("u2", "u2", None)]);
        assert_eq!(known.population(), Some("ldap dc=x"));
    }
}

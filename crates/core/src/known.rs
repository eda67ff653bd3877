//! Who was in the directory when it was last read completely, and at which address.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::entry::{Email, ExternalId, Status, User};
use crate::snapshot::{Coverage, Snapshot};

/// External id to address. Fills in the address of a tombstone that lost its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KnownPeople(BTreeMap<ExternalId, String>);

impl KnownPeople {
    /// The address somebody had.
    pub fn email(&self, id: &ExternalId) -> Option<Email> {
        self.0.get(id).and_then(|email| Email::parse(email))
    }

    /// How many people are known.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nobody is known.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is known after this read: everybody in it, and the tombstones among those known before. After a read of
    /// changes only, nobody is forgotten.
    #[must_use]
    pub fn after(&self, snapshot: &Snapshot) -> Self {
        let mut known = match snapshot.coverage {
            Coverage::Full => BTreeMap::new(),
            Coverage::Changes => self.0.clone(),
        };
        for user in snapshot.users.iter().chain(&snapshot.others) {
            if let Some(email) = self.address_of(user) {
                known.insert(user.external_id.clone(), email);
            }
        }
        Self(known)
    }

    fn address_of(&self, user: &User) -> Option<String> {
        let own = user.email.as_ref().map(|email| email.as_str().to_owned());
        match user.status {
            Status::Deleted => own.or_else(|| self.0.get(&user.external_id).cloned()),
            Status::Active | Status::Disabled => own,
        }
    }
}

impl FromIterator<(ExternalId, String)> for KnownPeople {
    fn from_iter<I: IntoIterator<Item = (ExternalId, String)>>(people: I) -> Self {
        Self(people.into_iter().collect())
    }
}

//! The first ledger, from what was kept before there was one. It removes nobody for absence whom the old files did not know.

use super::{Due, Ledger, Record, Sight, Standing};
use crate::entry::{Email, ExternalId};
use crate::known::KnownPeople;
use crate::organization::directory::Place;
use crate::organization::moment::Moment;
use crate::organization::roster::{Basis, Roster};

/// What was kept of all directories of an organization before there was a ledger.
#[derive(Clone, Debug)]
pub struct Legacy<'a> {
    /// One for each directory.
    pub directories: Vec<LegacyDirectory<'a>>,
    /// What the organization holds, where it can be read.
    pub roster: Option<&'a Roster>,
    /// When the ledger is made.
    pub now: Moment,
}

/// What was kept of one directory.
#[derive(Clone, Copy, Debug)]
pub struct LegacyDirectory<'a> {
    /// Of `known-people.json`.
    pub known: &'a KnownPeople,
    /// The place that its population was, if it is still read: [`KnownPeople::population`] tells the old text.
    pub place: Option<&'a Place>,
}

impl Ledger {
    /// Makes the first ledger. Everybody whom the old files knew counts as imported: a member by the old id, where the organization can
    /// be read. The next import has everything.
    pub fn migrated(legacy: &Legacy<'_>) -> Self {
        let mut ledger = Self { due: Due::Everything, ..Self::default() };
        let live = legacy.roster.filter(|roster| roster.basis == Basis::Live);
        let members = live.map(Roster::members_by_external_id);
        for LegacyDirectory { known, place } in &legacy.directories {
            for (id, imported_as, email) in known.people() {
                let member = members.as_ref().map(|members| members.get(imported_as).copied());
                let email = match member {
                    // The organization can be read, and does not have the person.
                    Some(None) => continue,
                    Some(Some(member)) => Some(member.email.clone()),
                    None => email,
                };
                let Some(email) = email else { continue };
                ledger.know(id, imported_as, email, *place, legacy.now);
            }
        }
        ledger
    }

    fn know(
        &mut self,
        id: &ExternalId,
        imported_as: &ExternalId,
        email: Email,
        place: Option<&Place>,
        now: Moment,
    ) {
        let record = self.people.entry(imported_as.clone()).or_insert_with(|| Record::new(email));
        record.standing = Standing::In;
        record.ids.insert(id.clone(), Sight { first: now, last: now, created: None });
        record.places.extend(place.cloned());
        if let Some(place) = place {
            self.places.insert(place.clone(), now);
        }
    }
}

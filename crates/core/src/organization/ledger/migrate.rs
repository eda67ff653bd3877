//! The first ledger, from what was kept before there was one. It removes nobody for absence whom the old files did not know.

use std::collections::BTreeSet;

use super::{Due, Effect, Ledger, Record, Sight, Standing};
use crate::entry::{Email, ExternalId};
use crate::known::KnownPeople;
use crate::organization::changes::{Changes, Question};
use crate::organization::directory::Place;
use crate::organization::moment::Moment;
use crate::organization::requests::{Step, requests};
use crate::organization::roster::{Basis, Roster};

/// State that was kept of all directories of an organization before there was a ledger.
#[derive(Clone, Debug)]
pub struct Legacy<'a> {
    /// One for each directory.
    pub directories: Vec<LegacyDirectory<'a>>,
    /// Organization as it is, where it can be read.
    pub roster: Option<&'a Roster>,
    /// Last import, as far as it is known.
    pub last: LastImport,
    /// Time at which the ledger is made.
    pub now: Moment,
}

/// Last import before there was a ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LastImport {
    /// There was none, or nobody knows: everything is imported. So it is after a failure where nothing can be read.
    None,
    /// There was one, and it may have been another than the present one would be. Where nothing can be read, everything is imported again.
    Other,
    /// There was one, and it was what the import of everything would be now (`lastSyncHash`): [`Ledger::taken_over`] tells what it left.
    Same,
}

/// State that was kept of one directory.
#[derive(Clone, Copy, Debug)]
pub struct LegacyDirectory<'a> {
    /// Of `known-people.json`.
    pub known: &'a KnownPeople,
    /// The place that its population was, if it is still read: [`KnownPeople::population`] tells the old text.
    pub place: Option<&'a Place>,
}

impl Ledger {
    /// Makes the first ledger. Everybody whom the old files knew counts as imported: a member by the old id, where the organization can
    /// be read.
    pub fn migrated(legacy: &Legacy<'_>) -> Self {
        let mut ledger = Self::default();
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
        // What can be read is compared, whatever was imported.
        ledger.due = match (legacy.last, live) {
            (LastImport::Other | LastImport::Same, Some(_)) => Due::Changes,
            (LastImport::None, _) | (_, None) => Due::Everything,
        };
        ledger
    }

    /// The ledger as if the requests of a run had been sent, of a server that cannot be read and has all of it already:
    /// [`LastImport::Same`]. Nothing of it counts towards a limit.
    #[must_use]
    pub fn taken_over(mut self, question: &Question<'_>, changes: &Changes) -> Self {
        let counts = |effect: &Effect| matches!(effect, Effect::Counts { .. });
        let steps = requests(question, changes).into_iter();
        let without_counts =
            |step: Step| step.effects.iter().filter(|effect| !counts(effect)).cloned().collect();
        let effects: Vec<Vec<Effect>> = steps.map(without_counts).collect();
        self.apply_all(&effects, question.now);
        self.finished(question, changes)
    }

    fn know(
        &mut self,
        id: &ExternalId,
        imported_as: &ExternalId,
        email: Email,
        place: Option<&Place>,
        now: Moment,
    ) {
        let record = self.people.get_or_insert_with(imported_as, || Record::new(email));
        record.standing = Standing::In;
        // Whose place is not read is missing in no read: not seen until then, as far as the organization's own id tells.
        if place.is_some() || id != imported_as {
            let sight = Sight { first: now, last: now, created: None };
            *record.ids.get_or_insert(id, sight) = sight;
        }
        if let Some(place) = place {
            let places: BTreeSet<&Place> = record.places.iter().chain([place]).collect();
            record.places = places.into_iter().cloned().collect();
            self.places.insert(place.clone(), now);
        }
    }
}

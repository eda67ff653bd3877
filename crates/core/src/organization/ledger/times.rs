//! What changes in a ledger with every run, even one that finds nothing new: kept apart, so that the rest need not be written again.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Ledger;
use crate::entry::ExternalId;
use crate::organization::moment::Moment;

/// Times of the last run. Everybody and every place that was seen in the run before was seen in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Times {
    /// Time at which a run last came to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ran: Option<Moment>,
    /// Time at which the memberships of a group were last read, by the group's external id.
    #[serde(default)]
    verified: BTreeMap<ExternalId, Moment>,
}

impl Times {
    /// Time at which a run last came to its end.
    pub(in crate::organization) fn ran(&self) -> Option<Moment> {
        self.ran
    }

    /// Time at which the memberships of a group were last read.
    pub(in crate::organization) fn verified(&self, group: &ExternalId) -> Option<Moment> {
        self.verified.get(group).copied()
    }

    /// The times after a run that found everything as it was, and has read the memberships of these groups.
    #[must_use]
    pub fn after(mut self, groups: impl IntoIterator<Item = ExternalId>, now: Moment) -> Self {
        self.ran = Some(now);
        self.verified.extend(groups.into_iter().map(|group| (group, now)));
        self
    }
}

impl Ledger {
    /// The times alone: with [`Ledger::at`] they make this ledger of every one with the same [`Ledger::print`].
    pub fn times(&self) -> Times {
        let verified = self.groups.iter().filter_map(|(id, group)| Some((id.clone(), group.verified?)));
        Times { ran: self.ran, verified: verified.collect() }
    }

    /// The ledger after a run at these times that has found nothing new.
    #[must_use]
    pub fn at(mut self, times: &Times) -> Self {
        let before = self.ran;
        self.ran = times.ran;
        if let Some(ran) = times.ran {
            let later = |at: &mut Moment| {
                if Some(*at) == before {
                    *at = ran;
                }
            };
            self.places.values_mut().for_each(later);
            self.people
                .values_mut()
                .flat_map(|record| record.ids.values_mut())
                .for_each(|sight| later(&mut sight.last));
        }
        for (id, group) in &mut self.groups {
            group.verified = times.verified.get(id).copied();
        }
        self
    }
}

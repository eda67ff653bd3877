//! The ids that the directory has had for one person: one, mostly.

use smallvec::{SmallVec, smallvec};

use super::Sight;
use crate::entry::ExternalId;

/// Ids with the times at which each was seen, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ids(SmallVec<[(ExternalId, Sight); 1]>);

impl Ids {
    /// One id.
    pub(super) fn one(id: ExternalId, sight: Sight) -> Self {
        Self(smallvec![(id, sight)])
    }

    fn place(&self, id: &ExternalId) -> Result<usize, usize> {
        self.0.binary_search_by(|(own, _)| own.cmp(id))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// When an id was seen.
    pub fn get(&self, id: &ExternalId) -> Option<&Sight> {
        self.place(id).ok().and_then(|at| self.0.get(at)).map(|(_, sight)| sight)
    }

    /// Whether an id is among these.
    pub fn contains_key(&self, id: &ExternalId) -> bool {
        self.place(id).is_ok()
    }

    /// The ids.
    pub fn keys(&self) -> impl Iterator<Item = &ExternalId> + Clone {
        self.0.iter().map(|(id, _)| id)
    }

    /// Times at which they were seen.
    pub fn values(&self) -> impl Iterator<Item = &Sight> {
        self.0.iter().map(|(_, sight)| sight)
    }

    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut Sight> {
        self.0.iter_mut().map(|(_, sight)| sight)
    }

    /// The ids, and when each was seen.
    pub fn iter(&self) -> impl Iterator<Item = (&ExternalId, &Sight)> {
        self.0.iter().map(|(id, sight)| (id, sight))
    }

    /// When an id was seen; as given, if it is a new one.
    pub(super) fn get_or_insert(&mut self, id: &ExternalId, sight: Sight) -> &mut Sight {
        let at = self.place(id).unwrap_or_else(|at| {
            self.0.insert(at, (id.clone(), sight));
            at
        });
        &mut self.0[at].1
    }

    pub(super) fn remove(&mut self, id: &ExternalId) {
        self.0.retain(|(own, _)| own != id);
    }

    pub(super) fn retain(&mut self, mut is_kept: impl FnMut(&ExternalId) -> bool) {
        self.0.retain(|(id, _)| is_kept(id));
    }
}

impl FromIterator<(ExternalId, Sight)> for Ids {
    fn from_iter<I: IntoIterator<Item = (ExternalId, Sight)>>(ids: I) -> Self {
        let ids: std::collections::BTreeMap<ExternalId, Sight> = ids.into_iter().collect();
        Self(ids.into_iter().collect())
    }
}

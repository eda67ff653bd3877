//! Names of entries, each stored once for a whole read: those of people and those by which groups refer to them come on two connections
//! at once, and whoever compares them later finds most of them to be the same text.

use std::sync::{Arc, Mutex, PoisonError};

use bwdc_core::entry::ReferenceId;

/// Names in their normal form. Cloning shares them.
#[derive(Clone, Debug, Default)]
pub(super) struct Names(Arc<Mutex<foldhash::HashSet<Arc<str>>>>);

impl Names {
    /// The name that has this text; `make` makes it, if it comes for the first time.
    pub(super) fn once(&self, text: &str, make: impl FnOnce() -> Arc<str>) -> ReferenceId {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let name = match known.get(text) {
            Some(name) => Arc::clone(name),
            None => {
                let name = make();
                known.insert(Arc::clone(&name));
                name
            }
        };
        ReferenceId::from(name)
    }

    /// Forgets all: entries keep those that they have.
    pub(super) fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = foldhash::HashSet::default();
    }
}

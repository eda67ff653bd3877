//! The server that a ledger is about.

use std::sync::Arc;

use super::{Due, Ledger};
use crate::organization::roster::{Basis, Roster};

impl Ledger {
    /// The ledger as one about the server with this base URL of the API. If it was about another one, what it says may not be so here: what
    /// can be read is compared, with the members of every group; where nothing can be read, everything is imported. To be called once in
    /// every run, like [`Ledger::settled`]; `roster` is `None` where the organization cannot be read.
    #[must_use]
    pub fn about(mut self, server: &str, roster: Option<&Roster>) -> Self {
        let other = self.server.take().filter(|known| **known != *server);
        self.server = Some(server.into());
        self.moved_from = other.or(self.moved_from);
        match roster.filter(|roster| roster.basis == Basis::Live) {
            _ if self.moved_from.is_none() => {}
            Some(_) => {
                self.moved_from = None;
                self.groups.values_mut().for_each(|group| group.verified = None);
            }
            None => self.due = Due::Everything,
        }
        self
    }

    /// The other server that it was about, until everything has been imported here.
    pub fn moved_from(&self) -> Option<&str> {
        self.moved_from.as_deref()
    }

    /// Notes the server of an older copy whose people and groups were added.
    pub(super) fn is_of_both(&mut self, server: Option<Arc<str>>, moved_from: Option<Arc<str>>) {
        let other = match (&self.server, server) {
            (Some(here), Some(there)) if *here != there => Some(there),
            (Some(_), _) => None,
            (None, there) => {
                self.server = there;
                None
            }
        };
        self.moved_from = self.moved_from.take().or(other).or(moved_from);
    }
}

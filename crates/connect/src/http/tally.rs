//! Counts of requests, for metrics.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bwdc_core::metrics::RequestCount;

/// Number of requests by host and status; none where no answer came.
type Counts = BTreeMap<(String, Option<u16>), usize>;

/// Requests by the other side and its answer. Cloning shares the counts.
#[derive(Clone, Debug, Default)]
pub struct Tally(Arc<Mutex<Counts>>);

impl Tally {
    /// Counts a request to this host, by the status of its answer; none if there was no answer.
    pub(super) fn count(&self, peer: &str, status: Option<u16>) {
        *self.lock().entry((peer.to_owned(), status)).or_default() += 1;
    }

    /// Requests that were counted so far.
    pub fn counts(&self) -> Vec<RequestCount> {
        let counts = self.lock();
        let count = |((peer, code), count): (&(String, Option<u16>), &usize)| RequestCount {
            peer: peer.clone(),
            code: *code,
            count: *count,
        };
        counts.iter().map(count).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! The cloud's limits (bitwarden/server `appsettings.json` of Api and Identity). Self-hosted servers have none.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Whether the cloud's limits apply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Limits {
    /// None.
    #[default]
    SelfHosted,
    /// 60 POSTs a minute and 5 a second, 10 logins a minute, 2,000 groups and 2,000 members that stay in one import
    /// that is not declared large.
    Cloud,
}

/// At most so many groups or members that stay, unless the import is declared large.
pub(crate) const IMPORT: usize = 2_000;

/// So many in this time.
type Rule = (usize, Duration);

const LOGINS: &[Rule] = &[(5, Duration::from_secs(1)), (10, Duration::from_secs(60))];
const POSTS: &[Rule] = &[(5, Duration::from_secs(1)), (60, Duration::from_secs(60))];

/// Counts requests that were let through; blocked ones do not count.
#[derive(Debug, Default)]
pub(crate) struct Counter(Mutex<VecDeque<Instant>>);

/// The counters of one server.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) logins: Counter,
    pub(crate) posts: Counter,
}

impl Counters {
    /// How long to wait, in seconds, if a login has to.
    pub(crate) fn login(&self) -> Option<u64> {
        self.logins.take(LOGINS)
    }

    /// How long to wait, in seconds, if a POST has to.
    pub(crate) fn post(&self) -> Option<u64> {
        self.posts.take(POSTS)
    }
}

impl Counter {
    fn take(&self, rules: &[Rule]) -> Option<u64> {
        let now = Instant::now();
        let mut passed = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        while passed.front().is_some_and(|at| now.duration_since(*at) > Duration::from_secs(60)) {
            passed.pop_front();
        }
        for (count, time) in rules {
            let recent = passed.iter().filter(|at| now.duration_since(**at) < *time).count();
            if recent >= *count {
                return Some(time.as_secs());
            }
        }
        passed.push_back(now);
        None
    }
}

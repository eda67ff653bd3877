//! Limits of the cloud (bitwarden/server `appsettings.json` of Api and Identity). Self-hosted servers have none.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use axum::http::Method;

/// Limits that apply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Limits {
    /// None.
    #[default]
    SelfHosted,
    /// 60 POSTs, PUTs and DELETEs each a minute and 5 a second, 200 GETs a minute, 10 logins a minute, 2,000 groups and 2,000
    /// members that stay in one import that is not declared large.
    Cloud,
}

/// Largest number of groups or of members that stay, unless the import is declared large.
pub(crate) const IMPORT: usize = 2_000;

/// Number of requests in a period.
type Rule = (usize, Duration);

const LOGINS: &[Rule] = &[(5, Duration::from_secs(1)), (10, Duration::from_secs(60))];
const CHANGES: &[Rule] = &[(5, Duration::from_secs(1)), (60, Duration::from_secs(60))];
const READS: &[Rule] = &[(200, Duration::from_secs(60))];

/// Counts requests that were let through; blocked ones do not count.
#[derive(Debug, Default)]
pub(crate) struct Counter(Mutex<VecDeque<Instant>>);

/// Counters of one server.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    logins: Counter,
    gets: Counter,
    posts: Counter,
    puts: Counter,
    deletes: Counter,
}

impl Counters {
    /// Seconds to wait, if a login has to.
    pub(crate) fn login(&self) -> Option<u64> {
        self.logins.take(LOGINS, Instant::now())
    }

    /// Seconds to wait, if a request to the API has to.
    pub(crate) fn api(&self, method: &Method) -> Option<u64> {
        let (counter, rules) = match *method {
            Method::GET => (&self.gets, READS),
            Method::POST => (&self.posts, CHANGES),
            Method::PUT => (&self.puts, CHANGES),
            Method::DELETE => (&self.deletes, CHANGES),
            _ => return None,
        };
        counter.take(rules, Instant::now())
    }
}

impl Counter {
    fn take(&self, rules: &[Rule], now: Instant) -> Option<u64> {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Seconds to wait for this many POSTs, the first at 0 s and each `apart` after the one before.
    fn waits(count: u32, apart: Duration) -> Vec<Option<u64>> {
        let counter = Counter::default();
        let start = Instant::now();
        (0..count).map(|at| counter.take(CHANGES, start + apart * at)).collect()
    }

    #[test]
    fn five_posts_pass_in_a_second() {
        let waits = waits(7, Duration::from_millis(100));
        assert_eq!(waits, [None, None, None, None, None, Some(1), Some(1)]);
    }

    #[test]
    fn sixty_posts_pass_in_a_minute() {
        let waits = waits(64, Duration::from_millis(900));
        assert_eq!(waits.iter().filter(|wait| wait.is_none()).count(), 60);
        assert_eq!(waits[60..], [Some(60); 4]);
    }

    #[test]
    fn two_hundred_reads_pass_in_a_minute_and_methods_count_each_for_itself() {
        let counters = Counters::default();
        assert_eq!((0..201).filter(|_| counters.api(&Method::GET).is_some()).count(), 1);
        for method in [Method::POST, Method::PUT, Method::DELETE] {
            assert_eq!((0..6).filter(|_| counters.api(&method).is_some()).count(), 1, "{method}");
        }
        assert_eq!(counters.api(&Method::GET), Some(60));
    }

    #[test]
    fn ten_logins_pass_in_a_minute_and_the_eleventh_after_it() {
        let counter = Counter::default();
        let start = Instant::now();
        let at = |seconds| counter.take(LOGINS, start + Duration::from_secs(seconds));
        assert!((0..10).all(|second| at(second).is_none()));
        assert_eq!((at(10), at(61)), (Some(60), None));
    }
}

//! Limits on guesses of passwords. Whoever has failed five times waits for longer each time, up to a minute; and so do all others while there
//! are more than sixty failures in a minute. One-time links are not limited: nobody guesses 244 bits, and so nobody can lock out whoever
//! has one.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Failures that cost nothing: typing errors.
const FREE: u32 = 5;
const LONGEST: Duration = Duration::from_secs(60);
const WINDOW: Duration = Duration::from_secs(60);
const MOST_IN_WINDOW: u32 = 60;
/// Sources that are remembered.
const MOST_SOURCES: usize = 4096;
/// After that without a failure, a source is forgotten.
const FORGET: Duration = Duration::from_secs(3600);

/// Where a request comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Source {
    /// An address; of IPv6 the network, since whoever has one has all of it.
    Address(IpAddr),
    /// A socket of this machine.
    #[cfg_attr(not(unix), expect(dead_code, reason = "only Unix has sockets in folders"))]
    Socket,
}

impl Source {
    pub(crate) fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            // Whoever is on this machine has all of its addresses.
            address if address.is_loopback() => Self::Address(std::net::Ipv4Addr::LOCALHOST.into()),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Self::Address(std::net::Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into())
            }
            address => Self::Address(address),
        }
    }
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Socket => f.write_str("socket"),
        }
    }
}

#[derive(Default)]
struct Failures {
    sources: HashMap<Source, (u32, Instant)>,
    window: Option<(Instant, u32)>,
}

/// Failures so far.
#[derive(Default)]
pub(crate) struct Guesses(Mutex<Failures>);

impl Guesses {
    fn lock(&self) -> MutexGuard<'_, Failures> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long to wait before the next guess, if at all.
    pub(crate) fn wait(&self, source: Source, now: Instant) -> Option<Duration> {
        let failures = self.lock();
        let own = failures.sources.get(&source).map(|(count, last)| (*last + pause(*count), now));
        let all = failures.window.filter(|(_, count)| *count >= MOST_IN_WINDOW);
        let all = all.map(|(began, _)| (began + WINDOW, now));
        own.into_iter()
            .chain(all)
            .map(|(until, now)| until.saturating_duration_since(now))
            .max()
            .filter(|wait| !wait.is_zero())
    }

    pub(crate) fn failed(&self, source: Source, now: Instant) {
        let mut failures = self.lock();
        if failures.sources.len() >= MOST_SOURCES {
            failures.sources.retain(|_, (_, last)| now.duration_since(*last) < LONGEST);
        }
        if failures.sources.len() < MOST_SOURCES {
            let (count, last) = failures.sources.entry(source).or_insert((0, now));
            *count = if now.duration_since(*last) > FORGET { 1 } else { count.saturating_add(1) };
            *last = now;
        }
        failures.window = match failures.window {
            Some((began, count)) if now.duration_since(began) < WINDOW => {
                Some((began, count.saturating_add(1)))
            }
            _ => Some((now, 1)),
        };
    }

    /// Takes back the failure that was counted before the password was checked. Those before it stay: one's own password is no way to
    /// more guesses at another's.
    pub(crate) fn succeeded(&self, source: Source) {
        let mut failures = self.lock();
        if let Some((count, _)) = failures.sources.get_mut(&source) {
            *count = count.saturating_sub(1);
        }
        failures.window = failures.window.map(|(began, count)| (began, count.saturating_sub(1)));
    }
}

fn pause(count: u32) -> Duration {
    match count.checked_sub(FREE) {
        None => Duration::ZERO,
        Some(more) => Duration::from_secs(1 << more.min(6)).min(LONGEST),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(last: u8) -> Source {
        Source::of(IpAddr::from([192, 0, 2, last]))
    }

    #[test]
    fn whoever_guesses_waits_and_nobody_waits_for_ever() {
        let guesses = Guesses::default();
        let now = Instant::now();
        for _ in 0..FREE - 1 {
            guesses.failed(source(1), now);
            assert_eq!(guesses.wait(source(1), now), None);
        }
        for _ in 0..50 {
            guesses.failed(source(1), now);
        }
        assert_eq!(guesses.wait(source(1), now), Some(LONGEST));
        assert_eq!(guesses.wait(source(2), now), None);
        assert_eq!(guesses.wait(source(1), now + LONGEST), None);
        guesses.succeeded(source(1));
        assert!(guesses.wait(source(1), now).is_some());
        let there = [[127, 0, 0, 1], [127, 9, 9, 9]].map(|address| Source::of(IpAddr::from(address)));
        assert_eq!(there[0], there[1]);
    }

    #[test]
    fn a_password_of_ones_own_gives_no_more_guesses() {
        let guesses = Guesses::default();
        let now = Instant::now();
        let allowed = (0..100).filter(|turn| {
            let is_allowed = guesses.wait(source(1), now).is_none();
            if is_allowed {
                guesses.failed(source(1), now);
                if turn % 5 == 4 {
                    guesses.succeeded(source(1));
                }
            }
            is_allowed
        });
        assert!(allowed.count() <= 7);
    }

    #[test]
    fn many_machines_are_no_way_around() {
        let guesses = Guesses::default();
        let now = Instant::now();
        (0..60).for_each(|last| guesses.failed(source(last), now));
        assert!(guesses.wait(source(200), now).is_some());
        assert_eq!(guesses.wait(source(200), now + WINDOW), None);
        let network = |last| Source::of(IpAddr::from([0x2001, 0xdb8, 0, 7, 0, 0, 0, last]));
        assert_eq!(network(1), network(2));
    }

    #[test]
    fn memory_is_bounded() {
        let guesses = Guesses::default();
        let now = Instant::now();
        for number in 0..10_000_u32 {
            guesses.failed(Source::of(std::net::Ipv4Addr::from(number).into()), now);
        }
        assert!(guesses.lock().sources.len() <= MOST_SOURCES);
    }
}

//! Request limits that a vendor reports in its answers, observed before they are reached.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::Url;
use reqwest::header::HeaderMap;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::{now_there, seconds};

/// Longest wait for the renewal of a limit. A longer one would look like a hang, so an error reports it.
const LONGEST_WAIT: Duration = Duration::from_secs(120);

/// Headers for the remaining requests and the renewal: Okta's; those of OneLogin and many others; the IETF's draft "RateLimit
/// header fields for HTTP".
const DIALECTS: [(&str, &str); 3] = [
    ("x-rate-limit-remaining", "x-rate-limit-reset"),
    ("x-ratelimit-remaining", "x-ratelimit-reset"),
    ("ratelimit-remaining", "ratelimit-reset"),
];

/// Smallest value (2001) that counts as Unix time; smaller ones are seconds from now.
const UNIX_TIME: u64 = 1_000_000_000;

/// Limit as reported in an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Number of remaining requests.
    pub left: u64,
    /// Time of the renewal.
    pub renewed_in: Duration,
}

impl RateLimit {
    /// Reads the headers, if present.
    pub fn from_headers(headers: &HeaderMap) -> Option<Self> {
        let left = DIALECTS.iter().find_map(|(remaining, _)| number(headers, remaining))?;
        Some(Self { left, renewed_in: until_reset(headers)? })
    }
}

/// Remaining requests under a vendor's limits, for each group of requests with a limit of its own. Cloning shares it.
#[derive(Clone, Debug, Default)]
pub struct Allowance(Option<Arc<Book>>);

#[derive(Debug)]
struct Book {
    /// Name of the limit that a request counts towards.
    limit_of: fn(&Url) -> &'static str,
    windows: Mutex<HashMap<&'static str, Window>>,
    changed: Notify,
}

/// State of one limit.
#[derive(Clone, Copy, Debug, Default)]
struct Window {
    left: Left,
    /// Requests sent and not answered yet.
    in_flight: u64,
}

#[derive(Clone, Copy, Debug, Default)]
enum Left {
    /// Unknown: the first request finds out.
    #[default]
    Unknown,
    /// The vendor reports no limits.
    Anything,
    /// This many requests until the renewal.
    Some { requests: u64, until: Instant },
}

/// Decision about a request.
enum Turn {
    Now,
    At(Instant),
    WhenKnown,
}

impl Allowance {
    /// Starts with no limits known; `limit_of` names the limit that a request counts towards.
    pub fn of(limit_of: fn(&Url) -> &'static str) -> Self {
        Self(Some(Arc::new(Book { limit_of, windows: Mutex::default(), changed: Notify::new() })))
    }

    /// Waits until a request may be sent. Each wait is followed by one [`Self::learn`]. The error is the required wait, if it is
    /// too long.
    pub(super) async fn wait(&self, url: &Url) -> Result<(), Duration> {
        let Some(book) = &self.0 else { return Ok(()) };
        loop {
            let changed = book.changed.notified();
            match book.turn(url) {
                Turn::Now => return Ok(()),
                Turn::At(time) => {
                    let wait = time.saturating_duration_since(Instant::now());
                    if wait > LONGEST_WAIT {
                        return Err(wait);
                    }
                    tokio::time::sleep_until(time).await;
                }
                Turn::WhenKnown => changed.await,
            }
        }
    }

    /// Records an answer, or the lack of one.
    pub(super) fn learn(&self, url: &Url, answer: Option<&HeaderMap>) {
        let Some(book) = &self.0 else { return };
        let mut windows = book.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let window = windows.entry((book.limit_of)(url)).or_default();
        window.in_flight = window.in_flight.saturating_sub(1);
        let told = answer.map(RateLimit::from_headers);
        window.left = match (told, window.left) {
            (Some(Some(limit)), before) => {
                // Requests in progress are not counted yet.
                let requests = limit.left.saturating_sub(window.in_flight);
                let until = Instant::now() + limit.renewed_in;
                match before {
                    // Answers within a window may overtake each other; its end is given in whole seconds.
                    Left::Some { requests: known, until: end } if is_same(end, until) => {
                        Left::Some { requests: requests.min(known), until: end.max(until) }
                    }
                    _ => Left::Some { requests, until },
                }
            }
            (Some(_), Left::Unknown) => Left::Anything,
            (_, before) => before,
        };
        drop(windows);
        book.changed.notify_waiters();
    }
}

impl Book {
    fn turn(&self, url: &Url) -> Turn {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let window = windows.entry((self.limit_of)(url)).or_default();
        if matches!(window.left, Left::Some { until, .. } if Instant::now() >= until) {
            window.left = Left::Unknown;
        }
        let turn = match &mut window.left {
            Left::Unknown if window.in_flight > 0 => Turn::WhenKnown,
            Left::Unknown | Left::Anything => Turn::Now,
            Left::Some { requests: 0, until } => Turn::At(*until),
            Left::Some { requests, .. } => {
                *requests -= 1;
                Turn::Now
            }
        };
        if matches!(turn, Turn::Now) {
            window.in_flight += 1;
        }
        turn
    }
}

fn is_same(one: Instant, other: Instant) -> bool {
    one.max(other) - one.min(other) <= Duration::from_secs(1)
}

/// Time until a limit is renewed; Unix time is by the other side's own clock if it reports one (Okta, "Rate limits"; OneLogin,
/// "Get Rate Limit").
pub(super) fn until_reset(headers: &HeaderMap) -> Option<Duration> {
    let reset = DIALECTS.iter().find_map(|(_, reset)| number(headers, reset))?;
    if reset < UNIX_TIME {
        return Some(seconds(reset));
    }
    let now = u64::try_from(now_there(headers).as_second()).unwrap_or(0);
    Some(seconds(reset.saturating_sub(now)))
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use bwdc_testkit::{damaged, few};
    use proptest::prelude::*;

    use super::*;

    fn answer(remaining: u64, after: u64) -> HeaderMap {
        let reset = u64::try_from(jiff::Timestamp::now().as_second()).unwrap() + after;
        let mut headers = HeaderMap::new();
        headers.insert("x-rate-limit-remaining", remaining.to_string().parse().unwrap());
        headers.insert("x-rate-limit-reset", reset.to_string().parse().unwrap());
        headers
    }

    #[tokio::test(start_paused = true)]
    async fn the_rest_is_shared_and_then_waited_for() {
        let url = Url::parse("https://example.okta.com/api/v1/users").unwrap();
        let allowance = Allowance::of(|_| "all");
        let start = Instant::now();
        allowance.wait(&url).await.unwrap();
        // Nobody else is sent before the first answer.
        let second = tokio::spawn({
            let (allowance, url) = (allowance.clone(), url.clone());
            async move { allowance.wait(&url).await }
        });
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert!(!second.is_finished());
        allowance.learn(&url, Some(&answer(2, 30)));
        second.await.unwrap().unwrap();
        allowance.wait(&url).await.unwrap();
        assert_eq!(start.elapsed(), Duration::from_secs(5));
        // Nothing is left when one of the two in progress is answered, and the other one is in the new window.
        allowance.learn(&url, Some(&answer(1, 30)));
        allowance.learn(&url, Some(&answer(0, 30)));
        allowance.wait(&url).await.unwrap();
        assert!(start.elapsed() >= Duration::from_secs(34), "{:?}", start.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn without_limits_there_is_nothing_to_wait_for() {
        let url = Url::parse("https://example.org/").unwrap();
        let allowance = Allowance::of(|_| "all");
        allowance.wait(&url).await.unwrap();
        allowance.learn(&url, Some(&HeaderMap::new()));
        for _ in 0..100 {
            allowance.wait(&url).await.unwrap();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_limit_of_an_hour_is_not_waited_for() {
        let url = Url::parse("https://api.us.onelogin.com/api/2/users").unwrap();
        let allowance = Allowance::of(|_| "all");
        allowance.wait(&url).await.unwrap();
        let mut headers = HeaderMap::new();
        headers.insert("x-ratelimit-remaining", "1".parse().unwrap());
        headers.insert("x-ratelimit-reset", "3000".parse().unwrap());
        allowance.learn(&url, Some(&headers));
        allowance.wait(&url).await.unwrap();
        allowance.learn(&url, None);
        assert_eq!(allowance.wait(&url).await, Err(Duration::from_secs(3000)));
        tokio::time::advance(Duration::from_secs(2900)).await;
        allowance.wait(&url).await.unwrap();
    }

    #[test]
    fn limits_are_read_in_every_dialect() {
        let told = |pairs: &[(&'static str, &str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.insert(*name, value.parse().unwrap());
            }
            RateLimit::from_headers(&headers)
        };
        let limit = |left, seconds| Some(RateLimit { left, renewed_in: Duration::from_secs(seconds) });
        let date = ("date", "Wed, 21 Oct 2015 07:28:00 GMT");
        let reset = ("x-rate-limit-reset", "1445412510");
        assert_eq!(told(&[("x-rate-limit-remaining", "7"), reset, date]), limit(7, 30));
        assert_eq!(
            told(&[("x-ratelimit-remaining", "4988"), ("x-ratelimit-reset", "832")]),
            limit(4988, 832)
        );
        assert_eq!(told(&[("ratelimit-remaining", "0"), ("ratelimit-reset", "5"), date]), limit(0, 5));
        // However distant the renewal, the wait stays within range.
        let most = u64::MAX.to_string();
        let far = told(&[("x-rate-limit-remaining", &most), ("x-rate-limit-reset", &most)]).unwrap();
        assert!(far.left == u64::MAX && Instant::now().checked_add(far.renewed_in).is_some());
        assert_eq!(told(&[("x-ratelimit-remaining", "many"), ("x-ratelimit-reset", "832")]), None);
        assert_eq!(told(&[("x-ratelimit-remaining", "4988")]), None);
    }

    proptest! {
        #![proptest_config(few())]

        #[test]
        fn fuzz_limits(
            left in damaged(["0", "7", "4988"]),
            reset in damaged(["0", "832", "1445412510", "253402300799"]),
            date in damaged(["Wed, 21 Oct 2015 07:28:00 GMT", "Fri, 31 Dec 9999 23:59:59 GMT", "Mon, 01 Jan 0001 00:00:00 +2359"]),
        ) {
            let url = Url::parse("https://example.okta.com/api/v1/users").unwrap();
            for (remaining, renewal) in DIALECTS {
                let mut answer = crate::fuzz::answer(200, "");
                for (name, value) in [(remaining, &left), (renewal, &reset), ("date", &date)] {
                    answer = crate::fuzz::with_header(answer, name, value);
                }
                let told = RateLimit::from_headers(&answer.headers);
                prop_assert!(told.is_none_or(|told| Instant::now().checked_add(told.renewed_in).is_some()));
                let allowance = Allowance::of(|_| "all");
                allowance.learn(&url, Some(&answer.headers));
                let requests = told.map_or(1, |told| told.left);
                let turn = allowance.0.as_ref().unwrap().turn(&url);
                let is_over = told.is_some_and(|told| told.renewed_in.is_zero());
                prop_assert_eq!(matches!(turn, Turn::Now), requests > 0 || is_over);
            }
        }
    }
}

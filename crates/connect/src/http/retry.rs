//! Decision whether to try again, and when.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};

use super::allowance::until_reset;
use super::backoff::Backoff;
use super::failure::Failure;
use super::{Passing, Repeat, Response, seconds};

/// Decision after an attempt.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Try again after this time.
    Again(Duration),
    /// Do not try again.
    Done,
}

/// Judges one attempt.
pub(super) fn judge(
    result: &Result<Response, Failure>,
    Passing(also): Passing,
    repeat: Repeat,
    backoff: &mut Backoff,
    elapsed: Duration,
) -> Next {
    backoff.elapsed = elapsed;
    let asked = match result {
        Ok(answer) if is_passing(answer.status) || also(answer) => asked_for(answer),
        Ok(_) => return Next::Done,
        Err(failure) if failure.may_pass() => None,
        Err(_) => return Next::Done,
    };
    let may_repeat = match repeat {
        Repeat::Always => true,
        Repeat::OnceOver => is_over(result),
        Repeat::IfNotBegun => was_not_begun(result),
    };
    if !may_repeat {
        return Next::Done;
    }
    let wait = asked.unwrap_or_else(|| backoff.wait());
    backoff.attempts += 1;
    if elapsed.saturating_add(wait) > backoff.bound { Next::Done } else { Next::Again(wait) }
}

/// Whether the server has certainly finished with this attempt: it received nothing, had no room for it, or answered
/// itself that it failed. A gateway's error only means that the gateway no longer waits.
fn is_over(result: &Result<Response, Failure>) -> bool {
    match result {
        Ok(answer) => !matches!(answer.status.as_u16(), 408 | 502 | 504),
        Err(failure) => failure.did_not_arrive(),
    }
}

/// Whether the server has certainly done nothing for this attempt: it received nothing, or had no capacity.
pub(super) fn was_not_begun(result: &Result<Response, Failure>) -> bool {
    match result {
        Ok(answer) => matches!(answer.status.as_u16(), 425 | 429 | 503),
        Err(failure) => failure.did_not_arrive(),
    }
}

/// Statuses that mean a temporary failure.
fn is_passing(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 425 | 429 | 500 | 502 | 503 | 504)
}

/// Whether an answer asks for less: too many requests, or an overloaded server.
pub(super) fn is_limit(answer: &Response, Passing(also): Passing) -> bool {
    matches!(answer.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) || also(answer)
}

/// Time at which the other side wants to be asked again, if it says so.
pub(super) fn asked_for(answer: &Response) -> Option<Duration> {
    let until_reset = || {
        let is_limit = answer.status == StatusCode::TOO_MANY_REQUESTS;
        is_limit.then(|| until_reset(&answer.headers)).flatten()
    };
    retry_after(&answer.headers).or_else(until_reset)
}

/// Parses seconds or a date (RFC 9110, section 10.2.3); Microsoft Graph sends fractions of seconds, too.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(told) = text.parse::<f64>() {
        // Too large for a duration is as good as forever.
        let told = if told >= 0.0 {
            Duration::try_from_secs_f64(told).unwrap_or(Duration::MAX)
        } else {
            return None;
        };
        return Some(told.min(seconds(u64::MAX)));
    }
    let date = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    let told = Duration::try_from(date.duration_since(jiff::Timestamp::now())).unwrap_or(Duration::ZERO);
    Some(told.min(seconds(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use bwdc_testkit::{damaged, few};
    use proptest::prelude::*;

    use super::super::backoff::FIRST_WAIT;
    use super::*;

    fn answer(status: u16, retry_after: Option<&str>) -> Result<Response, Failure> {
        let mut headers = HeaderMap::new();
        if let Some(text) = retry_after {
            headers.insert(RETRY_AFTER, text.parse().unwrap());
        }
        Ok(Response { status: StatusCode::from_u16(status).unwrap(), headers, body: bytes::Bytes::new() })
    }

    #[test]
    fn temporary_failures_are_tried_again_within_the_time_limit() {
        let bound = Duration::from_secs(60);
        let judge_at = |result: &_, elapsed| {
            judge(result, Passing::default(), Repeat::Always, &mut Backoff::new(bound), elapsed)
        };
        assert_eq!(judge_at(&answer(429, Some("7")), Duration::ZERO), Next::Again(Duration::from_secs(7)));
        assert_eq!(
            judge_at(&answer(429, Some("2.125")), Duration::ZERO),
            Next::Again(Duration::from_millis(2_125))
        );
        assert_eq!(judge_at(&answer(429, Some("61")), Duration::ZERO), Next::Done);
        assert_eq!(judge_at(&answer(503, Some("30")), Duration::from_secs(31)), Next::Done);
        assert!(
            matches!(judge_at(&answer(500, None), Duration::ZERO), Next::Again(wait) if wait <= FIRST_WAIT)
        );
        let past = answer(503, Some("Wed, 21 Oct 2015 07:28:00 GMT"));
        assert_eq!(judge_at(&past, Duration::ZERO), Next::Again(Duration::ZERO));
        for told in ["18446744073709551615", "1e300", "inf", "Fri, 31 Dec 9999 23:59:59 GMT"] {
            assert_eq!(judge_at(&answer(429, Some(told)), Duration::MAX), Next::Done, "{told}");
        }
        for told in ["-1", "NaN", "soon"] {
            let next = judge_at(&answer(429, Some(told)), Duration::ZERO);
            assert!(matches!(next, Next::Again(wait) if wait <= FIRST_WAIT), "{told}");
        }
        for status in [200, 204, 301, 400, 401, 403, 404, 413, 501] {
            assert_eq!(judge_at(&answer(status, None), Duration::ZERO), Next::Done, "{status}");
        }
        assert_eq!(judge_at(&Err(Failure::TooLarge), Duration::ZERO), Next::Done);
    }

    /// The first may still be running behind the gateway.
    #[test]
    fn a_request_that_must_not_run_twice_is_repeated_only_when_it_is_over() {
        let bound = Duration::from_secs(60);
        let is_repeated = |status, repeat| {
            let result = answer(status, None);
            let next = judge(&result, Passing::default(), repeat, &mut Backoff::new(bound), Duration::ZERO);
            next != Next::Done
        };
        for status in [425, 429, 503] {
            assert!(
                is_repeated(status, Repeat::OnceOver) && is_repeated(status, Repeat::IfNotBegun),
                "{status}"
            );
        }
        assert!(is_repeated(500, Repeat::OnceOver) && !is_repeated(500, Repeat::IfNotBegun));
        for status in [200, 400, 408, 502, 504] {
            assert!(
                !is_repeated(status, Repeat::OnceOver) && !is_repeated(status, Repeat::IfNotBegun),
                "{status}"
            );
        }
    }

    proptest! {
        #![proptest_config(few())]

        #[test]
        fn fuzz_retry_after(text in damaged(["7", "2.125", "Wed, 21 Oct 2015 07:28:00 GMT", "Fri, 31 Dec 9999 23:59:59 GMT", "1e300", "-0"])) {
            let answer = crate::fuzz::with_header(crate::fuzz::answer(429, ""), "retry-after", &text);
            let told = retry_after(&answer.headers);
            prop_assert!(told.is_none_or(|told| tokio::time::Instant::now().checked_add(told).is_some()));
            let bound = Duration::from_secs(60);
            let next = judge(&Ok(answer), Passing::default(), Repeat::Always, &mut Backoff::new(bound), Duration::ZERO);
            prop_assert!(matches!(next, Next::Done) || matches!(next, Next::Again(wait) if wait <= bound));
        }
    }
}

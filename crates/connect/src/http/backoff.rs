//! The waits between the attempts at one request.

use std::time::Duration;

pub(super) const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(20);

/// Time spent on one request, and number of attempts.
#[derive(Debug)]
pub(super) struct Backoff {
    pub(super) bound: Duration,
    /// Number of attempts so far.
    pub(super) attempts: u32,
    /// Time since the first one.
    pub(super) elapsed: Duration,
}

impl Backoff {
    pub(super) fn new(bound: Duration) -> Self {
        Self { bound, attempts: 0, elapsed: Duration::ZERO }
    }

    /// Exponential delay, with full jitter so that many clients do not return at once.
    pub(super) fn wait(&self) -> Duration {
        let ceiling = FIRST_WAIT.saturating_mul(1 << self.attempts.min(10)).min(LONGEST_WAIT);
        ceiling.mul_f64(fastrand::f64())
    }
}

//! Rate limit that the other side is known to have.

use std::sync::Arc;
use std::time::Duration;

use reqwest::{Method, Url};
use tokio::sync::Mutex;
use tokio::time::Instant;

/// Rate of requests. Cloning shares the permits.
#[derive(Clone, Debug, Default)]
pub struct Pace(Option<Arc<Bucket>>);

/// Number of permits a request takes; 0 for one that is not counted.
pub type Cost = fn(&Method, &Url) -> u32;

/// Bucket of permits that fills evenly: short bursts go through, the average is kept.
#[derive(Debug)]
struct Bucket {
    cost: Cost,
    burst: u32,
    interval: Duration,
    /// Time when the bucket will be full again.
    full_at: Mutex<Option<Instant>>,
}

impl Pace {
    /// Allows `burst` permits at once, and one for each `interval` after that; each request takes its cost. In any period the
    /// other side sees at most `burst` plus the refill of that period: for a limit per minute, use half of it for each.
    pub fn new(burst: u32, interval: Duration, cost: Cost) -> Self {
        Self(Some(Arc::new(Bucket { cost, burst: burst.max(1), interval, full_at: Mutex::new(None) })))
    }

    /// Takes one permit for each request that changes something, none for a GET.
    pub fn of_changes(burst: u32, interval: Duration) -> Self {
        Self::new(burst, interval, |method, _| u32::from(method != Method::GET))
    }

    /// Waits for the permits.
    pub(super) async fn wait(&self, method: &Method, url: &Url) {
        let Some(bucket) = &self.0 else { return };
        let cost = (bucket.cost)(method, url).min(bucket.burst);
        if cost > 0 {
            tokio::time::sleep_until(bucket.take(cost).await).await;
        }
    }
}

impl Bucket {
    /// Time of the next request.
    async fn take(&self, cost: u32) -> Instant {
        let now = Instant::now();
        let mut full_at = self.full_at.lock().await;
        let next_full = full_at.map_or(now, |at| at.max(now)) + self.interval * cost;
        *full_at = Some(next_full);
        let capacity = self.interval * self.burst;
        next_full.checked_sub(capacity).map_or(now, |at| at.max(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url() -> Url {
        Url::parse("https://example.org/").unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn bursts_pass_and_the_average_is_kept() {
        let pace = Pace::of_changes(5, Duration::from_secs(1));
        let start = Instant::now();
        for _ in 0..5 {
            pace.wait(&Method::POST, &url()).await;
        }
        assert_eq!(start.elapsed(), Duration::ZERO);
        for _ in 0..60 {
            pace.wait(&Method::POST, &url()).await;
        }
        assert_eq!(start.elapsed().as_secs(), 60);
        pace.wait(&Method::GET, &url()).await;
        assert_eq!(start.elapsed().as_secs(), 60);
    }

    #[tokio::test(start_paused = true)]
    async fn expensive_requests_take_more_permits() {
        let pace = Pace::new(10, Duration::from_secs(1), |_, _| 5);
        let start = Instant::now();
        for _ in 0..4 {
            pace.wait(&Method::GET, &url()).await;
        }
        assert_eq!(start.elapsed().as_secs(), 10);
    }
}

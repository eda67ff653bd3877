//! Not faster than the other side allows.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// How fast requests that change something may follow each other.
#[derive(Clone, Debug, Default)]
pub struct Pace(Option<Arc<Bucket>>);

/// A bucket of permits that fills evenly: short bursts go through, the average is kept.
#[derive(Debug)]
struct Bucket {
    burst: u32,
    interval: Duration,
    /// When the bucket will be full again.
    full_at: Mutex<Option<Instant>>,
}

impl Pace {
    /// At most `burst` at once, and one for each `interval` after that.
    pub fn new(burst: u32, interval: Duration) -> Self {
        Self(Some(Arc::new(Bucket { burst: burst.max(1), interval, full_at: Mutex::new(None) })))
    }

    /// Waits for a permit. GETs are not paced.
    pub(super) async fn wait(&self, method: &Method) {
        let Some(bucket) = self.0.as_ref().filter(|_| method != Method::GET) else { return };
        let allowed = bucket.take().await;
        tokio::time::sleep_until(allowed).await;
    }
}

impl Bucket {
    /// When the next request may go.
    async fn take(&self) -> Instant {
        let now = Instant::now();
        let mut full_at = self.full_at.lock().await;
        let next_full = full_at.map_or(now, |at| at.max(now)) + self.interval;
        *full_at = Some(next_full);
        let capacity = self.interval * self.burst;
        next_full.checked_sub(capacity).map_or(now, |at| at.max(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn bursts_pass_and_the_average_is_kept() {
        let pace = Pace::new(5, Duration::from_secs(1));
        let start = Instant::now();
        for _ in 0..5 {
            pace.wait(&Method::POST).await;
        }
        assert_eq!(start.elapsed(), Duration::ZERO);
        for _ in 0..60 {
            pace.wait(&Method::POST).await;
        }
        assert_eq!(start.elapsed().as_secs(), 60);
        pace.wait(&Method::GET).await;
        assert_eq!(start.elapsed().as_secs(), 60);
    }
}

//! Rate limit that the other side is known to have.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex as StdMutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::{Method, Url};
use tokio::sync::{Mutex, Notify};
use tokio::time::{Instant, timeout_at};

/// Rate of requests. Cloning shares the permits.
#[derive(Clone, Debug, Default)]
pub struct Pace(Option<Arc<Limit>>);

/// Number of permits a request takes; 0 for one that is not counted.
pub type Cost = fn(&Method, &Url) -> u32;

#[derive(Debug)]
struct Limit {
    cost: Cost,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Bucket(Bucket),
    Window(Window),
}

/// Bucket of permits that fills evenly: short bursts go through, the average is kept.
#[derive(Debug)]
struct Bucket {
    burst: u32,
    interval: Duration,
    /// Time when the bucket will be full again.
    full_at: Mutex<Option<Instant>>,
}

/// Permits of a window that moves with time: each comes back when its request has been answered for the length of the window.
#[derive(Debug)]
struct Window {
    length: Duration,
    /// Held by the one request that waits; all others wait for it.
    turn: Mutex<()>,
    permits: StdMutex<Permits>,
    changed: Notify,
}

#[derive(Debug)]
struct Permits {
    most: u32,
    /// Taken by requests under way, and by those that ended within the window.
    taken: u32,
    /// When requests ended, and their cost.
    ended: VecDeque<(Instant, u32)>,
}

/// Permits of one request. They are given back when it is dropped: once its answer has come.
#[derive(Debug)]
pub(super) struct Pass {
    limit: Option<Arc<Limit>>,
    cost: u32,
}

impl Pace {
    /// Allows `burst` permits at once, and one for each `interval` after that; each request takes its cost. In any period the
    /// other side sees at most `burst` plus the refill of that period.
    pub fn new(burst: u32, interval: Duration, cost: Cost) -> Self {
        let bucket = Bucket { burst: burst.max(1), interval, full_at: Mutex::new(None) };
        Self(Some(Arc::new(Limit { cost, kind: Kind::Bucket(bucket) })))
    }

    /// Allows `most` permits in any period of this length, wherever the other side's own begins: it counts a request at some time
    /// between its start and its answer, so the permits are taken for that time and the length.
    pub fn within(most: u32, length: Duration, cost: Cost) -> Self {
        let permits = Permits { most: most.max(1), taken: 0, ended: VecDeque::new() };
        let window =
            Window { length, turn: Mutex::new(()), permits: StdMutex::new(permits), changed: Notify::new() };
        Self(Some(Arc::new(Limit { cost, kind: Kind::Window(window) })))
    }

    /// Takes one permit for each request that changes something, none for a GET.
    pub fn of_changes(burst: u32, interval: Duration) -> Self {
        Self::new(burst, interval, |method, _| u32::from(method != Method::GET))
    }

    /// Allows more permits in a period, if that is more than so far: the other side turned out to allow them.
    pub fn raise(&self, most: u32) {
        if let Some(Limit { kind: Kind::Window(window), .. }) = self.0.as_deref() {
            let mut permits = window.permits();
            permits.most = permits.most.max(most);
            drop(permits);
            window.changed.notify_one();
        }
    }

    /// Waits for the permits.
    pub(super) async fn wait(&self, method: &Method, url: &Url) -> Pass {
        let Some(limit) = &self.0 else { return Pass { limit: None, cost: 0 } };
        let cost = (limit.cost)(method, url);
        let cost = match &limit.kind {
            _ if cost == 0 => 0,
            Kind::Bucket(bucket) => bucket.wait(cost).await,
            Kind::Window(window) => window.wait(cost).await,
        };
        Pass { limit: Some(Arc::clone(limit)), cost }
    }
}

impl Bucket {
    async fn wait(&self, cost: u32) -> u32 {
        let cost = cost.min(self.burst);
        tokio::time::sleep_until(self.take(cost).await).await;
        cost
    }

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

impl Window {
    async fn wait(&self, cost: u32) -> u32 {
        let _turn = self.turn.lock().await;
        loop {
            let changed = self.changed.notified();
            let next = match self.permits().take(cost, self.length) {
                Ok(taken) => return taken,
                Err(next) => next,
            };
            match next {
                // Either way it is time to look again.
                Some(next) => drop(timeout_at(next, changed).await),
                None => changed.await,
            }
        }
    }

    fn give_back(&self, cost: u32) {
        self.permits().ended.push_back((Instant::now(), cost));
        self.changed.notify_one();
    }

    fn permits(&self) -> MutexGuard<'_, Permits> {
        self.permits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permits {
    /// Takes the permits, of which there are never more than all, or says when the next ones come back; `None` if all are taken by
    /// requests under way.
    fn take(&mut self, cost: u32, length: Duration) -> Result<u32, Option<Instant>> {
        let now = Instant::now();
        while let Some((ended, cost)) = self.ended.front()
            && *ended + length <= now
        {
            self.taken = self.taken.saturating_sub(*cost);
            self.ended.pop_front();
        }
        let cost = cost.min(self.most);
        if self.taken + cost > self.most {
            return Err(self.ended.front().map(|(ended, _)| *ended + length));
        }
        self.taken += cost;
        Ok(cost)
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if let Some(Limit { kind: Kind::Window(window), .. }) = self.limit.as_deref()
            && self.cost > 0
        {
            window.give_back(self.cost);
        }
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

    #[tokio::test(start_paused = true)]
    async fn all_of_a_window_goes_at_once_and_no_window_has_more() {
        let pace = Pace::within(10, Duration::from_secs(60), |_, _| 2);
        let start = Instant::now();
        let mut times = Vec::new();
        for _ in 0..25 {
            let pass = pace.wait(&Method::GET, &url()).await;
            tokio::time::sleep(Duration::from_secs(1)).await;
            times.push(start.elapsed());
            drop(pass);
        }
        assert_eq!(times[4], Duration::from_secs(5));
        // The first one was answered after a second.
        assert_eq!(times[5], Duration::from_secs(62));
        for window in times.windows(6) {
            assert!(window[5] - window[0] > Duration::from_secs(60), "{times:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn requests_under_way_keep_their_permits() {
        let pace = Pace::within(2, Duration::from_secs(10), |_, _| 1);
        let passes = [pace.wait(&Method::GET, &url()).await, pace.wait(&Method::GET, &url()).await];
        let third = tokio::spawn({
            let pace = pace.clone();
            async move { drop(pace.wait(&Method::GET, &url()).await) }
        });
        tokio::time::sleep(Duration::from_secs(100)).await;
        assert!(!third.is_finished());
        drop(passes);
        let start = Instant::now();
        third.await.unwrap();
        assert_eq!(start.elapsed(), Duration::from_secs(10));
    }

    #[tokio::test(start_paused = true)]
    async fn a_limit_that_is_raised_is_used_at_once() {
        let pace = Pace::within(1, Duration::from_secs(10), |_, _| 1);
        drop(pace.wait(&Method::GET, &url()).await);
        let start = Instant::now();
        let second = tokio::spawn({
            let pace = pace.clone();
            async move { drop(pace.wait(&Method::GET, &url()).await) }
        });
        tokio::task::yield_now().await;
        pace.raise(3);
        second.await.unwrap();
        drop(pace.wait(&Method::GET, &url()).await);
        assert_eq!(start.elapsed(), Duration::ZERO);
        pace.raise(2);
        drop(pace.wait(&Method::GET, &url()).await);
        assert_eq!(start.elapsed(), Duration::from_secs(10));
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_dearer_than_the_limit_is_sent_alone() {
        let pace = Pace::within(3, Duration::from_secs(10), |_, _| 5);
        let start = Instant::now();
        drop(pace.wait(&Method::GET, &url()).await);
        drop(pace.wait(&Method::GET, &url()).await);
        assert_eq!(start.elapsed(), Duration::from_secs(10));
    }
}

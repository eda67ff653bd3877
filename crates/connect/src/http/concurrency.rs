//! How many requests are under way at once: as many as the other side bears, found out by trying.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// A limit on requests under way that grows while all goes well and is halved when the other side asks for less (additive increase,
/// multiplicative decrease, as in RFC 5681). Cloning shares it.
#[derive(Clone, Debug, Default)]
pub struct Concurrency(Option<Arc<Gate>>);

#[derive(Debug)]
struct Gate {
    most: f64,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug)]
struct State {
    /// How many at once; grows by fractions.
    limit: f64,
    under_way: u32,
    /// Nobody goes before this.
    paused_until: Option<Instant>,
    /// Requests sent before this had no say in the limit that is in force now.
    cut_at: Option<Instant>,
}

/// Leave for one request to be under way. It ends when dropped.
#[derive(Debug)]
pub(super) struct Permit {
    gate: Option<Arc<Gate>>,
    since: Instant,
}

/// How a request went, as far as the limit is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Went {
    /// There is room for more.
    Well,
    /// Too many, or too much for the server; with when to go on, if it said so.
    TooMuch(Option<Duration>),
    /// Says nothing about the limit.
    Otherwise,
}

impl Concurrency {
    /// Starts with `first` at once and goes up to `most`.
    pub fn adaptive(first: u32, most: u32) -> Self {
        let state = State { limit: f64::from(first.max(1)), under_way: 0, paused_until: None, cut_at: None };
        let most = f64::from(most.max(first).max(1));
        Self(Some(Arc::new(Gate { most, state: Mutex::new(state), changed: Notify::new() })))
    }

    /// Waits for a place.
    pub(super) async fn enter(&self) -> Permit {
        if let Some(gate) = &self.0 {
            gate.enter().await;
        }
        Permit { gate: self.0.clone(), since: Instant::now() }
    }
}

impl Gate {
    async fn enter(&self) {
        loop {
            let changed = self.changed.notified();
            let pause = {
                let mut state = self.state();
                let pause = state.paused_until.filter(|until| *until > Instant::now());
                if pause.is_none() && f64::from(state.under_way) + 1.0 <= state.limit {
                    state.under_way += 1;
                    return;
                }
                pause
            };
            match pause {
                Some(until) => tokio::time::sleep_until(until).await,
                None => changed.await,
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit {
    /// Ends with what was learnt.
    pub(super) fn end(self, went: Went) {
        let Some(gate) = &self.gate else { return };
        let mut state = gate.state();
        match went {
            Went::Well => state.limit = (state.limit + 1.0 / state.limit).min(gate.most),
            Went::TooMuch(pause) => {
                let now = Instant::now();
                // Of those that were under way together, the first one halves it.
                if state.cut_at.is_none_or(|cut| self.since >= cut) {
                    state.limit = (state.limit / 2.0).max(1.0);
                    state.cut_at = Some(now);
                }
                let until = pause.map(|pause| now + pause);
                state.paused_until = state.paused_until.max(until);
            }
            Went::Otherwise => {}
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(gate) = &self.gate {
            gate.state().under_way -= 1;
            gate.changed.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(concurrency: &Concurrency) -> f64 {
        concurrency.0.as_ref().unwrap().state().limit
    }

    #[tokio::test(start_paused = true)]
    async fn grows_by_one_a_round_and_is_halved_once_a_round() {
        let concurrency = Concurrency::adaptive(4, 6);
        let mut permits = Vec::new();
        for _ in 0..4 {
            permits.push(concurrency.enter().await);
        }
        assert!(tokio::time::timeout(Duration::from_secs(1), concurrency.enter()).await.is_err());
        permits.drain(..).for_each(|permit| permit.end(Went::Well));
        assert!(limit(&concurrency) > 4.9, "{}", limit(&concurrency));
        for _ in 0..20 {
            concurrency.enter().await.end(Went::Well);
        }
        assert!((limit(&concurrency) - 6.0).abs() < 0.01);
        for _ in 0..6 {
            permits.push(concurrency.enter().await);
        }
        tokio::time::advance(Duration::from_millis(1)).await;
        permits.drain(..).for_each(|permit| permit.end(Went::TooMuch(None)));
        assert!((limit(&concurrency) - 3.0).abs() < 0.01, "{}", limit(&concurrency));
    }

    #[tokio::test(start_paused = true)]
    async fn everybody_waits_when_one_is_told_to() {
        let concurrency = Concurrency::adaptive(4, 4);
        let start = Instant::now();
        concurrency.enter().await.end(Went::TooMuch(Some(Duration::from_secs(7))));
        drop(concurrency.enter().await);
        assert_eq!(start.elapsed().as_secs(), 7);
    }

    #[tokio::test]
    async fn without_one_everything_goes() {
        let concurrency = Concurrency::default();
        let permits = [concurrency.enter().await, concurrency.enter().await];
        permits.into_iter().for_each(|permit| permit.end(Went::Well));
    }
}

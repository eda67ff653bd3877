//! Limit on concurrent requests: as many as the other side handles, found by trial.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// Limit on concurrent requests that grows while all goes well and is halved when the other side asks for less (additive increase,
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
    /// Current limit; grows by fractions.
    limit: f64,
    under_way: u32,
    /// Time before which no request is sent.
    paused_until: Option<Instant>,
    /// Requests sent before this time had no influence on the current limit.
    cut_at: Option<Instant>,
}

/// Permit for one request in progress. It ends when dropped.
#[derive(Debug)]
pub(super) struct Permit {
    gate: Option<Arc<Gate>>,
    since: Instant,
}

/// Outcome of a request, as far as the limit is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Went {
    /// There is room for more.
    Well,
    /// Too many, or too much for the server; with the time to continue, if it gave one.
    TooMuch(Option<Duration>),
    /// No information about the limit.
    Otherwise,
}

impl Concurrency {
    /// Starts with a limit of `first` and grows up to `most`.
    pub fn adaptive(first: u32, most: u32) -> Self {
        let state = State { limit: f64::from(first.max(1)), under_way: 0, paused_until: None, cut_at: None };
        let most = f64::from(most.max(first).max(1));
        Self(Some(Arc::new(Gate { most, state: Mutex::new(state), changed: Notify::new() })))
    }

    /// Waits for a permit.
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
    /// Ends with the outcome.
    pub(super) fn end(self, went: Went) {
        let Some(gate) = &self.gate else { return };
        let mut state = gate.state();
        match went {
            Went::Well => state.limit = (state.limit + 1.0 / state.limit).min(gate.most),
            Went::TooMuch(pause) => {
                let now = Instant::now();
                // Among concurrent requests, only the first halves it.
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
    async fn without_a_limit_every_request_is_sent() {
        let concurrency = Concurrency::default();
        let permits = [concurrency.enter().await, concurrency.enter().await];
        permits.into_iter().for_each(|permit| permit.end(Went::Well));
    }
}

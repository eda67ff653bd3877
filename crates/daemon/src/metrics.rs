//! `/healthz` and `/metrics` on a port of this machine.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use jiff::Timestamp;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::Shared;
use super::status::{DaemonStatus, InstanceStatus};
use bwdc_core::error::{Error, Result};
use bwdc_core::metrics::{Dialect, LastRun, Metric, of_last_runs, text};
use bwdc_store::runs::{Run as KeptRun, seconds};

/// OpenMetrics, which Prometheus asks for first.
const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// More connections at once than a handful of scrapers have; one more ends the oldest.
const MOST_CONNECTIONS: usize = 64;

/// How long a request may take to arrive, and a connection to wait for the next one.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a connection may last in all.
const LONGEST: Duration = Duration::from_secs(60);

/// Octets of a request, headers included.
const LARGEST_REQUEST: usize = 16 * 1024;

/// Where metrics are served, and for whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetricsAddress {
    /// Address and port.
    pub address: SocketAddr,
    /// Who may ask.
    pub audience: Audience,
}

/// Who may ask for metrics, which needs no login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Only this machine: another address is an error.
    ThisMachine,
    /// Whoever reaches the address.
    Network,
}

/// Starts to answer; ends with the program.
pub(super) async fn serve(metrics: MetricsAddress, shared: Arc<Shared>) -> Result<()> {
    let MetricsAddress { address, audience } = metrics;
    if audience == Audience::ThisMachine && !address.ip().is_loopback() {
        return Err(Error::new(format!(
            "The address for metrics, {address}, can be reached from other machines."
        ))
        .hint("It requires no login: use 127.0.0.1 or [::1], and a proxy to make it available to others. In a container, whose network decides who reaches it, add --expose-metrics."));
    }
    let listener = TcpListener::bind(address)
        .await
        .map_err(|error| Error::new(format!("Listening on {address} for metrics: {error}")))?;
    let metrics = Arc::clone(&shared);
    let routes = Router::new()
        .route("/healthz", get(move || async move { healthz(&shared.status()) }))
        .route("/metrics", get(move || async move { metrics_of(&metrics.status()) }));
    tokio::spawn(accept(listener, routes));
    Ok(())
}

/// How many connections may be there at once: syncs and those who ask for the status need descriptors, too.
#[cfg(unix)]
fn most_connections() -> usize {
    let files = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let share = files.and_then(|files| usize::try_from(files / 4).ok()).unwrap_or(MOST_CONNECTIONS);
    share.clamp(1, MOST_CONNECTIONS)
}

#[cfg(not(unix))]
fn most_connections() -> usize {
    MOST_CONNECTIONS
}

/// Whoever says nothing holds neither the port nor the program's descriptors.
async fn accept(listener: TcpListener, routes: Router) {
    let most = most_connections();
    let mut connections: VecDeque<AbortHandle> = VecDeque::new();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                connections.retain(|connection| !connection.is_finished());
                if connections.len() >= most
                    && let Some(oldest) = connections.pop_front()
                {
                    oldest.abort();
                    // It lets go of its descriptor now, and not after many more have been accepted.
                    tokio::task::yield_now().await;
                }
                connections.push_back(tokio::spawn(converse(stream, routes.clone())).abort_handle());
            }
            Err(error) => {
                tracing::warn!(%error, "a request for the metrics was not accepted");
                connections.drain(..).for_each(|connection| connection.abort());
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

async fn converse(stream: TcpStream, routes: Router) {
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(PATIENCE).max_buf_size(LARGEST_REQUEST);
    let connection = server.serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes));
    match timeout(LONGEST, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "somebody came for the metrics and went without"),
        Err(_) => tracing::debug!("somebody came for the metrics and did not go"),
    }
}

/// 200 while no instance fails, else 503 with their names.
fn healthz(status: &DaemonStatus) -> Response {
    let failing = status.in_trouble(Timestamp::now());
    if failing.is_empty() {
        return "ok\n".into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, format!("failing: {}\n", failing.join(", "))).into_response()
}

fn metrics_of(status: &DaemonStatus) -> Response {
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], text(&rendered(status), Dialect::OpenMetrics)).into_response()
}

/// Metrics of the daemon's own, then those that a run writes as well.
fn rendered(status: &DaemonStatus) -> Vec<Metric> {
    let mut running = Metric::gauge("bwdc_sync_running", "Whether a sync is running");
    let mut failures = Metric::gauge("bwdc_sync_failures_in_a_row", "Failed syncs since the last good one");
    let mut next = Metric::gauge("bwdc_sync_next_timestamp_seconds", "When the next sync starts");
    let mut runs = Metric::counter("bwdc_sync_runs", "Syncs since the daemon was started");
    let mut started = Metric::gauge("process_start_time_seconds", "When the daemon was started");
    started.add(&[], seconds(status.started));
    for (name, state) in &status.instances {
        let of = [("instance", name.as_str())];
        running.add(&of, if state.running_since.is_some() { 1.0 } else { 0.0 });
        failures.add(&of, f64::from(state.failures_in_a_row));
        state.next_run.into_iter().for_each(|time| next.add(&of, seconds(time)));
        let good = state.runs - state.failed - state.busy;
        for (result, count) in [("success", good), ("failure", state.failed), ("busy", state.busy)] {
            runs.add(&[("instance", name), ("result", result)], count as f64);
        }
    }
    let last: Vec<(&str, LastRun)> =
        status.instances.iter().map(|(name, state)| (name.as_str(), last_run(state))).collect();
    let last = of_last_runs(&status.version, last.iter().map(|(name, run)| (*name, run)));
    [running, failures, next, runs, started].into_iter().chain(last).collect()
}

/// The last run, under this daemon or before it.
fn last_run(state: &InstanceStatus) -> LastRun {
    let kept = state.last_run.as_ref().map(KeptRun::as_metrics).unwrap_or_default();
    LastRun {
        success: state.last_success.map(seconds),
        seconds: state.last.as_ref().map(|last| last.seconds).or(kept.seconds),
        exit: state.last.as_ref().map(|last| last.exit).or(kept.exit),
        ..kept
    }
}

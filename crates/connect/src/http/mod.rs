//! The one way to speak HTTP: connection reuse, compression, proxies, trust, time-outs, retry, pacing and the telling of
//! failures, so that no vendor's code has any of it.

mod failure;
mod pace;
mod retry;

use std::path::PathBuf;
use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode, Url};
use tokio::time::Instant;

pub use self::pace::Pace;
use self::retry::{Backoff, Next};
use crate::tls::{self, Trust};
use crate::{Error, Kind, Result};

/// How long a connection may take, TLS included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// For how long one request is tried again unless configured otherwise.
const RETRY_FOR: Duration = Duration::from_secs(60);
/// No answer that is expected here is larger.
const LARGEST_BODY: usize = 64 * 1024 * 1024;

/// What all requests of one client share.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// A PEM file with certificates to trust besides the system's.
    pub extra_ca: Option<PathBuf>,
    /// Sent with every request.
    pub headers: HeaderMap,
    /// For how long one request is tried again; 60 seconds if `None`.
    pub retry_for: Option<Duration>,
    /// How fast requests may follow each other.
    pub pace: Pace,
}

/// An HTTP client. Cloning shares its connections.
#[derive(Clone, Debug)]
pub struct Http {
    client: reqwest::Client,
    retry_for: Duration,
    pace: Pace,
}

/// One request that may be sent more than once.
#[derive(Debug)]
pub struct Request {
    /// GET or POST.
    pub method: Method,
    /// Where to.
    pub url: Url,
    /// Besides the client's own; values that are secret must be marked sensitive.
    pub headers: HeaderMap,
    /// Cheap to clone.
    pub body: Option<bytes::Bytes>,
    /// How long the server may take for the whole answer.
    pub timeout: Duration,
}

/// An answer, read to its end.
#[derive(Debug)]
pub struct Response {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: bytes::Bytes,
}

impl Http {
    /// A client with the system's trusted authorities, and the proxies of the environment.
    pub fn new(settings: Settings) -> Result<Self> {
        let trust = settings.extra_ca.map_or(Trust::System, Trust::SystemAndFile);
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls::client_config(&trust, None)?)
            .default_headers(settings.headers)
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .build()
            .map_err(|error| {
                Error::new(Kind::Configuration, "Setting up HTTP", failure::innermost(&error))
            })?;
        Ok(Self { client, retry_for: settings.retry_for.unwrap_or(RETRY_FOR), pace: settings.pace })
    }

    /// Sends a request until it is answered for good: what may pass (429, some 5xx, broken connections) is tried again
    /// within the bound. Any answer that is not worth another try is returned, whatever its status.
    pub async fn send(&self, attempted: &str, request: &Request) -> Result<Response> {
        let started = Instant::now();
        let mut backoff = Backoff::new(self.retry_for);
        loop {
            self.pace.wait(&request.method).await;
            let result = self.once(request).await;
            log(request, &result, started);
            let wait = match retry::judge(&result, &mut backoff, started.elapsed()) {
                Next::Again(wait) => wait,
                Next::Done => {
                    return result.map_err(|error| failure::told(attempted, &error, &request.url, &backoff));
                }
            };
            tokio::time::sleep(wait).await;
        }
    }

    async fn once(&self, request: &Request) -> std::result::Result<Response, failure::Failure> {
        let mut builder = self
            .client
            .request(request.method.clone(), request.url.clone())
            .headers(request.headers.clone())
            .timeout(request.timeout);
        if let Some(body) = &request.body {
            builder = builder.body(body.clone());
        }
        let mut answer = builder.send().await?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let mut body = bytes::BytesMut::new();
        while let Some(chunk) = answer.chunk().await? {
            if body.len() + chunk.len() > LARGEST_BODY {
                return Err(failure::Failure::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Response { status, headers, body: body.freeze() })
    }
}

/// Method, host, path, outcome and time. Never a query, a header or a body.
fn log(request: &Request, result: &std::result::Result<Response, failure::Failure>, started: Instant) {
    let Request { method, url, .. } = request;
    let host = url.host_str().unwrap_or_default();
    let path = url.path();
    let milliseconds = started.elapsed().as_millis();
    match result {
        Ok(answer) => {
            tracing::debug!(%method, host, path, status = answer.status.as_u16(), milliseconds, "answered")
        }
        Err(error) => tracing::debug!(%method, host, path, %error, milliseconds, "failed"),
    }
}

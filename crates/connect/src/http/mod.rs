//! HTTP in one place: connection reuse, compression, proxies, trust, timeouts, retries, limits on amount and rate,
//! access tokens, paging and the wording of failures, so that no vendor's code contains any of it.

mod allowance;
pub mod assertion;
mod authorized;
mod backoff;
mod concurrency;
pub(crate) mod failure;
mod jwk;
mod pace;
mod pages;
mod retry;
mod tally;

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, DATE, HeaderMap, HeaderValue};
use reqwest::{Method, StatusCode, Url};
use tokio::time::Instant;

pub use self::allowance::{Allowance, RateLimit};
pub use self::authorized::{AccessToken, Authorized, TokenSource};
use self::backoff::Backoff;
pub use self::concurrency::Concurrency;
use self::concurrency::Went;
pub use self::pace::{Cost, Pace};
pub use self::pages::{PageRequest, Pages, Vendor};
use self::retry::Next;
pub use self::tally::Tally;
use crate::names::HostNames;
use crate::tls::{self, Trust};
use crate::{Error, ErrorKind, Result, mask};

/// Time limit for a connection, TLS included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Time for which one request is tried again, unless configured otherwise.
const RETRY_FOR: Duration = Duration::from_secs(60);
/// Largest answer that is expected.
const LARGEST_BODY: usize = 64 * 1024 * 1024;

/// Largest refusal, token or description of a server. JSON of unknown form takes some fifty times its size in memory.
const LARGEST_SHORT_BODY: usize = 1024 * 1024;

/// Login fields whose values are secret (RFC 6749; RFC 7523).
const SECRET_FIELDS: [&str; 4] = ["client_secret", "client_assertion", "assertion", "password"];

/// Network settings of the administrator, the same for every vendor.
#[derive(Clone, Debug, Default)]
pub struct Network {
    /// PEM file with certificates to trust in addition to the system's.
    pub extra_ca: Option<PathBuf>,
    /// Time for which one request is tried again; 60 seconds if `None`.
    pub retry_for: Option<Duration>,
    /// Where requests are counted.
    pub tally: Tally,
}

/// Settings shared by all requests of one client.
#[derive(Clone, Debug, Default)]
pub struct HttpSettings {
    /// Trust and time limits.
    pub network: Network,
    /// Headers sent with every request.
    pub headers: HeaderMap,
    /// Rate of requests.
    pub pace: Pace,
    /// Limits that the other side reports.
    pub allowance: Allowance,
    /// Limit on concurrent requests.
    pub concurrency: Concurrency,
    /// Answers that mean a temporary failure, besides 408, 425, 429, 500, 502, 503 and 504.
    pub passing: Passing,
}

/// Check whether an answer is worth another try, by a vendor's own rules: Google's limits are a 403 with a reason, for example.
#[derive(Clone, Copy, Debug)]
pub struct Passing(pub fn(&Response) -> bool);

impl Default for Passing {
    fn default() -> Self {
        Self(|_| false)
    }
}

/// HTTP client. Cloning shares its connections.
#[derive(Clone, Debug)]
pub struct Http {
    client: reqwest::Client,
    retry_for: Duration,
    pace: Pace,
    allowance: Allowance,
    concurrency: Concurrency,
    passing: Passing,
    tally: Tally,
}

/// Request that may be sent more than once.
#[derive(Debug)]
pub struct HttpRequest {
    /// GET or POST.
    pub method: Method,
    /// Destination.
    pub url: Url,
    /// Headers besides the client's own; secret values must be marked sensitive.
    pub headers: HeaderMap,
    /// Body. Cheap to clone.
    pub body: Option<bytes::Bytes>,
    /// Time limit for the whole answer.
    pub timeout: Duration,
    /// Condition for sending it again.
    pub repeat: Repeat,
}

/// Condition for sending a request again after a temporary failure, or no answer at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// Always: doing it twice, or twice at once, has the same effect as once.
    Always,
    /// Only if the server has certainly finished with the first one: it did not arrive, was turned away, or failed. After a
    /// gateway's error (502, 504), a timeout or a broken connection the server may still be working on it.
    OnceOver,
    /// Only where nothing of the first one was done: it did not arrive, or was turned away. A server that answers that it failed may
    /// have done a part.
    IfNotBegun,
}

impl HttpRequest {
    /// Request without a body.
    pub fn get(url: Url, timeout: Duration) -> Self {
        Self {
            method: Method::GET,
            url,
            headers: HeaderMap::new(),
            body: None,
            timeout,
            repeat: Repeat::Always,
        }
    }

    /// Request with a form as its body. Secrets in it stay out of logs, as every body does.
    pub fn post_form(url: Url, fields: &[(&str, &str)], timeout: Duration) -> Self {
        for (_, value) in fields.iter().filter(|(name, _)| SECRET_FIELDS.contains(name)) {
            mask::sent(value);
        }
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(fields);
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        Self {
            method: Method::POST,
            url,
            headers,
            body: Some(form.finish().into()),
            timeout,
            repeat: Repeat::Always,
        }
    }

    /// Request with JSON as its body.
    pub fn post_json(url: Url, value: &serde_json::Value, timeout: Duration) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Self {
            method: Method::POST,
            url,
            headers,
            body: Some(value.to_string().into()),
            timeout,
            repeat: Repeat::Always,
        }
    }
}

/// What attempts before the last one may have done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Earlier {
    /// Nothing: none arrived, or the other side had no room for it.
    Nothing,
    /// Something, or all.
    Something,
}

/// Complete answer.
#[derive(Debug)]
pub struct Response {
    /// Status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub body: bytes::Bytes,
}

impl Response {
    /// Id of this request in the other side's own log, if it gave one.
    pub fn request_id(&self) -> Option<&str> {
        ["x-okta-request-id", "x-request-id", "request-id", "cf-ray"]
            .iter()
            .find_map(|name| self.headers.get(*name)?.to_str().ok())
            .filter(|id| !id.is_empty() && id.len() < 100)
    }

    /// Time by the other side's clock; by ours if it reports none.
    pub fn time(&self) -> jiff::Timestamp {
        now_there(&self.headers)
    }
}

/// Parses a short body of unknown form: a refusal, a token, a description of the server.
pub(crate) fn short_json(body: &[u8]) -> Option<serde_json::Value> {
    if body.len() > LARGEST_SHORT_BODY {
        return None;
    }
    serde_json::from_slice(body).ok()
}

/// Duration that the other side gave in seconds. Limited to a year, so no sum with it overflows.
pub(crate) fn seconds(told: u64) -> Duration {
    const YEAR: u64 = 366 * 24 * 3600;
    Duration::from_secs(told.min(YEAR))
}

fn now_there(headers: &HeaderMap) -> jiff::Timestamp {
    let date = headers.get(DATE).and_then(|date| date.to_str().ok());
    let date = date.and_then(|date| jiff::fmt::rfc2822::parse(date).ok());
    date.map_or_else(jiff::Timestamp::now, |date| date.timestamp())
}

/// Parses the address of a vendor: https, or plain http on this machine, because secrets are sent there.
pub fn base_url(setting: &str, text: &str, example: &str) -> Result<Url> {
    let text = text.trim();
    let wrong = |reason: &str| {
        Error::new(ErrorKind::Configuration, format!("Reading {setting} `{text}`"), reason)
            .hint(format!("Example: {example}"))
    };
    let url = Url::parse(text).map_err(|error| wrong(&error.to_string()))?;
    if url.host().is_none() {
        return Err(wrong("it has no host name"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("it must not contain a user name or password"));
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_local(&url) => Ok(url),
        _ => Err(wrong("secrets would cross the network unprotected")),
    }
}

/// Whether the host of an address is this machine.
pub(crate) fn is_local(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Address below a base URL; `attempted` and `reason` are for the error if the URL cannot have any.
pub(crate) fn below<'a>(
    base: &Url,
    path: impl IntoIterator<Item = &'a str>,
    (attempted, reason): (&str, &str),
) -> Result<Url> {
    let mut url = base.clone();
    url.path_segments_mut()
        .map_err(|()| Error::new(ErrorKind::Configuration, attempted, reason))?
        .pop_if_empty()
        .extend(path);
    Ok(url)
}

impl Http {
    /// Makes a client with the system's trusted authorities and the environment's proxies.
    pub fn new(settings: HttpSettings) -> Result<Self> {
        let HttpSettings { network, headers, pace, allowance, concurrency, passing } = settings;
        take_note_of_secrets(&headers);
        let trust = network.extra_ca.map_or(Trust::System, Trust::SystemAndFile);
        let mut tls = tls::client_config(&trust, None)?;
        // The library leaves this to the caller's configuration; without it there is no HTTP/2.
        tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .default_headers(headers)
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .dns_resolver(Arc::new(HostNames))
            .build()
            .map_err(|error| {
                Error::new(ErrorKind::Configuration, "Setting up HTTP", failure::innermost(&error))
            })?;
        let retry_for = network.retry_for.unwrap_or(RETRY_FOR);
        Ok(Self { client, retry_for, pace, allowance, concurrency, passing, tally: network.tally })
    }

    /// Client with a rate of its own that shares connections and reported limits.
    #[must_use]
    pub fn paced(&self, pace: Pace) -> Self {
        Self { pace, ..self.clone() }
    }

    /// Sends a request until it has a final answer: temporary failures (429, some 5xx, broken connections) are tried again
    /// within the time limit. Any answer that is not worth another try is returned, whatever its status.
    pub async fn send(&self, attempted: &str, request: &HttpRequest) -> Result<Response> {
        self.send_telling(attempted, request).await.0
    }

    /// Sends a request, and says what attempts before the last one may have done.
    pub async fn send_telling(&self, attempted: &str, request: &HttpRequest) -> (Result<Response>, Earlier) {
        let mut earlier = Earlier::Nothing;
        let result = self.attempts(attempted, request, &mut earlier).await;
        (result, earlier)
    }

    async fn attempts(
        &self,
        attempted: &str,
        request: &HttpRequest,
        earlier: &mut Earlier,
    ) -> Result<Response> {
        // The wait in the queue before the first attempt is not the other side's fault.
        let mut started = None;
        let mut backoff = Backoff::new(self.retry_for);
        loop {
            let pass = self.pace.wait(&request.method, &request.url).await;
            let turn = self.allowance.wait(&request.url).await;
            turn.map_err(|wait| failure::used_up(attempted, &request.url, wait))?;
            let permit = self.concurrency.enter().await;
            started.get_or_insert_with(Instant::now);
            let result = self.once(request).await;
            drop(pass);
            self.allowance.learn(&request.url, result.as_ref().ok().map(|answer| &answer.headers));
            permit.end(self.went(&result));
            let elapsed = started.map_or(Duration::ZERO, |started| started.elapsed());
            log(request, &result, elapsed);
            let status = result.as_ref().ok().map(|answer| answer.status.as_u16());
            self.tally.count(request.url.host_str().unwrap_or_default(), status);
            let wait = match retry::judge(&result, self.passing, request.repeat, &mut backoff, elapsed) {
                Next::Again(wait) => wait,
                Next::Done => {
                    return result.map_err(|error| failure::error_for(attempted, &error, request, &backoff));
                }
            };
            if !retry::was_not_begun(&result) {
                *earlier = Earlier::Something;
            }
            tell_of_retry(attempted, &result, self.retry_for.saturating_sub(elapsed));
            tokio::time::sleep(wait).await;
        }
    }

    /// Outcome of an attempt, as far as the limit on concurrent requests is concerned.
    fn went(&self, result: &std::result::Result<Response, failure::Failure>) -> Went {
        match result {
            // No wait is longer than the time for retries: the request must fail, not hang.
            Ok(answer) if retry::is_limit(answer, self.passing) => {
                Went::TooMuch(retry::asked_for(answer).filter(|pause| *pause <= self.retry_for))
            }
            Ok(answer) if answer.status.is_success() => Went::Well,
            Ok(_) | Err(_) => Went::Otherwise,
        }
    }

    async fn once(&self, request: &HttpRequest) -> std::result::Result<Response, failure::Failure> {
        let mut builder = self
            .client
            .request(request.method.clone(), request.url.clone())
            .headers(request.headers.clone())
            .timeout(request.timeout);
        if let Some(body) = &request.body {
            builder = builder.body(body.clone());
        }
        take_note_of_secrets(&request.headers);
        let mut answer = builder.send().await?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let mut body = bytes::BytesMut::new();
        // Decompressed size, because that is what takes memory here.
        while let Some(chunk) = answer.chunk().await? {
            if !status.is_success() && body.len() + chunk.len() > LARGEST_SHORT_BODY {
                // Status and beginning are enough.
                body.extend_from_slice(&chunk[..LARGEST_SHORT_BODY - body.len()]);
                break;
            }
            if body.len() + chunk.len() > LARGEST_BODY {
                return Err(failure::Failure::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        let body = if status.is_success() { body.freeze() } else { without_secrets(body.freeze()) };
        Ok(Response { status, headers, body })
    }
}

/// Records secrets, so that they are masked wherever they come back.
fn take_note_of_secrets(headers: &HeaderMap) {
    for text in headers.values().filter(|value| value.is_sensitive()).filter_map(|value| value.to_str().ok())
    {
        // After the scheme, such as `Bearer`.
        mask::sent(text.rsplit(' ').next().unwrap_or(text));
    }
}

/// Masks a refusal before anything is cut from it.
fn without_secrets(body: bytes::Bytes) -> bytes::Bytes {
    let text = String::from_utf8_lossy(&body);
    match mask::masked(&text) {
        Cow::Owned(masked) => masked.into(),
        Cow::Borrowed(_) => body,
    }
}

/// Target of log events about retries, for people who wait at a terminal.
pub const RETRIES: &str = "bwdc_connect::retries";

fn tell_of_retry(attempted: &str, result: &std::result::Result<Response, failure::Failure>, left: Duration) {
    let why = match result {
        Ok(answer) => format!("HTTP {}", answer.status.as_u16()),
        Err(failure) => failure.to_string(),
    };
    tracing::debug!(target: RETRIES, "{attempted}: {why}. Trying again for up to {} s.", left.as_secs().max(1));
}

/// Logs method, host, path, outcome and time. Never a query, a header or a body.
fn log(request: &HttpRequest, result: &std::result::Result<Response, failure::Failure>, elapsed: Duration) {
    let HttpRequest { method, url, .. } = request;
    let host = url.host_str().unwrap_or_default();
    // Whoever knows the address of a webhook can use it.
    let path = mask::masked(url.path());
    let path = path.as_ref();
    let milliseconds = elapsed.as_millis();
    match result {
        Ok(answer) => {
            tracing::debug!(%method, host, path, status = answer.status.as_u16(), milliseconds, "answered")
        }
        Err(error) => tracing::debug!(%method, host, path, %error, milliseconds, "failed"),
    }
}

#[cfg(test)]
mod tests {
    use bwdc_testkit::{damaged_text, few};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_pause_of_an_hour_is_not_waited_for() {
        let http = Http::new(HttpSettings::default()).unwrap();
        let limited = |reset: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("x-ratelimit-reset", reset.parse().unwrap());
            Ok(Response { status: StatusCode::TOO_MANY_REQUESTS, headers, body: bytes::Bytes::new() })
        };
        assert_eq!(http.went(&limited("7")), Went::TooMuch(Some(Duration::from_secs(7))));
        assert_eq!(http.went(&limited("3000")), Went::TooMuch(None));
    }

    proptest! {
        #![proptest_config(few())]

        /// An accepted address keeps the secret off the network.
        #[test]
        fn fuzz_addresses(text in damaged_text([
            " https://example.org/base ", "http://localhost:8080", "http://127.0.0.1/", "http://[::1]/x", "https://me:secret@example.org",
        ])) {
            match base_url("x.url", &text, "https://example.org") {
                Ok(url) => {
                    let is_local = ["localhost", "[::1]"].contains(&url.host_str().unwrap())
                        || url.host_str().unwrap().starts_with("127.");
                    prop_assert!(url.scheme() == "https" || (url.scheme() == "http" && is_local), "{url}");
                    prop_assert!(url.username().is_empty() && url.password().is_none());
                    prop_assert_eq!(base_url("x.url", url.as_str(), "").unwrap(), url);
                }
                Err(error) => crate::fuzz::harmless(&error, text.len())?,
            }
        }
    }
}
